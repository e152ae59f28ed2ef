"""The hidden state: each figure against networks and data whose answer is known."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TRAIN
from naive import STEPS
from running import run

from analysis.hidden import examine as hidden
from analysis.hidden import interventions, partners, probes
from analysis.hidden import results as hidden_results
from analysis.hidden.carry_over import state_carry_over
from analysis.hidden.dimensions import (
    measure_dimensions,
    number_needed,
    prediction_basis,
    prediction_lost,
    principal_components,
)
from analysis.hidden.jacobian import state_after_reset, step_jacobian, step_jacobians
from analysis.hidden.probes import (
    explain_directions,
    linear_probe,
    place_probe,
    places_in_task,
    r_squared,
)
from analysis.hidden.states import part_names, states_along
from autoregressive.cells import CELLS, RECURRENT
from autoregressive.cells.base import Cell
from autoregressive.model import Model, cell_params
from autoregressive.scores import kl
from autoregressive.unroll.scan import portable_unroll
from meta_learning.learner import Learner, encode, learner_model
from meta_learning.processes import DirichletCategorical, drawn_places, task_counts
from meta_learning.processes.places import stream_length

ALPHA, T = (2.0, 1.0, 1.0), 8
PROCESS = DirichletCategorical(ALPHA, T)
FILES = {
    "report.html",
    "hidden.json",
    "hidden.nc",
    "manifest.json",
    "network-seed0.safetensors",
    *(
        f"{stem}.{kind}"
        for kind in ("png", "svg")
        for stem in (
            "spectrum",
            "directions",
            "trajectories",
            "probes",
            "belief",
            "swaps",
            "simulation",
            "eigenvalues",
        )
    ),
}


@dataclass(frozen=True, kw_only=True)
class Counter(Model):
    """A network that is Bayes: its state holds the counts of the task, and besides them a clock of
    the stream that the read-out ignores."""

    cell: Cell | None = None
    outputs: int = len(ALPHA) + 1
    alpha: tuple[float, ...] = ALPHA
    T: int = T
    clock: float = 0.0

    def initial_state(self, batch=()):
        return (jnp.zeros((*batch, len(self.alpha) + 1), jnp.float32),)

    def step(self, params, state, x):
        (h,) = state
        counts = (h[..., :-1] + x[..., :-1]) * (1 - x[..., -1:])
        h = jnp.concatenate([counts, h[..., -1:] + self.clock], axis=-1)
        return (h,), self.read_out(params, h)

    def read_out(self, params, h):
        counts = h[..., :-1]
        symbols = jnp.log(jnp.broadcast_to(jnp.asarray(self.alpha), counts.shape) + counts)
        last = counts.sum(-1, keepdims=True) > self.T - 1.5
        return jnp.concatenate([symbols, jnp.where(last, 50.0, -50.0)], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Attention(Model):
    """Its memory is all it has read."""

    cell: Cell | None = None

    def initial_state(self, batch=()):
        return (jnp.zeros((*batch, 10, 4)),)


def learner_of(model):
    return Learner(model, {}, len(ALPHA), {})


def untrained(cell, hidden=5, seed=0):
    model = learner_model(3, cell, hidden)
    return Learner(model, model.init(jax.random.key(seed)), 3, {})


@cache
def sampled():
    return np.asarray(PROCESS.sample(jax.random.key(0), 200, T * 3))


def streams(count=60):
    return sampled()[:count]


# states


@pytest.mark.parametrize("cell", RECURRENT)
def test_what_passes_a_reset_by_a_loop(cell):
    states = states_along(untrained(cell), streams(20))
    found = state_carry_over(PROCESS, states)
    for space in states.spaces:
        values = states.space(space)
        spread = [((v - v.mean(0)) ** 2).sum() for v in np.moveaxis(values, 1, 0)]
        # Row T has seen the RESET at the T-th place, row T - 1 has not.
        wanted = (spread[T] + spread[2 * T]) / (spread[T - 1] + spread[2 * T - 1])
        assert found.variance[space].mean == pytest.approx(wanted, rel=1e-9)
        assert found.variance[space].low < wanted < found.variance[space].high
    q = np.exp(states.log_q)
    terms = [q[:, 0] * (states.log_q[:, 0] - states.log_q[:, t]) for t in (T, 2 * T)]
    assert found.kl.mean == pytest.approx(np.mean(np.sum(terms, axis=-1)), rel=1e-9)


@pytest.mark.parametrize("cell", RECURRENT)
def test_states_are_those_of_a_loop_and_predict_what_the_network_does(cell):
    learner, symbols = untrained(cell), streams(4)
    found = states_along(learner, symbols)
    state = learner.model.initial_state((4,))
    for t, seen in enumerate([np.full(4, 3), *symbols.T[:-1]]):
        state, _ = learner.model.step(learner.params, state, jax.nn.one_hot(seen, 4))
        for name, part in zip(found.parts, state, strict=True):
            np.testing.assert_allclose(found.parts[name][:, t], part, atol=1e-6)
    np.testing.assert_allclose(found.log_q, learner.log_predictive(symbols), atol=1e-5)
    assert found.space(found.whole).shape == (4, 24, 5 * len(found.parts))


@pytest.mark.parametrize("cell", [name for name in CELLS if name not in RECURRENT])
def test_the_first_part_of_every_cell_is_what_comes_out(cell):
    learner, symbols = untrained(cell), streams(4)
    found = states_along(learner, symbols)
    _, h = portable_unroll(
        learner.model.cell,
        cell_params(learner.params),
        learner.model.initial_state((4,)),
        jnp.swapaxes(encode(symbols, 3), 0, 1),
    )
    np.testing.assert_allclose(found.parts["h"], jnp.swapaxes(h, 0, 1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.log_q, learner.log_predictive(symbols), atol=1e-5)
    names = {"mingru": "hc", "lru": "hcd"}.get(cell, "h")
    assert found.whole == "".join(part_names(learner.model)) == names


@pytest.mark.parametrize("cell", ["lru", "mamba"])
def test_a_swap_is_as_having_read_the_other_history(cell):
    """By the state, where it is vectors, and of any other."""
    learner = untrained(cell)
    found = interventions.measure_interventions(learner, PROCESS, jax.random.key(0), 40)
    symbols = np.asarray(
        PROCESS.sample(jax.random.split(jax.random.key(0))[0], 40, stream_length(T))
    )
    symbols = symbols[:, : T - 1]
    rng = np.random.default_rng(
        np.asarray(jax.random.key_data(jax.random.split(jax.random.key(0))[1]))
    )
    own, shares = learner.log_predictive(symbols), []
    for n in found.draws:
        pairs = partners.partners(rng, PROCESS, symbols, int(n))
        mixed = np.concatenate([symbols[pairs.other, :n], symbols[:, n:]], axis=1)
        effect = kl(own, learner.log_predictive(mixed))[:, n:].mean(1)
        shares.append(effect[pairs.has["same_belief"] & pairs.has["other_belief"]])
    wanted = np.concatenate(shares)
    assert len(wanted) == found.pairs
    assert found.mean["other_counts"].mean == pytest.approx(wanted.mean(), rel=2e-4)
    assert {"other_counts_h", "other_counts_c", "other_counts_d"} & found.mean.keys() == (
        {"other_counts_h", "other_counts_c", "other_counts_d"} if cell == "lru" else set()
    )
    if cell == "lru":  # what comes out is read off once, at the swap, and never again
        by_lag = found.by_lag["other_counts_h"]
        assert by_lag[0].mean > 0
        assert max(point.mean for point in by_lag[1:]) < 1e-9


def test_the_counter_is_bayes():
    symbols = streams()
    log_q = states_along(learner_of(Counter(clock=1.0)), symbols).log_q
    assert kl(PROCESS.log_predictive(symbols), log_q).max() < 1e-6


def test_an_own_network_whose_state_is_no_tuple_of_vectors_is_refused():
    own = Attention(outputs=4)
    with pytest.raises(ValueError, match="needs a network built on a cell"):
        part_names(own)
    with pytest.raises(ValueError, match="needs a network built on a cell"):
        hidden.examine(learner_of(own), PROCESS, key=jax.random.key(0), streams=8)


def test_a_symbol_the_network_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.3"):
        states_along(untrained("gru"), np.full((2, 3), 4))


# dimensions


def test_principal_components_are_those_of_the_svd():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 5, 6)) @ rng.normal(size=(6, 6)) + 3
    found = principal_components(values)
    flat = values.reshape(-1, 6)
    _, singular, directions = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    np.testing.assert_allclose(found.mean, flat.mean(0))
    np.testing.assert_allclose(found.eigenvalues, singular**2 / len(flat))
    np.testing.assert_allclose(abs((found.directions * directions.T).sum(0)), 1)


def test_the_number_needed_is_the_first_from_which_on_the_share_stays():
    assert number_needed(np.array([0, 0.5, 0.99, 0.98, 0.995, 1])) == 4
    assert list(number_needed(np.array([[0, 1.0], [0, 0.5]]))) == [1, math.inf]
    assert number_needed(np.full(3, np.nan)) == math.inf


def test_what_a_projection_loses():
    """All directions lose nothing, none lose the mean state's KL, worked out in NumPy."""
    learner = untrained("lstm")
    states = states_along(learner, streams(10))
    h = states.space("h")
    found = principal_components(h)
    from analysis.hidden.dimensions import Basis

    lost = prediction_lost(
        learner, states, h, Basis(found.mean, found.directions.T, found.directions)
    )
    w0, b0, w1, b1 = (np.asarray(learner.params[f"readout.{n}.{k}"]) for n in (0, 1) for k in "wb")
    logits = np.maximum(w0 @ np.maximum(found.mean, 0) + b0, 0) @ w1.T + b1
    mean = logits - np.log(np.exp(logits).sum())
    np.testing.assert_allclose(lost[..., 0], kl(states.log_q, mean), atol=1e-6)
    np.testing.assert_allclose(lost[..., -1], 0, atol=1e-6)


