"""The hidden state of any process: beliefs in exact fractions, networks that are Bayes, brute force."""

from __future__ import annotations

import itertools
import json
import math
import runpy
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY
from laws import histories
from running import run

from analysis.hidden import interventions
from analysis.hidden.beliefs import bayes_from, beliefs_after, columns_of
from analysis.hidden.controls import early_learner
from analysis.hidden.examine import examine
from analysis.hidden.interventions import measure_interventions
from analysis.hidden.page import headline, panels, tables
from analysis.hidden.partners import partners
from analysis.hidden.probes import probe_targets, read_off, score
from analysis.hidden.results import document, to_datatree
from analysis.hidden.simulation import NoSimulation, measure_simulation
from analysis.hidden.states import states_along
from autoregressive.cells.base import Cell
from autoregressive.model import Model
from meta_learning.learner import Learner, learner_model
from meta_learning.processes import (
    PROCESSES,
    ChangePoints,
    DirichletCategorical,
    Even,
    FixedCategorical,
    GoldenMean,
    HiddenMarkov,
    Machine,
    MarkovChain,
    Mess3,
    Mixture,
    RandomRandomXor,
    TaskPool,
    ZeroOneRandom,
    drawn_places,
)
from meta_learning.training import train_start

MESS3 = Mess3(0.6, 0.15, 7)
# One of each kind, with short tasks, where it has any.
SHORT = (
    DirichletCategorical((2, 1, 1), 7),
    FixedCategorical((0.2, 0.8), 7),
    MarkovChain((1.0, 2.0), 7),
    Mixture(((0.5, 0.5, 0), (0, 0.2, 0.8), (0.3, 0.3, 0.4)), 7),
    HiddenMarkov(((0.9, 0.1), (0.2, 0.8)), ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)), 7),
    MESS3,
    ZeroOneRandom(0.3, 7),
    GoldenMean(0.5, 7),
    Even(0.4, 7),
    RandomRandomXor(7),
    TaskPool((1, 1, 1), 4, 0, 7),
    ChangePoints((1.3, 1, 0.5), 0.3),
)


@cache
def sticky():
    """The process of the page on extending, whose file says nothing of hidden states."""
    path = Path(__file__).parents[2] / "docs" / "examples" / "sticky.py"
    kind = runpy.run_path(str(path), run_name="sticky")["Sticky"]
    PROCESSES.pop(kind.name)
    return kind((8.0, 2.0), 3, 6)


@dataclass(frozen=True, kw_only=True)
class Believer(Model):
    """A network that is Bayes: its state is the belief in numbers, integers as a 1 at their value."""

    cell: Cell | None = None
    process: Machine
    draws: int

    def _write(self, belief):
        K = self.process.num_symbols
        leaves = [
            jax.nn.one_hot(leaf, K + 1).ravel() if leaf.dtype.kind == "i" else leaf.ravel()
            for leaf in map(jnp.asarray, jax.tree.leaves(self.process.to_numbers(belief)))
        ]
        return jnp.concatenate(leaves).astype(jnp.float32)

    def _read(self, h):
        K = self.process.num_symbols
        begin = self.process.to_numbers(self.process.initial_belief(self.draws))
        leaves, tree = jax.tree.flatten(begin)
        found, at = [], 0
        for leaf in map(jnp.asarray, leaves):
            width = leaf.size * (K + 1 if leaf.dtype.kind == "i" else 1)
            part = h[at : at + width]
            if leaf.dtype.kind == "i":
                part = part.reshape(leaf.size, K + 1).argmax(-1)
            found.append(part.reshape(leaf.shape).astype(leaf.dtype))
            at += width
        return self.process.from_numbers(jax.tree.unflatten(tree, found))

    def initial_state(self, batch=()):
        h = self._write(self.process.initial_belief(self.draws))
        return (jnp.broadcast_to(h, (*batch, *h.shape)),)

    def read_out(self, params, h):
        rows = jax.vmap(lambda one: self.process.log_predictive_of(self._read(one)))
        symbols = rows(h.reshape(-1, h.shape[-1])).reshape(*h.shape[:-1], -1)
        return jnp.pad(symbols, ((0, 0), (0, 1)), constant_values=-50.0)

    def step(self, params, state, x):
        def one(h, x):
            symbol = jnp.minimum(x.argmax(), self.process.num_symbols - 1).astype(jnp.int32)
            after = self._write(self.process.update(self._read(h), symbol))
            begin = self._write(self.process.initial_belief(self.draws))
            return jnp.where(x[-1] == 1, begin, after)

        h = jax.vmap(one)(state[0], x)
        return (h,), self.read_out(params, h)


