"""The exact gap against enumeration of all histories in float64 NumPy and exact fractions."""

import dataclasses
import itertools
import json
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from judges import exact_losses, predictive
from networks import deep, learner, naive_log_predictive

from analysis.audit.decomposition import (
    by_counts,
    by_position,
    exchangeable,
    number_of_orders,
    probabilities,
)
from analysis.audit.exact_gap import cost, exact_gap
from analysis.audit.gap import TERMS, gap_by_counts
from analysis.audit.tree import partial_sums
from analysis.audit.tree.count_vectors import all_counts
from analysis.audit.tree.count_walk import CountWalk, make_plan
from analysis.audit.tree.prefix_tree import node_values, tree_nodes
from analysis.audit.tree.size import default_draws
from analysis.comparison.compare import compare
from autoregressive.cells import CELLS
from meta_learning.processes import DirichletCategorical


def sequence_probability(alpha, history):
    """The Dirichlet-multinomial probability of one sequence, in exact fractions."""
    probability, counts = Fraction(1), [0] * len(alpha)
    for symbol in history:
        probability *= predictive(alpha, tuple(counts))[symbol]
        counts[symbol] += 1
    return probability


def naive(net, alpha, T):
    """(gap, leak, order, counts, reset) by position, history by history."""
    K, rows = len(alpha), []
    for n in range(T - 1):
        groups, terms = {}, np.zeros(5)
        for history in itertools.product(range(K), repeat=n):
            key = tuple(history.count(k) for k in range(K))
            weight = float(sequence_probability(alpha, history))
            groups.setdefault(key, []).append((weight, naive_log_predictive(net, history)))
        for key, found in groups.items():
            b = np.array([float(p) for p in predictive(alpha, key)])
            log_q = np.array([q for _, q in found])
            log_rest = np.log1p(-np.exp(log_q[:, -1]))
            within = log_q[:, :-1] - log_rest[:, None]
            G = np.exp(within.mean(0))
            g = G / G.sum()
            of_group = [
                (b * (np.log(b) - log_q[:, :-1])).sum(1).mean(),
                -log_rest.mean(),
                (g * (np.log(g) - within)).sum(1).mean(),  # the mean of KL(g || q~)
                (b * (np.log(b) - np.log(g))).sum(),
                np.exp(log_q[:, -1]).mean(),
            ]
            terms += sum(w for w, _ in found) * np.array(of_group)
        rows.append(terms)
    return np.array(rows).T


def assert_terms_sum(found):
    """The budget's terms are not negative and sum to the gap, position by position."""
    for budget in (found.decomposition, found.cells):
        terms = np.array([getattr(budget, name) for name in TERMS])
        assert (terms >= 0).all()
        np.testing.assert_allclose(terms.sum(0), budget.gap, rtol=1e-9, atol=1e-14)
    assert sum(found.terms.values()) == pytest.approx(found.gap, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(
    "alpha, T, cell",
    [
        ((10.0, 1.0, 1.0), 6, "lstm"),
        ((10.0, 1.0, 1.0), 5, "gru"),
        ((0.5, 2.0), 6, "lstm"),
        ((1.0,) * 4, 4, "gru"),
        ((3.0, 1.0), 2, "lstm"),
    ],
    ids=str,
)
def test_gap_and_budget_are_those_of_enumeration(alpha, T, cell):
    net = learner(len(alpha), cell)
    found = exact_gap(net, DirichletCategorical(alpha, T))
    expected = naive(net, alpha, T)
    ours = [getattr(found.decomposition, name) for name in ("gap", *TERMS, "reset")]
    # The network itself runs in float32 here and in float64 there.
    np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-7)
    assert found.gap == pytest.approx(expected[0].mean(), rel=1e-5)
    assert_terms_sum(found)
    assert found.nodes == sum(len(alpha) ** n for n in range(T - 1))


