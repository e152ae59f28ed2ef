"""Comparison: predictors of every kind against Bayes, and the intervals that go with it."""

from __future__ import annotations

import json
import math
from functools import cache

import jax
import judges
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from analysis.comparison import results
from analysis.comparison.compare import compare
from analysis.comparison.estimates import estimate_all
from analysis.intervals import (
    Estimate,
    estimates,
    resampled_means,
    student,
    student_log,
    student_probability,
    student_share,
)
from analysis.report import publish as report
from autoregressive.cells import CELLS
from autoregressive.scores import kl
from meta_learning.learner import Learner, learner_model
from meta_learning.processes import PROCESSES, DirichletCategorical, FixedCategorical, Streams
from meta_learning.processes.places import stream_length
from meta_learning.references import Memoryless, ladder

PRIOR = DirichletCategorical((10, 1, 1), 5)
FLAT = DirichletCategorical((1.3, 1.3, 1.3), 5)
ENDLESS = DirichletCategorical((10, 1, 1), math.inf)


def untrained(cell="lstm", seed=0, num_symbols=3):
    model = learner_model(num_symbols, cell, 4)
    return Learner(model, model.init(jax.random.key(seed)), num_symbols, {})


def run(networks, prior=PRIOR, source=None, streams=200, **more):
    length = stream_length(prior.T)
    key = jax.random.key(0)
    return compare(
        networks, prior, source or prior, key=key, streams=streams, length=length, **more
    )


def document(comparison):
    """The JSON document after a trip through strict JSON."""
    found = results.document(comparison, estimate_all(comparison))
    return json.loads(json.dumps(found, allow_nan=False))


@cache
def sampled(prior):
    return Streams(*map(np.asarray, prior.sample_with_latent(jax.random.key(0), 6, 12)))


def predictors():
    """name -> function of (prior, streams), for networks and references alike."""
    networks = {cell: untrained(cell) for cell in CELLS}
    of_networks = {
        name: lambda prior, streams, n=network: n.log_predictive(streams.symbols)
        for name, network in networks.items()
    }
    of_references = {
        name: lambda prior, streams, n=name: ladder(prior, prior)[n](streams)
        for name in ladder(PRIOR, PRIOR)
    }
    return of_networks | of_references