def believer(process):
    model = Believer(
        outputs=process.num_symbols + 1, process=process, draws=int(process.task_length) - 1
    )
    return Learner(model, {}, process.num_symbols, {})


def untrained(process, cell="gru", hidden=4):
    model = learner_model(process.num_symbols, cell, hidden)
    settings = {"cell": cell, "hidden": hidden}
    return Learner(model, model.init(jax.random.key(0)), process.num_symbols, settings)


# beliefs, in exact fractions


def exact_states(process, history):
    """p(state | history) by adding up all hidden paths, as Fractions; the history's probability."""
    edges, start = process.edges_as(Fraction), [Fraction(p) for p in process.first_state()]
    states = range(len(start))
    weights = [Fraction(0)] * len(start)
    for path in itertools.product(states, repeat=len(history) + 1):
        p = start[path[0]]
        for x, i, j in zip(history, path[:-1], path[1:], strict=True):
            p *= edges[x][i][j]
        weights[path[-1]] += p
    return weights


@pytest.mark.parametrize("process", [MESS3, GoldenMean(0.25, 7), ZeroOneRandom(0.3, 7)], ids=repr)
def test_beliefs_over_states_are_those_of_all_paths(process):
    draws = histories(process, 4)
    held = beliefs_after(process, draws, 3)
    for row, belief, said in zip(
        draws, held.numbers, held.coordinates["state_probabilities"], strict=True
    ):
        weights = exact_states(process, row[:3])
        if (total := sum(weights)) > 0:
            wanted = [float(w / total) for w in weights]
            np.testing.assert_allclose(belief, wanted, atol=1e-12)
            np.testing.assert_allclose(said, wanted, atol=1e-12)


def test_weights_of_components_are_those_of_bayes_theorem():
    process = SHORT[3]
    draws = histories(process, 4)
    found = beliefs_after(process, draws, 4).coordinates["component_weights"]
    for row, weights in zip(draws, found, strict=True):
        joint = [math.prod(Fraction(p[x]) for x in row) for p in process.p]
        if sum(joint):
            np.testing.assert_allclose(weights, [float(w / sum(joint)) for w in joint], atol=1e-12)


@pytest.mark.parametrize("process", [MESS3, MarkovChain((1.0, 2.0), 7), SHORT[0]], ids=repr)
def test_bayes_runs_on_from_its_own_numbers(process):
    """Written as columns, read back: the rows of the whole stream."""
    symbols = np.asarray(process.sample(jax.random.key(0), 40, 6))
    held = beliefs_after(process, symbols, 2)
    columns = columns_of(held.numbers)
    back = columns.read(columns.write(held.numbers, 40))
    jax.tree.map(np.testing.assert_array_equal, back, held.numbers)
    rows = bayes_from(process, back, symbols[:, 2:])
    np.testing.assert_allclose(rows, process.log_predictive(symbols)[:, 2:, :-1], atol=1e-5)


# a network that is Bayes


@pytest.mark.parametrize(
    "process", [MESS3, GoldenMean(0.2, 7), MarkovChain((1.0, 2.0), 7), SHORT[0]], ids=repr
)
def test_a_network_whose_state_is_the_belief(process):
    """Read without error, moved by what Bayes is moved by, simulated without loss both ways; an
    untrained one is not."""
    learners = {"trained": believer(process), "untrained": untrained(process)}
    found = measure_simulation(learners, process, jax.random.key(0), 150)
    for way in found.mean.values():
        for of in ("network", "bayes"):
            assert way["trained"][of].mean < 2e-5
    state, belief = (way["untrained"]["bayes"].mean for way in found.mean.values())
    assert state > 4 * found.mean["bayes_from_state"]["trained"]["bayes"].mean
    assert belief > 1e-3
    assert found.identity["trained"]["network_bayes"].mean < 2e-5
    assert found.identity["untrained"]["network_bayes"].mean > 1e-3

    effects = measure_interventions(learners["trained"], process, jax.random.key(1), 150)
    near = "nearest_belief"
    first = near if near in effects.mean else next(iter(effects.mean))
    if first == near:
        assert effects.mean[first].mean == pytest.approx(
            effects.mean["nearest_belief_bayes"].mean, rel=1e-2, abs=1e-7
        )
        assert 0 < effects.ratio[first].mean < 0.2
    else:
        assert first in ("same_belief", "same_counts")
        assert effects.mean[first].mean < 1e-9
    assert effects.mean[effects.other].mean > 1e-2

    symbols = np.asarray(process.sample(jax.random.key(2), 60, 14))
    drawn = drawn_places(14, process.task_length)
    targets = {k: v[:, drawn] for k, v in probe_targets(process, symbols).items()}
    scores = {
        name: score(
            {k: v[30:] for k, v in targets.items()},
            read_off(
                {k: v[:30] for k, v in targets.items()},
                *(
                    states_along(learner, symbols).space("h")[half][:, drawn]
                    for half in (slice(30), slice(30, None))
                ),
            ),
        )
        for name, learner in (("trained", believer(process)), ("untrained", untrained(process)))
    }
    own = next(iter(process.coordinates(process.initial_belief(1))))
    assert own == next(iter(targets))
    assert scores["trained"][own].r2.mean == pytest.approx(1, abs=1e-9)
    assert scores["untrained"][own].r2.mean < 0.99