def test_the_split_of_the_tree_does_not_matter(monkeypatch):
    net, process = learner(3, "gru"), DirichletCategorical((10, 1, 1), 8)
    whole = exact_gap(net, process)
    deep(monkeypatch)
    plan = make_plan(net.model, 3, 7)
    assert (plan.stem, plan.branch) == (3, 3)
    done = []
    split = exact_gap(net, process, on_progress=lambda *now: done.append(now))
    np.testing.assert_allclose(split.by_position, whole.by_position, rtol=1e-6)
    np.testing.assert_allclose(
        split.cells.same_belief, whole.cells.same_belief, rtol=1e-5, atol=1e-10
    )
    assert done == sorted(done)
    assert done[-1] == (whole.nodes, whole.nodes)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("in_chunks", [False, True])
def test_it_agrees_with_the_learner_on_every_history(cell, in_chunks, monkeypatch):
    net, process = learner(cell=cell), DirichletCategorical((10, 1, 1), 7)
    if in_chunks:
        deep(monkeypatch, hidden=max(part.size for part in net.model.initial_state()))
        plan = make_plan(net.model, 3, 6)
        assert plan.stem == 2 and plan.branch == 3
    found = exact_gap(net, process)
    streams = np.array([[*h, 3] for h in itertools.product(range(3), repeat=6)])
    log_q, log_b = net.log_predictive(streams), process.log_predictive(streams)
    weights = np.exp(np.take_along_axis(log_b, streams[..., None], -1)[..., 0].sum(-1))
    here = np.s_[:, :6, :3]
    kl = (np.exp(log_b[here]) * (log_b[here] - log_q[here])).sum(-1)
    # Two programs round logits of 10 by 1e-6 each in float32: so much of a gap or a probability.
    np.testing.assert_allclose(weights @ kl, found.by_position, rtol=5e-6)
    np.testing.assert_allclose(
        weights @ np.exp(log_q[:, :6, 3]), found.decomposition.reset, rtol=1e-6, atol=1e-8
    )


def test_a_gap_of_1e_9_keeps_its_digits():
    # A read-out with no weights says Bayes's first answer but for the rounding of its biases.
    net = learner(scale=0.0)
    bias = np.log(np.array([10, 1, 1, 1e-9]) / 12).astype(np.float32)
    net.params["readout.1.b"] = jax.numpy.asarray(bias)
    found = exact_gap(net, DirichletCategorical((10, 1, 1), 2))
    q = [Fraction(float(np.exp(np.float64(v)))) for v in bias]
    expected = math.log1p(float(q[3] / sum(q[:3])))
    assert found.terms["leak"] == pytest.approx(expected, rel=1e-9)
    assert found.gap == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "alpha, value", [((10.0, 1.0, 1.0), 0.02542), ((1.0, 1.0, 1.0), 0.16690)], ids=str
)
def test_memoryless_has_its_exact_value(alpha, value):
    counts = all_counts(3, 19)
    process = DirichletCategorical(alpha, 20)
    # Sums of a network that always says the prior mean: its gap is memoryless's own.
    log_prior = np.log(np.array(alpha) / sum(alpha))
    rows = np.append(log_prior, [0.0, 0.0]) * number_of_orders(counts)[:, None]
    found = gap_by_counts(process, counts, rows, tree_nodes(3, 19))
    assert found.memoryless == pytest.approx(value, abs=5e-6)
    assert found.memoryless == pytest.approx(exact_losses(alpha, 20)[1], rel=1e-9)
    assert found.gap == pytest.approx(found.memoryless, rel=1e-12)
    assert found.gap_closed == pytest.approx(0, abs=1e-12)
    assert found.terms["same_belief"] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("alpha", [(10.0, 1.0, 1.0), (0.3, 2.5), (1e6, 1e-6, 3.0)], ids=str)
