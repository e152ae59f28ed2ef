"""The calibration of a rolled-forward future: exact Bayes passes, wrong predictors fail."""

import json
import math
from fractions import Fraction
from itertools import product

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from judges import log_count_probability, predictive
from networks import learner, naive_log_predictive
from scipy import stats

from analysis.arviz_versions import arviz
from analysis.audit.calibration import _ranks, measure_calibration, uniform_p_values
from analysis.audit.calibration_figures import rank_figure
from analysis.audit.calibration_page import headline, panel, table
from analysis.audit.carry_over import CarryOver
from analysis.audit.exact_gap import exact_gap
from analysis.audit.future_counts import counts_distribution
from analysis.audit.futures import BeliefModel, sample_rows
from analysis.audit.results import calibration_dataset, to_datatree
from analysis.audit.worst_histories import History, WorstHistories
from analysis.intervals import Estimate
from analysis.report.publish import write_netcdf
from autoregressive.precision import float64
from meta_learning.processes import DirichletCategorical
from meta_learning.references import REFERENCES

PROCESS = DirichletCategorical((10, 1, 1), 9)


@pytest.fixture(scope="module")
def found():
    """A network that learnt nothing, Bayes, and predictors that are wrong."""
    memoryless = REFERENCES["memoryless"](PROCESS)
    others = {"bayes": PROCESS, "memoryless": memoryless, "kt": PROCESS.ladder()["kt"]}
    return measure_calibration(
        learner(), PROCESS, key=jax.random.key(0), tasks=500, others=others, past_tasks=2
    )


def test_a_machine_reads_a_stream_as_a_network_does_and_forgets_at_a_reset():
    alpha = (0.5, 2.0, 1.25)
    process = DirichletCategorical(alpha, 9)
    machines = {alpha: process, (0.5,) * 3: process.ladder()["kt"]}
    with float64():
        for shown, machine in machines.items():
            belief, counts = BeliefModel(machine, 8), [0, 0, 0]
            state = belief.initial_state((1,))
            for x in (3, 0, 2, 2, 3, 1, 1):
                counts = [n + (k == x) for k, n in enumerate(counts)] if x < 3 else [0, 0, 0]
                state, logits = belief.step({}, state, jnp.eye(4)[None, x])
                exact = [float(f) for f in predictive(shown, tuple(counts))]
                np.testing.assert_allclose(jax.nn.softmax(logits[0]), [*exact, 0], rtol=1e-6)
        belief = BeliefModel(REFERENCES["memoryless"](process), 8)
        for x in (3, 0):
            _, logits = belief.step({}, belief.initial_state((1,)), jnp.eye(4)[None, x])
            mean = np.array(alpha) / sum(alpha)
            np.testing.assert_allclose(jax.nn.softmax(logits[0])[:3], mean, rtol=1e-6)


def test_bayes_passes_and_wrong_predictors_fail(found):
    assert found.p_value("bayes") > 0.01
    for name in ("memoryless", "kt", "network"):
        assert found.p_value(name) < 1e-3
    i = found.predictors.index("bayes")
    assert min(d.p_value for d in found.distances[i]) > 0.003
    for name in ("memoryless", "kt", "network"):
        for d in found.distances[found.predictors.index(name)]:
            assert d.p_value < 1e-6
            assert 0 < d.distance.low < d.distance.mean < d.distance.high
    assert found.early_end[i].tolist() == [0, 0, 0]
    assert (found.early_end[0] > 0).all()


def test_what_is_counted(found):
    """Shapes, totals, and the ranks by their definition on what is kept of the network."""
    assert found.histories == (0, 2, 4)
    assert found.predicted.shape == (3, 500, 99, 3)
    for j, m in enumerate(found.histories):
        assert (found.before[j].sum(-1) == m).all()
        assert (found.observed[j].sum(-1) == 8 - m).all()
        assert (found.predicted[j].sum(-1) == 8 - m).all()
        below = (found.predicted[j] < found.observed[j][:, None]).sum(1)
        up_to = (found.predicted[j] <= found.observed[j][:, None]).sum(1)
        assert ((below <= found.ranks[0, j]) & (found.ranks[0, j] <= up_to)).all()
    assert (found.before[0] + found.observed[0] == found.before[2] + found.observed[2]).all()
    assert ((found.pit > found.ranks / 100) & (found.pit < (found.ranks + 1) / 100)).all()


def test_ties_are_broken_evenly():
    predicted, observed = np.ones((4_000, 3, 1), int), np.ones((4_000, 1), int)
    ranks = _ranks(np.random.default_rng(0), predicted, observed)[:, 0]
    assert stats.chisquare(np.bincount(ranks, minlength=4)).pvalue > 0.01
    assert (_ranks(np.random.default_rng(0), predicted, 0 * observed) == 0).all()
    assert (_ranks(np.random.default_rng(0), predicted, 2 * observed) == 3).all()