def test_simulation_by_plain_numpy():
    """Pseudo-inverses, and the forward algorithm in linear space."""
    process, learner, key = MESS3, untrained(MESS3, "gru", 3), jax.random.key(5)
    found = measure_simulation({"trained": learner}, process, key, 50)
    symbols = np.asarray(process.sample(key, found.fitted + 50, 6))
    states = states_along(learner, symbols)
    moves = process.matrices
    own = np.exp(states.log_q[..., :-1])
    own = own / own.sum(-1, keepdims=True)
    kls = []
    for n in found.draws:
        beliefs = np.array([forward(moves, np.full(3, 1 / 3), row[:n]) for row in symbols])
        x = np.column_stack([states.space("h")[:, n], np.ones(len(symbols))])
        fit, rest = slice(found.fitted), slice(found.fitted, None)
        mapped = x[rest] @ (np.linalg.pinv(x[fit], rcond=1e-6) @ beliefs[fit])
        mapped = np.clip(mapped, beliefs.min(0), beliefs.max(0))
        mapped = np.maximum(mapped, 1e-6)
        mapped = mapped / mapped.sum(1, keepdims=True)
        of_task = []
        for row, start, q in zip(symbols[rest], mapped, own[rest], strict=True):
            p = [forward(moves, start, row[n:t]) @ moves.sum(-1).T for t in range(n, 6)]
            of_task.append((q[n:] * np.log(q[n:] / p)).sum(-1).mean())
        kls.append(np.mean(of_task))
    mean = found.mean["bayes_from_state"]["trained"]["network"].mean
    assert mean == pytest.approx(np.mean(kls), rel=1e-5)


def forward(moves, belief, history):
    for x in history:
        belief = belief @ moves[x]
        belief = belief / belief.sum()
    return belief


# other histories


@pytest.mark.parametrize("process", SHORT, ids=repr)
def test_other_histories(process):
    """Bayes goes on from the same belief as if nothing had happened, from another one not."""
    symbols = np.asarray(process.sample(jax.random.key(0), 120, 6))
    n = 5
    found = partners(np.random.default_rng(0), process, symbols, n)
    rows = process.log_predictive(symbols)[:, n:]
    has = found.has["same_belief"]
    if process.statistic(symbols) is None:
        assert not has.any()
        assert found.has["nearest_belief"].all()
    else:
        same = np.concatenate([found.same, symbols[:, n:]], axis=1)[has]
        assert (same[:, :n] != symbols[has, :n]).any(1).all()
        assert has.any()
        np.testing.assert_allclose(
            np.exp(process.log_predictive(same)[:, n:]), np.exp(rows[has]), atol=1e-12
        )
    other = found.has["other_belief"]
    assert other.any() == (process.name != "fixed-categorical")
    another = beliefs_after(process, symbols, n).numbers
    flat = np.concatenate(
        [np.asarray(v, float).reshape(120, -1) for v in jax.tree.leaves(another)], axis=1
    )
    differs = np.abs(flat - flat[found.other]).max(1, initial=0) > 1e-9
    np.testing.assert_array_equal(differs, other)


def test_the_nearest_belief_by_brute_force():
    process, tasks = MESS3, 40
    learner = believer(process)
    found = measure_interventions(learner, process, jax.random.key(3), tasks)
    key_tasks, _ = jax.random.split(jax.random.key(3))
    symbols = np.asarray(process.sample(key_tasks, tasks, 98))[:, :6]
    least, most = [], []
    for n in found.draws:
        kls = []
        for b in range(tasks):
            own = forward(process.matrices, np.full(3, 1 / 3), symbols[b, :n])
            others = [
                forward(process.matrices, np.full(3, 1 / 3), row[:n])
                for row in symbols
                if (row[:n] != symbols[b, :n]).any()
            ]
            distances = [((belief - own) ** 2).sum() for belief in others]
            of_near = []
            # Beliefs that are mirrored in one's own are equally near: rounding decides.
            for near in (
                o for o, d in zip(others, distances, strict=True) if d < min(distances) + 1e-12
            ):
                terms = []
                for t in range(n, 6):
                    p, q = (
                        forward(process.matrices, start, symbols[b, n:t])
                        @ process.matrices.sum(-1).T
                        for start in (own, near)
                    )
                    terms.append((p * np.log(p / q)).sum())
                of_near.append(np.mean(terms))
            kls.append((min(of_near), max(of_near)))
        for bounds, ends in zip((least, most), np.mean(kls, axis=0), strict=True):
            bounds.append(ends)
    curve = [e.mean for e in found.by_draws["nearest_belief_bayes"]]
    assert (np.array(curve) >= np.array(least) * (1 - 1e-6)).all()
    assert (np.array(curve) <= np.array(most) * (1 + 1e-6)).all()
    np.testing.assert_allclose(least, most, rtol=0.1)
    np.testing.assert_allclose(least[-2:], most[-2:], rtol=1e-6)