def test_variance_that_the_prediction_does_not_feel():
    """A clock of large variance comes first by variance, carries nothing, and is never felt."""
    learner = learner_of(Counter(clock=5.0))
    states = states_along(learner, streams(200))
    halves = states.streams(slice(0, 100)), states.streams(slice(100, None))
    drawn = drawn_places(states.symbols.shape[1], T)
    found = measure_dimensions(learner, *halves, "h", drawn)
    assert found.shares["variance"].share[1] > 0.9
    assert abs(found.shares["prediction"].share[1]) < 0.05
    assert found.shares["prediction"].share[4] == pytest.approx(1, abs=1e-5)
    assert found.shares["ranked_prediction"].needed.mean <= 3
    felt = prediction_basis(learner, halves[0].space("h")[:, drawn]).encode[:2]
    assert abs(felt[:, -1]).max() < 1e-3 * abs(felt).max()


# probes


def parted(values):
    half = len(values) // 2
    return values[:half], values[half:]


def test_a_probe_reads_what_is_linear_and_nothing_from_noise():
    rng = np.random.default_rng(0)
    symbols = streams(200)
    counts = task_counts(symbols, 3, T).astype(float)
    mixed = counts @ rng.normal(size=(3, 7)) + 2
    noise = rng.normal(size=(*symbols.shape, 7))
    (y, other_y) = parted(counts)
    for x, low, high in ((mixed, 1 - 1e-12, 1 + 1e-12), (noise, -0.05, 0.01)):
        found = r_squared(other_y, probes.read_off({"counts": y}, *parted(x))["counts"])
        for estimate in (found.r2, *found.by_column):
            assert low <= estimate.low <= estimate.mean <= estimate.high <= high