def test_probabilities_of_counts_are_those_of_fractions(alpha):
    process, K = DirichletCategorical(alpha, 7), len(alpha)
    counts = all_counts(K, 6)
    expected = {}
    for n in range(6):
        for history in itertools.product(range(K), repeat=n):
            key = tuple(history.count(k) for k in range(K))
            expected[key] = expected.get(key, 0) + sequence_probability(alpha, history)
    assert [tuple(c) for c in counts.tolist()] == sorted(
        expected, key=lambda c: (sum(c), *(-v for v in c))
    )
    np.testing.assert_allclose(
        probabilities(process, counts),
        [float(expected[tuple(c)]) for c in counts.tolist()],
        rtol=1e-12,
    )


@given(
    logits=st.lists(st.floats(-30, 30), min_size=24, max_size=24),
    alpha=st.tuples(*[st.floats(1e-3, 1e3)] * 3),
)
@settings(deadline=None)
def test_terms_are_not_negative_and_sum_to_the_gap(logits, alpha):
    # Any answers to the first two positions: one history, then three with counts of their own, and
    # two histories made to share counts.

    with jax.enable_x64(True):
        values = np.asarray(node_values(jax.numpy.asarray(logits).reshape(6, 4)))
    counts = np.array([[1, 1, 0]])
    process = DirichletCategorical(alpha, 3)
    for pair in itertools.combinations(values, 2):
        sums = np.sum(pair, axis=0)[None]
        cells = by_counts(process, counts, sums)
        terms = np.array([getattr(cells, name) for name in TERMS])
        assert (terms >= 0).all()
        np.testing.assert_allclose(terms.sum(0), cells.gap, rtol=1e-12, atol=1e-13)
        b = np.exp(exchangeable(process).log_predictive(counts))[0]
        direct = [(b * (np.log(b) - v[:3] + v[3])).sum() for v in pair]
        assert cells.gap[0] == pytest.approx(np.mean(direct), rel=1e-9, abs=1e-12)


def test_monte_carlo_agrees():
    net, process = learner(), DirichletCategorical((10, 1, 1), 8)
    found = exact_gap(net, process)
    scores = compare(
        [net.log_predictive], process, process, key=jax.random.key(5), streams=20_000, length=8
    ).networks[0]
    error = scores.gap.std(ddof=1) / math.sqrt(20_000)
    assert abs(scores.gap.mean() - found.gap) < 4 * error
    wide = 4 * scores.gap_by_position_se + 1e-7
    assert (abs(scores.gap_by_position - found.by_position) < wide).all()


def test_a_killed_walk_resumes_to_the_same_bits(tmp_path, monkeypatch):
    net, process = learner(), DirichletCategorical((10, 1, 1), 8)
    deep(monkeypatch)
    monkeypatch.setattr(partial_sums, "_SAVE_EVERY_S", 0.0)
    whole = exact_gap(net, process)

    class Killed(BaseException):
        pass

    def kill(done, nodes):
        if done > nodes / 2:
            raise Killed

    with pytest.raises(Killed):
        exact_gap(net, process, folder=tmp_path, on_progress=kill)
    done = []
    resumed = exact_gap(net, process, folder=tmp_path, on_progress=lambda *n: done.append(n[0]))
    assert done[0] > whole.nodes / 2
    for name, value in vars(whole.cells).items():
        assert value.tobytes() == getattr(resumed.cells, name).tobytes()
    # A finished walk is not made again, under another alpha neither.
    monkeypatch.setattr(CountWalk, "stem", lambda self: pytest.fail("walked again"))
    again = exact_gap(net, DirichletCategorical((1, 1, 1), 8), folder=tmp_path)
    assert again.gap != whole.gap


def test_another_network_or_length_has_a_file_of_its_own(tmp_path, caplog):
    process = DirichletCategorical((10, 1, 1), 5)
    exact_gap(learner(), process, folder=tmp_path)
    exact_gap(learner(scale=2.0), process, folder=tmp_path)
    exact_gap(learner(), DirichletCategorical((10, 1, 1), 6), folder=tmp_path)
    files = sorted((tmp_path / "exact-gap").iterdir())
    assert len(files) == 3
    for file in files:
        file.write_bytes(b"damaged")
    found = exact_gap(learner(), process, folder=tmp_path)
    assert "starting anew" in caplog.text
    assert found.gap == exact_gap(learner(), process).gap