def test_the_p_value_is_scipys():
    ranks = np.random.default_rng(0).integers(0, 100, (2, 700))
    for own, p in zip(ranks, uniform_p_values(ranks, 99), strict=True):
        bins = np.histogram(own, 20, (-0.5, 99.5))[0]
        assert p == pytest.approx(stats.chisquare(bins).pvalue, rel=1e-9)


def test_the_network_is_rolled_by_its_own_probabilities():
    """Two draws after two: frequencies and early ends against enumeration in float64 NumPy."""
    net, rolls = learner(), 40_000
    stream = np.array([[1, 0, 2, 2]])
    counts, ends = sample_rows(net.model, 3, rolls, net.params, jax.random.key(5), stream, 2, 2)
    exact, early = {}, 0.0
    for pair in product(range(3), repeat=2):
        p = on = 1.0
        for n, symbol in enumerate(pair):
            q = np.exp(naive_log_predictive(net, [1, 0, *pair[:n]]))
            p, on = p * q[symbol] / q[:3].sum(), on * (1 - q[3])
        key = tuple(np.bincount(pair, minlength=3))
        exact[key], early = exact.get(key, 0) + p, early + p * (1 - on)
    seen = [(np.asarray(counts)[0] == key).all(-1).sum() for key in exact]
    assert stats.chisquare(seen, np.array(list(exact.values())) * rolls).pvalue > 0.003
    assert float(ends.mean()) == pytest.approx(early, abs=5 * float(ends.std()) / rolls**0.5)


def test_the_distribution_of_counts_is_that_of_exact_fractions():
    """NumPyro's density, against products of the rule of succession over all orders."""
    alpha, before, draws = (0.5, 2.0, 1.25), (2, 0, 1), 4
    distribution = counts_distribution(alpha, np.array([before, before, (0, 3, 0)]), draws)
    assert distribution.members.tolist() == [1, 2]
    exact: dict = {}
    for order in product(range(3), repeat=draws):
        p, counts = Fraction(1), list(before)
        for symbol in order:
            p *= predictive(alpha, tuple(counts))[symbol]
            counts[symbol] += 1
        key = tuple(np.bincount(order, minlength=3).tolist())
        exact[key] = exact.get(key, 0) + p
    for cell, p in zip(distribution.cells.tolist(), distribution.p[1], strict=True):
        assert p == pytest.approx(float(exact[tuple(cell)]), rel=1e-10)
    first = counts_distribution(alpha, np.zeros((1, 3), int), draws)
    logs = [log_count_probability(alpha, cell) for cell in first.cells]
    np.testing.assert_allclose(np.log(first.p[0]), logs, rtol=1e-10)