# every process


@pytest.mark.parametrize("process", [*SHORT, "sticky"], ids=str)
def test_every_process_is_examined(process, monkeypatch):
    monkeypatch.setattr(interventions, "MOST_PLACES", 4)  # as many as the short tasks have
    process = sticky() if process == "sticky" else process
    found = examine(untrained(process, "gru", 2), process, key=jax.random.key(0), streams=40)
    numbers = json.loads(json.dumps(document(found), allow_nan=False))
    own = [*process.coordinates(process.initial_belief(1))]
    wanted = own if "posterior_mean" in own else [*own, "predictive"]
    assert [*numbers["probes"]] == [*wanted, "place"]
    assert numbers["early"].startswith("How the network was trained is not known")
    for of_target in numbers["probes"].values():
        assert of_target.keys() == {"trained", "untrained", "place_only"}
    if process.name == "fixed-categorical":
        assert numbers["swaps"]["kl"].keys() == {"same_belief"}
    else:
        assert "other_belief" in numbers["swaps"]["kl"]
    for way in ("bayes_from_state", "network_from_belief"):
        for kl in numbers["simulation"][way]["trained"].values():
            assert kl["mean"] > -1e-12
    assert headline(found)
    assert all(len(row) == len(t.head) for t in tables(found) for row in t.rows)
    if process.name in ("fixed-categorical", "rrxor"):
        names = [panel.name for panel in panels(found)]
        assert ("belief" in names) == (process.name == "rrxor")
        groups = to_datatree(found).groups
        assert {"/probes", "/simulation", "/trajectories"} <= set(groups)


def test_a_process_without_finite_numbers_says_so():
    @dataclass(frozen=True)
    class Logs(Mess3):
        name = "logs"

        def initial_belief(self, draws=0):
            return jnp.array([0.0, -jnp.inf, -jnp.inf])

        def to_numbers(self, belief):
            return belief

        def from_numbers(self, numbers):
            return numbers

    process = Logs(0.6, 0.0, 6)
    found = measure_simulation({"trained": untrained(process)}, process, jax.random.key(0), 20)
    assert isinstance(found, NoSimulation)
    assert "to_numbers and from_numbers" in found.reason


# early in training


def test_the_start_of_a_training_is_trained_again(network_file):
    """All of its iterations again are the network itself, to rounding."""
    from meta_learning.recipes import make_recipe

    learner = Learner.load(network_file)
    process = DirichletCategorical((10, 1, 1), 4)
    recipe = make_recipe("coursework", iterations=6, batch_size=4, unroll=8)
    again = train_start(learner, process, recipe, 6)
    for name, leaf in learner.params.items():
        np.testing.assert_allclose(again.params[name], leaf, rtol=1e-5, atol=1e-6)
    early = early_learner(learner, process)
    assert early.says == "Early: the same training, stopped after 1 of 6 iterations."
    once = train_start(learner, process, recipe, 1)
    assert all((once.params[k] == v).all() for k, v in early.learner.params.items())
    assert any((once.params[k] != v).any() for k, v in learner.params.items())


def test_the_command_takes_any_process(cache, tmp_path):
    out = tmp_path / "out"
    given = ("--process", "golden-mean", "--param", "T=6", *TINY)
    result = run("hidden", *given, "--cell", "gru", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.replace(str(out), "").splitlines())) <= 80
    found = json.loads((out / "hidden.json").read_text())
    assert found["process"] == {"name": "golden-mean", "p": 0.5, "T": 6}
    assert found["probes"]["state_probabilities"].keys() == {
        "trained",
        "early",
        "untrained",
        "place_only",
    }
    assert found["swaps"]["kl"]["other_belief_bayes"]["mean"] is None
    assert "infinite" in result.stdout
    assert found["simulation"]["bayes_from_state"].keys() == {"trained", "early", "untrained"}
    assert (out / "belief.png").exists()