SHARDED = """
import json, sys, jax
sys.path.insert(0, sys.argv[1])
from networks import learner
from analysis.audit.tree import count_walk
from analysis.audit.exact_gap import exact_gap
from meta_learning.processes import DirichletCategorical
count_walk._CHUNK_UNITS = {"cpu": 9 * 6}
process = DirichletCategorical((10, 1, 1), 7)
one, two = (exact_gap(learner(), process, devices=jax.devices()[:n]) for n in (1, 2))
print(json.dumps([len(jax.devices()), one.by_position.tolist(), two.by_position.tolist()]))
"""


def test_two_devices_equal_one():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", SHARDED, str(Path(__file__).parents[1])]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    devices, one, two = json.loads(out.stdout)
    assert devices == 2
    np.testing.assert_allclose(two, one, rtol=1e-12)


def test_cost_is_told_before():
    net, process = learner(hidden=32), DirichletCategorical((10, 1, 1), 12)
    before = cost(net, process)
    assert before.nodes == 88_573
    assert 0 < before.seconds < 10
    assert 1e5 < before.bytes < 1e9


def test_of_infinite_tasks_the_first_draws_are_looked_at():
    net = learner()
    # 3^15 has 7 million histories before it, 3^16 21 million; of two symbols 20 draws have a million.
    assert default_draws(DirichletCategorical((10, 1, 1), math.inf)) == 15
    assert default_draws(DirichletCategorical((10, 1), math.inf)) == 20
    endless = exact_gap(net, DirichletCategorical((10, 1, 1), math.inf), draws=4)
    assert endless.gap == exact_gap(net, DirichletCategorical((10, 1, 1), 5)).gap


@pytest.mark.parametrize(
    "process, message",
    [
        (DirichletCategorical((10, 1, 1), 1), "T must be 2 or more"),
        (DirichletCategorical((10, 1), 5), "2 symbols, the network was trained with 3"),
        (DirichletCategorical((10, 1, 1), 25), r"1.4e\+11 histories.*goes up to T=24"),
        (DirichletCategorical((10, 1, 1), 100_000), "goes up to T=24"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_one_clear_line(process, message):
    for function in (exact_gap, cost):
        with pytest.raises(ValueError, match=message) as error:
            function(learner(), process)
        assert "\n" not in str(error.value)


def test_a_network_that_is_not_finite_is_an_error():
    net = learner()
    broken = dataclasses.replace(
        net, params=net.params | {"readout.1.b": np.full(4, np.nan, np.float32)}
    )
    with pytest.raises(ValueError, match="not finite"):
        exact_gap(broken, DirichletCategorical((10, 1, 1), 4))


def test_the_flag_of_float64_is_left_alone():
    exact_gap(learner(), DirichletCategorical((10, 1, 1), 4))
    assert not jax.config.jax_enable_x64
    assert jax.numpy.ones(1).dtype == np.float32


def test_the_document_is_plain_json():
    found = exact_gap(learner(2), DirichletCategorical((3, 1), 5))
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["gap"]["mean"] == found.gap
    assert sum(document["budget"][name]["mean"] for name in TERMS) == pytest.approx(found.gap)
    assert document["budget"]["order"] == document["budget"]["same_belief"]
    assert document["budget"]["counts"] == document["budget"]["rest"]
    two = exact_gap(learner(2), DirichletCategorical((3, 1), 2))
    assert two.document()["gap_closed"] is None


def test_by_position_weighs_counts_by_their_probability():
    process = DirichletCategorical((2, 1), 4)
    counts = all_counts(2, 3)
    ones = by_counts(
        process, counts, np.tile([-1.0, -1.0, 1.0, 0.5], (6, 1)) * number_of_orders(counts)[:, None]
    )
    found = by_position(counts.sum(-1), probabilities(process, counts), ones)
    np.testing.assert_allclose(found.reset, 0.5, rtol=1e-14)