def test_r_squared_is_what_its_definition_says():
    rng = np.random.default_rng(0)
    y, answer = rng.normal(size=(2, 30, 7, 2))
    found = r_squared(y, answer)
    errors, spread = (((y - a) ** 2).sum((0, 1)) for a in (answer, y.mean((0, 1))))
    np.testing.assert_allclose([e.mean for e in found.by_column], 1 - errors / spread)
    assert found.r2.mean == pytest.approx(1 - errors.sum() / spread.sum())
    assert r_squared(np.full((5, 3, 1), 0.1), np.zeros((5, 3, 1))).r2.mean is None


def test_the_place_alone():
    rng = np.random.default_rng(0)
    place = places_in_task(PROCESS, 20)
    y = np.sin(place)[None, :, None] + 0 * rng.normal(size=(6, 20, 2))
    np.testing.assert_allclose(place_probe(y, place), y[:1])
    assert list(place[:9]) == [1, 2, 3, 4, 5, 6, 7, 8, 1]


def test_least_squares_has_an_intercept():
    x = np.random.default_rng(0).normal(size=(4, 5, 2))
    np.testing.assert_allclose(linear_probe(x, 3 * x + 1, x), 3 * x + 1)


def test_causes_of_a_direction():
    rng = np.random.default_rng(0)
    symbols = streams(200)
    counts = task_counts(symbols, 3, T)
    shape = symbols.shape
    of_task = np.broadcast_to(np.sin(places_in_task(PROCESS, shape[1])), shape)
    of_stream = np.broadcast_to(np.arange(shape[1]) ** 2 / 100, shape)
    y = np.stack([of_task, counts[..., 1] + of_task, of_stream, rng.normal(size=shape)], axis=-1)
    found = explain_directions(PROCESS, *zip(parted(symbols), parted(y), strict=True))
    rows = {name: [e.mean for e in score.by_column] for name, score in found.items()}
    one = pytest.approx(1, abs=1e-9)
    assert rows["place"][0] == rows["belief"][0] == rows["stream"][0] == one
    assert rows["place"][1] < 0.9 and rows["belief"][1] == one
    assert rows["belief"][2] < 0.9 and rows["stream"][2] == one
    assert max(row[3] for row in rows.values()) < 0.01


