"""Pools of tasks: how they are drawn, and what their predictors become as they grow."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest
from scipy.stats import kstest

from meta_learning.processes import DirichletCategorical, Machine, Mixture, TaskPool
from meta_learning.processes.task_pool import MOST_COORDINATES, draw_pool


@pytest.mark.parametrize("alpha", [(1.0, 1.0, 1.0), (10.0, 1.0), (0.05, 0.3, 2.0)])
def test_the_pool_is_drawn_from_the_dirichlet(alpha):
    """Each entry follows its Beta; their covariance that of the Dirichlet."""
    p = draw_pool(alpha, 20_000, 1)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-15)
    total, mean = sum(alpha), np.array(alpha) / sum(alpha)
    for k, a in enumerate(alpha):
        assert kstest(p[:, k], "beta", (a, total - a)).pvalue > 1e-5
    wanted = (np.diag(mean) - np.outer(mean, mean)) / (total + 1)
    np.testing.assert_allclose(np.cov(p.T), wanted, atol=0.01)


def test_the_pool_is_the_same_everywhere_and_grows_by_its_end():
    """Numbers that a saved network hangs on."""
    np.testing.assert_allclose(
        draw_pool((1.0, 1.0, 1.0), 2, 0),
        [
            [0.011741595484210715, 0.6944501343533579, 0.2938082701624313],
            [0.24649474977904529, 0.6199955811630243, 0.1335096690579303],
        ],
        rtol=1e-12,
    )
    np.testing.assert_array_equal(draw_pool((1, 2), 50, 3)[:7], draw_pool((1, 2), 7, 3))
    assert (draw_pool((1, 2), 7, 3) != draw_pool((1, 2), 7, 4)).all()
    extreme = draw_pool((1e-6, 1e6), 50, 0)
    np.testing.assert_allclose(extreme, np.tile([0.0, 1.0], (50, 1)), atol=1e-9)


def test_a_pool_is_the_mixture_of_its_tasks():
    pool = TaskPool((1, 0.5), 6, 2, 5)
    mixture = Mixture(tuple(map(tuple, pool.components.tolist())), 5)
    symbols = mixture.sample(jax.random.key(0), 60, 15)
    np.testing.assert_allclose(
        pool.log_predictive(symbols), mixture.log_predictive(symbols), rtol=1e-12, atol=1e-13
    )


def test_a_large_pool_predicts_as_its_prior_does():
    """The mean over M draws is the prior's up to O(1 / sqrt(M))."""
    prior = DirichletCategorical((1, 1, 1), 6)
    symbols = prior.sample(jax.random.key(0), 200, 6)
    wanted = np.exp(prior.log_predictive(symbols))
    off = [
        np.abs(np.exp(TaskPool((1, 1, 1), pool, 0, 6).log_predictive(symbols)) - wanted).mean()
        for pool in (4, 64, 4096)
    ]
    assert off[0] > 3 * off[1] > 9 * off[2]
    assert off[2] < 0.005


def test_rare_symbols_hang_on_components_that_looked_impossible():
    """A component that alone makes a symbol has weight 0.8^100000 before it comes: below float64."""
    process = Mixture(((0.5, 0.5, 0), (0.4, 0.4, 0.2)), math.inf)
    stream = np.append(np.tile([0, 1], 50_000), 2)
    came = process.log_predictive(stream)[-1, 2]
    assert came == pytest.approx(100_000 * math.log(0.8) + math.log(0.2), rel=1e-9)


@pytest.mark.parametrize("symbols", [2, 40])
def test_distinct_counts_are_enough(symbols):
    """Also where counts are too many for one number to stand for them."""
    process = TaskPool((1.0,) * symbols, 5, 0, math.inf)
    draws = np.random.default_rng(0).integers(0, symbols, (3, 30))
    np.testing.assert_allclose(
        process.log_predictive_along(draws),
        Machine.log_predictive_along(process, draws),
        rtol=1e-12,
        atol=1e-13,
    )


def test_large_pools_have_no_coordinate_for_every_task():
    few, many = TaskPool(pool=MOST_COORDINATES), TaskPool(pool=MOST_COORDINATES + 1)
    assert "component_weights" in few.coordinates(few.initial_belief())
    assert many.coordinates(many.initial_belief()).keys() == {
        "counts",
        "posterior_mean",
        "prior_mean",
    }
