"""The share between two exact predictors, against a general minimiser and by construction."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest
from running import run
from scipy.optimize import minimize_scalar

from analysis.comparison.between import derivatives, share, share_from_slopes
from analysis.comparison.compare import compare
from analysis.comparison.estimates import estimate_all
from analysis.comparison.results import document, to_datatree
from autoregressive.scores import kl, log_softmax
from meta_learning.processes import TaskPool, drawn_places

POOL = TaskPool((1, 1, 1), 4, 0, 6)
TINY = (
    "--recipe",
    "coursework",
    "--batch-size",
    "4",
    "--unroll",
    "12",
    "--iterations",
    "4",
    "--hidden",
    "3",
    "--streams",
    "30",
    "--param",
    "alpha=1,1,1",
    "--T",
    "6",
)


def random_rows(seed, scale=1.0):
    return log_softmax(scale * np.random.default_rng(seed).normal(size=(40, 4)))


@pytest.mark.parametrize("scale", [0.3, 1.0, 6.0])
def test_the_share_is_the_least_of_the_divergence(scale):
    first, second = random_rows(0, scale), random_rows(1, scale)
    q = log_softmax(0.7 * first + 0.2 * second + 0.3 * random_rows(2))

    def divergence(w):
        return kl(q, log_softmax(w * first + (1 - w) * second)).mean()

    found = minimize_scalar(divergence, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    assert 0.05 < found.x < 0.95
    assert share(q, first, second) == pytest.approx(found.x, abs=3e-5)


@pytest.mark.parametrize("w", [0.0, 0.01, 0.25, 0.5, 0.987, 1.0])
def test_what_is_between_has_its_own_share(w):
    first, second = random_rows(3), random_rows(4)
    q = log_softmax(w * first + (1 - w) * second)
    assert share(q, first, second) == pytest.approx(w, abs=1e-6)
    assert share(log_softmax(1.5 * first - 0.5 * second), first, second) == 1
    assert share(log_softmax(1.5 * second - 0.5 * first), first, second) == 0
    assert np.isnan(share(q, first, first))


def test_derivatives_are_those_of_the_divergence():
    first, second, q = (random_rows(seed) for seed in (5, 6, 7))
    step = 1e-6

    def divergence(w):
        return kl(q, log_softmax(w * first + (1 - w) * second))

    for node, w in ((0, 0.0), (16, 0.5), (32, 1.0)):
        slope = (divergence(w + step) - divergence(w - step)) / (2 * step)
        np.testing.assert_allclose(derivatives(q, first, second)[:, node], slope, atol=1e-8)


def test_probabilities_of_zero_leave_a_share():
    first, second = np.log([0.5, 0.5, 1e-300]), np.log([0.3, 0.3, 0.4])
    first[2] = -np.inf
    assert share(np.log([0.5, 0.5, 1e-12]), first, second) > 0.2
    assert share(second, first, second) == pytest.approx(0, abs=1e-3)


def test_compare_says_where_networks_lie():
    """Predictors at a known share, one a seed, found again by position with what leaks to RESET."""
    known = (0.3, 0.8)

    def network(w):
        def rows(symbols):
            rows = np.full((*symbols.shape, 4), np.log(0.01))
            drawn = drawn_places(symbols.shape[1], 6)
            of_pool, of_prior = (
                m.log_predictive(symbols)[:, drawn, :3] for m in (POOL, POOL.prior)
            )
            mixed = log_softmax(w * of_pool + (1 - w) * of_prior)
            rows[:, drawn, :3] = mixed + np.log(0.99)
            rows[:, ~drawn] = log_softmax(np.array([-50.0, -50, -50, 0]))
            return rows

        return rows

    comparison = compare(
        [network(w) for w in known],
        POOL,
        POOL,
        key=jax.random.key(0),
        streams=300,
        length=12,
        seeds=(0, 1),
    )
    found = estimate_all(comparison)
    assert found["share_first"].mean == pytest.approx(np.mean(known), abs=1e-6)
    tree = to_datatree(comparison, [])
    network_group = tree["network"].to_dataset()
    np.testing.assert_allclose(network_group["share_first"], known, atol=1e-6)
    by_position = np.tile(np.array(known)[:, None], 5)
    np.testing.assert_allclose(network_group["share_first_by_position"], by_position, atol=1e-5)
    between = document(comparison, found)["between"]
    assert (between["first"], between["second"]) == ("bayes", "prior")
    assert len(between["share_first"]["by_position"]) == 5
    low, high = between["gap_second"]["ci95"]
    assert low < between["gap_second"]["mean"] < high
    # By hand: KL(prior || network) with the leak, over the streams.
    streams = np.asarray(POOL.sample(jax.random.key(1), 50, 12))
    drawn = drawn_places(12, 6)
    prior = POOL.prior.log_predictive(streams)
    one = compare([network(1.0)], POOL, POOL, key=jax.random.key(0), streams=50, length=12)
    assert one.networks[0].between.gap.mean() > -np.log(0.99)
    assert kl(prior, network(0.0)(streams))[:, drawn].mean() == pytest.approx(-np.log(0.99))
    interval = estimate_all(one)["share_first"]
    assert interval.ci95 == pytest.approx([1, 1])


def test_least_needs_numbers():
    assert np.isnan(share_from_slopes(np.full(33, np.nan)))
    assert np.isnan(share_from_slopes(np.zeros((2, 33)))).all()


def test_sweep_runs_along_the_pool(tmp_path):
    result = run(
        "sweep",
        "--process",
        "task-pool",
        "--param",
        "pool=2",
        "--param",
        "pool=8",
        *TINY,
        "--out",
        tmp_path,
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "sweep.json").read_text())
    assert found["axes"]["pool"] == [2, 8]
    for point in found["points"]:
        assert 0 <= point["between"]["share_first"]["mean"] <= 1
        assert point["between"]["gap_second"]["mean"] > 0
    assert (tmp_path / "between-pool-and-prior.png").exists()
    import xarray as xr

    with xr.open_dataset(tmp_path / "sweep.nc", group="intervals", engine="h5netcdf") as intervals:
        assert intervals["share_first"].dims[-1] == "bound"
        shares = intervals["share_first"].sel(bound="mean").squeeze().values
    wanted = [point["between"]["share_first"]["mean"] for point in found["points"]]
    np.testing.assert_allclose(shares, wanted)


@pytest.mark.parametrize("T", ["1", "2", "inf"])
def test_compare_at_the_edges_of_T(T, tmp_path):
    result = run(
        "compare", "--process", "task-pool", "--param", "pool=3", *TINY[:-1], T, "--out", tmp_path
    )
    assert result.exit_code == 0, result.stderr
    between = json.loads((tmp_path / "comparison.json").read_text())["between"]
    if T == "1":
        assert between["share_first"] == {"mean": None, "ci95": [None, None], "by_position": []}
    else:
        assert between["share_first"]["mean"] is not None