# interventions


def test_a_network_of_counts_feels_other_counts_as_bayes_does_and_order_not_at_all():
    found = interventions.measure_interventions(
        learner_of(Counter(clock=1.0)), PROCESS, jax.random.key(0), 300
    )
    assert found.mean["same_counts"].mean == 0
    assert found.mean["other_counts"].mean > 0.01
    assert found.ratio["other_counts_bayes"].mean == pytest.approx(1, abs=1e-5)
    assert list(found.draws) == [2, 3, 4, 5, 6]
    for kind in ("same_counts", "other_counts"):
        assert len(found.by_draws[kind]) == 5
        assert len(found.by_lag[kind]) == T - 1 - found.chosen


@pytest.mark.parametrize("cell", RECURRENT)
def test_a_swapped_state_is_another_history(cell):
    """Equal states change nothing; all of another's state is as having read its symbols."""
    learner = untrained(cell)
    symbols = streams(20)[:, : T - 1]
    own = states_along(learner, symbols)
    n = 3
    state = tuple(part[:, n] for part in own.parts.values())
    same = interventions.predictions_after(learner, state, symbols, n)
    np.testing.assert_allclose(same, own.log_q[:, n:], atol=1e-6)
    partner = np.roll(np.arange(20), 1)
    swapped = interventions.predictions_after(learner, tuple(s[partner] for s in state), symbols, n)
    mixed = np.concatenate([symbols[partner, :n], symbols[:, n:]], axis=1)
    np.testing.assert_allclose(swapped, learner.log_predictive(mixed)[:, n:], atol=1e-5)