def test_the_distance_is_calibrated_and_measures():
    """Draws of the exact one: uniform p-values. Draws of another: half its chi-square divergence."""
    rng = np.random.default_rng(0)
    alpha, before = (1.3, 0.7), rng.integers(0, 3, (100, 2))
    exact = counts_distribution(alpha, before, 4)

    def distance(concentration):
        ones = rng.beta(*np.moveaxis(concentration, -1, 0)[..., None], (100, 19))
        first = rng.binomial(4, ones)
        return exact.distance(np.stack([first, 4 - first], -1))

    p_values = [distance(before + alpha).p_value for _ in range(200)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.003

    one = np.zeros((100, 2), int)
    exact, wrong = counts_distribution(alpha, one, 4), counts_distribution((2.0, 1.2), one, 4)
    divergence = ((wrong.p - exact.p) ** 2 / exact.p).sum() / 2
    draws = rng.choice(len(wrong.cells), (100, 999), p=wrong.p[0])
    found = exact.distance(wrong.cells[draws])
    assert found.distance.low < divergence < found.distance.high
    assert found.distance.high < 1.5 * found.distance.low


def test_long_futures_are_not_listed():
    assert counts_distribution((1, 1, 1), np.zeros((1, 3), int), 60) is None


def test_edges():
    key, few = jax.random.key(1), {"tasks": 100, "rolls": 19, "others": {}}
    two = DirichletCategorical((10, 1, 1), 2)
    found = [measure_calibration(learner(), two, key=key, **few) for _ in range(2)]
    assert found[0].histories == (0,) and found[0].draws == 1
    np.testing.assert_array_equal(found[0].ranks, found[1].ranks)
    json.dumps(found[0].document(), allow_nan=False)
    endless = DirichletCategorical((10, 1, 1), math.inf)
    more = measure_calibration(learner(), endless, key=key, draws=6, histories=[5, 1], **few)
    assert more.histories == (1, 5)
    assert (more.observed[0].sum(-1) == 5).all()


@pytest.mark.parametrize(
    "T, more, message",
    [
        (1, {}, "T must be 2"),
        (math.inf, {"draws": 5, "past_tasks": 1}, "past tasks"),
        (5, {"tasks": 99}, "100 or more tasks"),
        (5, {"rolls": 98}, "multiple of 20"),
        (5, {"histories": [4]}, "from 0 to 3"),
        (5, {"histories": []}, "from 0 to 3"),
    ],
)
def test_it_says_what_it_needs(T, more, message):
    with pytest.raises(ValueError, match=message):
        measure_calibration(
            learner(), DirichletCategorical((10, 1, 1), T), key=jax.random.key(0), **more
        )


def test_a_network_that_is_not_finite_is_refused():
    net = learner()
    two = DirichletCategorical((10, 1, 1), 2)
    net.params["readout.0.b"] = net.params["readout.0.b"] * np.nan
    with pytest.raises(ValueError, match="not finite"):
        measure_calibration(net, two, key=jax.random.key(0), tasks=100, rolls=19, others={})


def test_the_figure_is_arvizs_plot_of_the_ranks(found):
    figure = rank_figure(found)
    assert len(figure.axes) == 2 * 3
    assert not plt.get_fignums()
    assert all(axis.get_title("left") for axis in figure.axes)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["after 0 draws", "after 2 draws", "after 4 draws"]
    for n, axis in enumerate(figure.axes):
        lines = {line.get_label(): line for line in axis.lines}
        for j, m in enumerate(found.histories):
            x, y = lines[f"after {m} draws"].get_data()
            ranks = found.pit[n // 3, j, :, n % 3]
            np.testing.assert_allclose(y, [(ranks <= v).mean() - v for v in x], atol=1e-9)
    styles = {line.get_linestyle() for line in figure.axes[0].lines if "after" in line.get_label()}
    assert len(styles) == 3


def test_pages_and_document(found):
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert list(document["predictors"]) == list(found.predictors)
    assert document["predictors"]["bayes"]["p_value"] == found.p_value("bayes")
    rows = table(found).rows
    assert len(rows) == 4 * 3 and {len(row) for row in rows} == {len(table(found).head)}
    assert "not calibrated" in headline(found)
    assert panel(found).name == "calibration"


def test_an_audit_opens_in_arviz(found, tmp_path):
    exact = exact_gap(learner(), PROCESS)
    change = [Estimate(0.1 * n, 0.0, None) for n in range(8)]
    carried = CarryOver(change[1], change, change[2], past_tasks=64, tasks=10)
    some = [
        History(symbols, 0.5 / (1 + n), 0.1, np.full(4, 0.25), np.full(4, 0.25))
        for n, symbols in enumerate([(), (0,), (2, 1)])
    ]
    worst = WorstHistories(some[::-1], some, longest=7)
    tree = to_datatree(exact, seed=3, carry_over=carried, worst=worst, calibration=found)
    write_netcdf(tmp_path / "audit.nc", tree)
    data = arviz().from_netcdf(tmp_path / "audit.nc")
    gap = data["exact_gap"]["gap"]
    assert gap.dims == ("seed", "position")
    assert gap.seed.values.tolist() == [3] and gap.position.values.tolist() == [*range(1, 9)]
    np.testing.assert_array_equal(gap.values[0], exact.by_position)
    rank = data["calibration"]["rank"]
    assert rank.dims == ("seed", "predictor", "history", "stream", "symbol")
    np.testing.assert_array_equal(rank.sel(predictor="bayes").values[0], found.ranks[1])
    by_counts = data["exact_gap_by_counts"]
    weighed = (by_counts["probability"] * by_counts["gap"]).groupby("position").sum()
    np.testing.assert_allclose(weighed.values.ravel(), exact.by_position, rtol=1e-9)
    change = data["carry_over"]["change"].sel(bound="mean", seed=3)
    np.testing.assert_array_equal(change.values, [e.mean for e in carried.by_position])
    assert data["carry_over"].attrs["past_tasks"] == 64
    symbols = data["worst_histories"]["symbols"].sel(by="gap").values.ravel()
    assert symbols.tolist() == ["2 1", "0", ""]
    counts = data["posterior_predictive"]["count"]
    assert counts.dims == ("chain", "draw", "history", "stream", "symbol")
    np.testing.assert_array_equal(counts.sel(history=2).values[0, 7], found.predicted[1, :, 7])
    assert data["observed_data"]["count"].sizes == {"history": 3, "stream": 500, "symbol": 3}
    data.close()


def test_an_audit_without_its_samples_is_also_labelled():
    exact = exact_gap(learner(), DirichletCategorical((10, 1, 1), 3))
    assert set(to_datatree(exact).children) == {"exact_gap", "exact_gap_by_counts"}


def test_the_labelled_ranks_hold_their_tests(found):
    data = calibration_dataset(found)
    np.testing.assert_array_equal(data["p_value"].sel(predictor="kt"), found.p_values[3])
    assert data["counts_distance"].sel(bound="low").shape == (4, 3)