@pytest.mark.parametrize("predictor", predictors().values(), ids=predictors())
@pytest.mark.parametrize("prior", [PRIOR, ENDLESS, DirichletCategorical((1, 1, 1), 1)], ids=repr)
def test_networks_and_references_return_the_same_type(predictor, prior):
    streams = sampled(prior)
    rows = predictor(prior, streams)
    assert isinstance(rows, np.ndarray)
    assert rows.dtype == np.float64
    assert rows.shape == (6, 12, 4)
    np.testing.assert_allclose(np.exp(rows).sum(-1), 1.0, rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_learner_is_causal(cell):
    learner, symbols = untrained(cell), np.asarray(PRIOR.sample(jax.random.key(0), 4, 12))
    before = learner.log_predictive(symbols)
    for t in range(12):
        changed = symbols.copy()
        changed[:, t] = (changed[:, t] + 1) % 4
        after = learner.log_predictive(changed)
        np.testing.assert_array_equal(after[:, : t + 1], before[:, : t + 1])
        assert t == 11 or (after[:, t + 1] != before[:, t + 1]).any()


def test_learner_takes_any_leading_axes_and_checks_symbols():
    learner, symbols = untrained(), np.asarray(PRIOR.sample(jax.random.key(0), 6, 12))
    rows = learner.log_predictive(symbols)
    again = learner.log_predictive(symbols.reshape(2, 3, 12)).reshape(rows.shape)
    np.testing.assert_allclose(again, rows, rtol=1e-6)
    np.testing.assert_allclose(learner.log_predictive(symbols[0]), rows[0], rtol=1e-5)
    for wrong in (4, -1):
        with pytest.raises(ValueError, match="knows the symbols"):
            learner.log_predictive(np.full((1, 5), wrong))


@pytest.mark.parametrize("prior", [PRIOR, ENDLESS], ids=repr)
def test_bayes_as_the_network_closes_the_gap(prior):
    found = document(run([prior.log_predictive], prior))
    assert found["gap"]["mean"] == 0
    assert found["gap_closed"] == {"mean": 1.0, "ci95": [1.0, 1.0]}
    assert found["loss"]["network"] == found["loss"]["bayes"]
    nothing = None if math.isinf(prior.T) else 0
    assert found["reset"]["leak"] == found["reset"]["miss"] == nothing
    assert set(found["gap"]["by_position"]) == {0.0}


def test_memoryless_as_the_network_closes_nothing():
    found = document(run([Memoryless(PRIOR).log_predictive]))
    assert found["gap_closed"]["mean"] == pytest.approx(0, abs=1e-12)
    assert found["gap"]["mean"] == found["gap"]["memoryless"]


@pytest.mark.parametrize("name", ["memoryless", "kt", "laplace"])
def test_gaps_agree_with_enumeration(name):
    scores = run([PRIOR.log_predictive], streams=2_000).references
    pseudo_count = {"memoryless": None, "kt": 0.5, "laplace": 1.0}[name]
    loss, excess = judges.exact_losses(PRIOR.alpha, 5, pseudo_count)
    exact = {"loss": loss, "gap": excess}
    for got, wanted in ((scores["bayes"].loss, loss), (scores[name].gap, exact["gap"])):
        assert abs(got.mean() - wanted) < 5.5 * stats.sem(got)  # by chance once in 2e7; one seed
    # The gap is the expected difference of losses; here the two are paired, stream by stream.
    difference = scores[name].loss - scores["bayes"].loss - scores[name].gap
    assert abs(difference.mean()) < 5.5 * stats.sem(difference)


def test_kl_is_the_textbooks():
    p, q = np.random.default_rng(0).dirichlet(np.ones(4), (2, 50))
    np.testing.assert_allclose(kl(np.log(p), np.log(q)), stats.entropy(p.T, q.T), rtol=1e-12)
    with np.errstate(divide="ignore"):
        zero, half = np.log([0.0, 1.0]), np.log([0.5, 0.5])
    assert kl(zero, half) == pytest.approx(math.log(2))
    assert kl(half, zero) == math.inf
    assert kl(zero, zero) == 0


def test_by_position_averages_to_the_gap_and_chunks_do_not_matter(monkeypatch):
    network = untrained().log_predictive
    scores = run([network]).networks[0]
    assert scores.gap_by_position.shape == (4,)
    assert scores.gap_by_position.mean() == pytest.approx(scores.gap.mean(), rel=1e-12)
    assert scores.loss_by_position.shape == (4,)
    assert scores.loss_by_position.mean() == pytest.approx(scores.loss.mean(), rel=1e-12)
    monkeypatch.setattr("analysis.comparison.chunks._CHUNK_SYMBOLS", 100 * 30)
    parts = run([network], streams=70)  # 30, 30 and 10 streams
    assert parts.streams == 70
    assert len(parts.networks[0].gap) == 70
    assert len(np.unique(parts.references["oracle"].loss)) == 70


@pytest.mark.parametrize(
    ("T", "nulls", "numbers"),
    [
        (
            1,
            ["loss.network", "loss.bayes", "gap.mean", "gap_closed.mean", "reset.leak"],
            ["reset.miss"],
        ),
        (2, ["gap_closed.mean"], ["loss.network", "gap.mean", "gap.memoryless", "reset.miss"]),
        (
            math.inf,
            ["T", "test.T", "reset.leak", "reset.miss"],
            ["loss.network", "gap.mean", "gap_closed.mean"],
        ),
    ],
)
def test_edges_give_nulls(T, nulls, numbers):
    prior = DirichletCategorical((10, 1, 1), T)
    found = document(run([untrained().log_predictive], prior))

    def at(path):
        value = found
        for key in path.split("."):
            value = value[key]
        return value

    assert {path: at(path) for path in nulls} == dict.fromkeys(nulls)
    assert all(isinstance(at(path), float) for path in numbers)
    positions = {1: 0, 2: 1, math.inf: 100}[T]
    assert len(found["gap"]["by_position"]) == positions


def test_several_seeds_give_student_t_over_their_means():
    networks = [untrained(seed=s).log_predictive for s in range(3)]
    comparison = run(networks, seeds=(0, 1, 2))
    found = document(comparison)
    assert found["interval"] == "seeds"
    assert found["seeds"] == [0, 1, 2]
    means = [s.gap.mean() for s in comparison.networks]
    low, high = np.exp(stats.t.interval(0.95, 2, np.mean(np.log(means)), stats.sem(np.log(means))))
    assert found["gap"]["mean"] == pytest.approx(np.mean(means), rel=1e-12)
    assert found["gap"]["ci95"] == pytest.approx([low, high], rel=1e-12)
    # The share of the gap closed is the same interval on another scale.
    whole = found["gap"]["memoryless"]
    ends = [1 - high / whole, 1 - low / whole]
    assert found["gap_closed"]["ci95"] == pytest.approx(ends, rel=1e-9)
    realised = [
        s.loss.mean() - comparison.references["bayes"].loss.mean() for s in comparison.networks
    ]
    plain = stats.t.interval(0.95, 2, np.mean(realised), stats.sem(realised))
    assert found["regret"]["realised"]["ci95"] == pytest.approx(plain, rel=1e-9)
    assert document(run(networks[:1]))["interval"] == "streams"


@pytest.mark.parametrize("source", [FLAT, FixedCategorical((0.2, 0.3, 0.5), 5)], ids=repr)
def test_off_the_training_prior_bayes_test_is_the_floor(source):
    found = document(run([PRIOR.log_predictive], PRIOR, source, streams=2_000))
    if isinstance(source, FixedCategorical):
        assert "gap_test" not in found
        return
    assert found["loss"]["bayes_test"] < found["loss"]["bayes"]
    assert found["gap"]["mean"] == 0
    assert found["gap_test"]["mean"] > 0
    assert found["gap_test"]["references"]["bayes_test"] == 0
    assert found["gap_test"]["references"]["bayes"] == found["gap_test"]["mean"]


def test_expected_regret_is_the_mean_over_all_tasks_of_the_streams_own_law():
    laplace = DirichletCategorical((1, 1, 1), 5)
    tasks = judges.all_streams(3, 5, 5)

    def nats(alpha):  # -log p of every draw of every task, from fractions
        rows = np.array([judges.log_predictive(alpha, 5, task) for task in tasks])
        return -np.take_along_axis(rows, tasks[..., None], -1)[:, :-1, 0]

    exact = np.exp(-nats(FLAT.alpha).sum(1)) @ (nats(laplace.alpha) - nats(PRIOR.alpha)).mean(1)
    found = estimate_all(run([laplace.log_predictive], PRIOR, FLAT, streams=1_000))
    regret, gap = found["regret.bayes"], found["gap.network"]
    width = regret.high - regret.low
    assert abs(regret.mean - exact) < width  # two half-widths: about 4 standard errors
    assert abs(gap.mean - exact) > 10 * width
    own = estimate_all(run([laplace.log_predictive]))
    assert own["regret.bayes"] == own["gap.network"]
    fixed = FixedCategorical((0.2, 0.3, 0.5), 5)
    at_fixed = estimate_all(run([laplace.log_predictive], PRIOR, fixed))
    assert at_fixed["regret.bayes"].mean is None


@pytest.mark.parametrize("source", [FixedCategorical((1, 0, 0), 5), FLAT], ids=repr)
def test_a_report_of_any_source_is_strict_json(source):
    json.dumps(document(run([untrained().log_predictive], PRIOR, source)), allow_nan=False)


def test_prior_and_source_must_agree():
    network = [PRIOR.log_predictive]
    with pytest.raises(ValueError, match="symbols"):
        run(network, PRIOR, DirichletCategorical((1, 1), 5))
    with pytest.raises(ValueError, match="must know the streams' T"):
        run(network, PRIOR, DirichletCategorical((1, 1, 1), 4))
    with pytest.raises(ValueError, match="2 or more test streams"):
        run(network, streams=1)


def test_every_process_can_be_the_source():
    for kind in PROCESSES.values():
        source = kind.examples()[0]
        prior = DirichletCategorical((1.0,) * source.num_symbols, source.task_length)
        found = document(run([prior.log_predictive], prior, source, streams=20))
        assert found["test"]["streams"] == 20


def test_bootstrap_intervals_cover():
    # Of 200 experiments at a true coverage of 93.5 to 95%, fewer than 174 or all 200 cover less than
    # once in 1,000 times by chance; the seed is fixed.
    rng = np.random.default_rng(0)
    hits = {"mean": 0, "share": 0}
    for _ in range(200):
        x, y = rng.gamma(2.0, 0.5, 200), rng.gamma(2.0, 2.0, 200)
        statistics = {"mean": lambda m: m["x"], "share": lambda m: 1 - m["x"] / m["y"]}
        for name, found in estimates({"x": x, "y": y}, statistics).items():
            truth = {"mean": 1.0, "share": 0.75}[name]
            hits[name] += found.low <= truth <= found.high
    assert all(174 <= n <= 199 for n in hits.values()), hits


def test_bootstrap_means_are_those_of_resampled_rows():
    values = np.random.default_rng(0).normal(size=(500, 2)) + np.array([0.0, 3.0])
    means = resampled_means(values)
    np.testing.assert_allclose(means.std(0), values.std(0) / math.sqrt(500), rtol=0.08)
    np.testing.assert_allclose(means.mean(0), values.mean(0), atol=0.005)
    np.testing.assert_array_equal(means, resampled_means(values))
    together = resampled_means(np.stack([values[:, 0], values[:, 0] + 1], -1))
    np.testing.assert_allclose(together[:, 1] - together[:, 0], 1.0, rtol=1e-12)


def test_student_is_scipys():
    each = np.random.default_rng(0).normal(size=7)
    found = student(each)
    wanted = stats.t.interval(0.95, 6, each.mean(), stats.sem(each))
    assert found.ci95 == pytest.approx(wanted, rel=1e-12)
    assert student(np.array([1.0, np.inf])).ci95 == [None, None]


@given(arrays(np.float64, st.integers(2, 9), elements=st.floats(1e-300, 1e300)))
def test_intervals_of_positive_numbers_are_positive_and_scipys_on_the_logarithm(each):
    found = student_log(each)
    assert found.mean == each.mean()
    assert 0 < found.low <= found.high < np.inf
    logs = np.log(each)
    half = stats.t.ppf(0.975, len(each) - 1) * stats.sem(logs)
    wanted = np.array([logs.mean() - half, logs.mean() + half])
    np.testing.assert_allclose(np.log(found.ci95), np.clip(wanted, -700, 700), rtol=1e-9, atol=1e-9)


def test_intervals_of_positive_numbers_at_their_ends():
    assert student_log(np.zeros(3)) == Estimate(0.0, 0.0, 0.0)
    assert student_log(np.full(3, 0.1)).ci95 == [0.1, 0.1]
    # A zero has no logarithm: the plain interval, cut at 0.
    each = np.array([0.0, 1e-3, 2e-3])
    assert student_log(each) == Estimate(1e-3, 0.0, student(each).high)
    assert student_log(np.array([1.0, np.inf])) == Estimate(None, None, None)
    assert student_log(np.array([1.0, np.nan])) == Estimate(None, None, None)
    likely = student_probability(np.array([0.5, 0.99]))
    assert 0 < likely.low < 0.5
    assert likely.high == 1


def test_shares_of_the_gap_closed_stay_below_one():
    shares = np.array([0.9, 0.99, 0.999])
    found, left = student_share(shares), student_log(1 - shares)
    assert found.mean == pytest.approx(shares.mean(), rel=1e-12)
    assert found.ci95 == [1 - left.high, 1 - left.low]
    assert found.high < 1
    assert student_share(np.ones(2)).ci95 == [1, 1]
    assert student_share(np.array([1.0, -np.inf])).ci95 == [None, None]


# ArviZ 0.23 warns once a day at import that it will change.
@pytest.mark.filterwarnings("ignore:(?s).*ArviZ:FutureWarning")
@pytest.mark.parametrize("prior", [PRIOR, ENDLESS], ids=repr)
def test_the_netcdf_opens_in_arviz(prior, tmp_path):
    import arviz

    learners = [untrained(seed=s) for s in range(2)]
    comparison = run([x.log_predictive for x in learners], prior, seeds=(0, 1))
    report.write_netcdf(tmp_path / "a.nc", results.to_datatree(comparison, learners))
    data = arviz.from_netcdf(tmp_path / "a.nc")
    gap, by_position = data["network"]["gap"], data["network"]["gap_by_position"]
    assert gap.dims == ("seed", "stream")
    assert by_position.dims == ("seed", "position")
    np.testing.assert_array_equal(gap.values, [s.gap for s in comparison.networks])
    np.testing.assert_array_equal(by_position.position, np.arange(by_position.shape[1]) + 1)
    assert list(data["references"]["predictor"].values) == list(ladder(PRIOR, PRIOR))