def test_partners():
    rng = np.random.default_rng(0)
    histories = rng.integers(0, 3, (200, 4))
    ordered, has_order = partners.other_order(rng, histories)
    np.testing.assert_array_equal(np.sort(ordered, 1), np.sort(histories, 1))
    np.testing.assert_array_equal(has_order, np.ptp(histories, axis=1) > 0)
    assert (ordered != histories)[has_order].any(1).all()
    counts = PROCESS.statistic(histories)
    partner, has_partner = partners.other_row(rng, counts)
    assert has_partner.all()
    assert (np.sort(histories[partner], 1) != np.sort(histories, 1)).any(1).all()
    alike = np.zeros((5, 4), int)
    assert not partners.other_row(rng, alike)[1].any()


def test_orders_are_uniform_among_the_others():
    rng = np.random.default_rng(0)
    ordered, _ = partners.other_order(rng, np.tile([0, 1, 2], (6_000, 1)))
    found = np.unique(ordered, axis=0, return_counts=True)[1]
    assert len(found) == 5
    assert abs(found - 1_200).max() < 5 * math.sqrt(1_200)


@pytest.mark.parametrize("T", [2, 3])
def test_tasks_too_short_to_swap(T):
    process = DirichletCategorical(ALPHA, T)
    assert (
        interventions.measure_interventions(untrained("gru"), process, jax.random.key(0), 10)
        is None
    )


# Jacobian


def step_in_numpy(cell, params, state, x):
    """One step in float64, states one after another."""
    p = {k.removeprefix("cell."): np.asarray(v, np.float64) for k, v in params.items()}
    step, parts = STEPS[cell]
    return np.concatenate(step(p, np.split(state, parts), x))


@pytest.mark.parametrize("cell", RECURRENT)
def test_jacobian_against_finite_differences(cell):
    learner = untrained(cell)
    rng = np.random.default_rng(0)
    learner = Learner(
        learner.model,
        {
            k: v + 0.3 * rng.normal(size=v.shape).astype(np.float32)
            for k, v in learner.params.items()
        },
        3,
        {},
    )
    inputs = np.eye(4)
    zeros = np.zeros(5 * len(part_names(learner.model)))
    after_reset = step_in_numpy(cell, learner.params, zeros, inputs[3])
    state = state_after_reset(learner)
    np.testing.assert_allclose(np.concatenate(state), after_reset, atol=1e-12)
    for found, x in zip(step_jacobians(learner), inputs, strict=True):
        wanted = np.empty((len(zeros), len(zeros)))
        for k, direction in enumerate(1e-5 * np.eye(len(zeros))):
            ahead, behind = (
                step_in_numpy(cell, learner.params, after_reset + s * direction, x) for s in (1, -1)
            )
            wanted[:, k] = (ahead - behind) / 2e-5
        jacobian = step_jacobian(learner, state, x)
        np.testing.assert_allclose(jacobian, wanted, atol=1e-9)
        assert np.prod(found.eigenvalues) == pytest.approx(np.linalg.det(wanted), abs=1e-9)
        assert found.eigenvalues.sum() == pytest.approx(np.trace(wanted), abs=1e-8)
        assert found.gain == pytest.approx(np.linalg.svd(wanted)[1][0])
        assert found.spectral_radius == pytest.approx(abs(np.linalg.eigvals(wanted)).max())
    assert not jax.config.jax_enable_x64


def test_timescales():
    from analysis.hidden.jacobian import StepJacobian

    scales = StepJacobian(0, np.array([1.0, math.exp(-0.1), -math.exp(-1), 0j]), 1.0).timescales
    np.testing.assert_allclose(scales, [math.inf, 10, 1, 0])


# the whole, and the command


def test_the_untrained_network_is_where_training_started(network_file):
    from meta_learning.learner import INIT
    from meta_learning.recipes import make_recipe

    learner = Learner.load(network_file)
    key = jax.random.fold_in(jax.random.key(learner.settings["seed"]), INIT)
    wanted = learner.model.init(key, make_recipe("coursework", unroll=8).timescale)
    found = hidden.initial_learner(learner).params
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), found, wanted))


def test_more_states_than_memory_should_hold_are_refused():
    with pytest.raises(ValueError, match="use at most"):
        hidden.check_can_examine(learner_model(3, "lstm", 1024), PROCESS, 1_000_000)


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_command(network_file, tmp_path):
    out = tmp_path / "out"
    result = run("hidden", "--checkpoint", network_file, "--streams", 60, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.replace(str(out), "").splitlines())) <= 80
    assert {path.name for path in out.iterdir()} == FILES
    found = strict((out / "hidden.json").read_text())
    assert found["alpha"] == [10.0, 1.0, 1.0] and found["T"] == 4
    assert found["spectrum"].keys() == {"h", "c", "hc"}
    assert found["probes"].keys() == {"counts", "posterior_mean", "log_concentration", "place"}
    assert len(found["probes"]["counts"]["untrained"]["hc"]["by_symbol"]) == 3
    assert found["swaps"]["kl"]["same_counts"] == found["swaps"]["kl"]["same_belief"]
    assert found["directions"]["h"]["counts"] == found["directions"]["h"]["belief"]
    assert found["swaps"]["draws"] == [2]
    assert [len(j["eigenvalues"]) for j in found["jacobian"]] == [8] * 4
    page = (out / "report.html").read_text("utf-8")
    assert page.count("<figure") == page.count('role="img" aria-label=') == 8
    import xarray as xr

    with xr.open_datatree(out / "hidden.nc", engine="h5netcdf") as tree:
        assert tree["jacobian"]["eigenvalue_real"].shape == (4, 8)
        values = tree["probes"]["r2_trained"].sel(space="hc", target="counts", bound="mean")
        assert float(values) == found["probes"]["counts"]["trained"]["hc"]["mean"]


def test_the_command_finds_what_compare_trained(filled_cache):
    result = run("hidden", *TRAIN[1:], "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert strict(result.stdout)["test"] == {"streams": 60, "held_out": 30, "length": 100}


@pytest.mark.parametrize(("T", "last"), [(2, None), (math.inf, 99)])
def test_tasks_of_one_draw_and_without_end(T, last):
    """T=2: the counts are always 0, and there is nothing to swap. T=inf: nothing passes a RESET."""
    learner = untrained("gru", 2)
    learner.settings.update(cell="gru", hidden=2)
    process = DirichletCategorical(ALPHA, T)
    found = hidden.examine(learner, process, key=jax.random.key(0), streams=4)
    numbers = strict(json.dumps(hidden_results.document(found), allow_nan=False))
    assert numbers["spectrum"].keys() == {"h"}
    assert (numbers["swaps"] is None) == (last is None)
    assert last is None or numbers["swaps"]["draws"][-1] == last
    assert (numbers["probes"]["counts"]["trained"]["h"]["mean"] is None) == (T == 2)
    assert (numbers["carried_through_reset"]["kl"]["mean"] is None) == (math.inf == T)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say what to train on"),
        (("--experiment", "M9"), "unknown experiment"),
        (("--alpha", "10,1,1", "--T", "1"), "no drawn symbol"),
        (("--alpha", "10,1,1", "--T", "4", "--cell", "rnn"), "unknown cell"),
        (("--alpha", "10,1,1", "--T", "4", "--streams", "3"), "x>=4"),
        (("--alpha", "10,1,1", "--T", "4", "--streams", "10000000"), "use at most"),
        (("--checkpoint", "none", "--cell", "gru"), "cannot be given with --checkpoint"),
        (("--checkpoint", "none"), "none"),
    ],
    ids=str,
)
def test_mistakes_are_answered_in_one_line(cache, tmp_path, arguments, says):
    result = run("hidden", *arguments, "--out", tmp_path / "out")
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert says in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
