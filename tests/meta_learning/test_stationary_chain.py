"""Chains that start from their own stationary distribution: what the bigram rule loses, quadrature."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autoregressive.precision import float64
from meta_learning.processes import StationaryChain
from meta_learning.processes.stationary import (
    stationary_distribution,
    stationary_means,
    stationary_of,
)


def test_the_bigram_rule_is_not_bayes():
    """KL(Bayes || bigram rule) at every place, the mean over all histories: 0.0166 nats at most."""
    process = StationaryChain((1, 1), 11)
    draws = np.array(list(itertools.product(range(2), repeat=10)))
    streams = np.concatenate([draws, np.full((1024, 1), 2)], 1)
    bayes, bigram = (
        p.log_predictive(streams)[:, :10, :2] for p in (process, process.ladder()["bigram"])
    )
    weight = np.exp(np.take_along_axis(bayes, draws[..., None], -1).sum((1, 2)))
    gap = weight @ (np.exp(bayes) * (bayes - bigram)).sum(-1)
    assert weight.sum() == pytest.approx(1, abs=1e-12)
    assert gap[0] == pytest.approx(0, abs=1e-15)
    assert gap.argmax() == 1
    assert gap.max() == pytest.approx(0.0166, abs=5e-5)


def test_trees_give_the_stationary_distribution():
    for K in (2, 3):
        rows = jax.random.dirichlet(jax.random.key(K), jnp.full(K, 0.5), (50, K))
        for matrix, found in zip(np.asarray(rows), np.asarray(stationary_of(rows)), strict=True):
            np.testing.assert_allclose(
                found, stationary_distribution(matrix, ""), rtol=2e-3, atol=1e-5
            )


@pytest.mark.parametrize(
    "concentration",
    [((0.1, 0.3), (0.2, 0.1)), ((1, 400), (3, 2)), ((7, 0.5), (90, 60)), ((0.1, 400), (400, 0.1))],
    ids=str,
)
def test_two_states_agree_with_plain_sums(concentration):
    """Over a fine grid of the logarithms of the odds of p = P(0 -> 1) and q = P(1 -> 0)."""

    def density(a, b):
        grid = np.arange(-450, 450, min(0.25, 0.3 * np.sqrt(1 / a + 1 / b)))
        log = -a * np.logaddexp(0, -grid) - b * np.logaddexp(0, grid)
        kept = log > log.max() - 40
        return grid[kept], np.exp(log[kept] - log.max())

    (a00, a01), (a10, a11) = concentration
    (of_p, weight_p), (of_q, weight_q) = density(a01, a00), density(a10, a11)
    wanted = np.zeros(2)
    for x, weight in zip(of_p, weight_p, strict=True):
        # pi_0 = q / (p + q)
        first = 1 / (1 + np.exp(np.logaddexp(0, -of_q) - np.logaddexp(0, -x)))
        wanted += (first @ weight_q) * weight / (1 + np.exp([x, -x]))
    with float64():
        found = stationary_means(jnp.array(concentration, float), jnp.array(0), jnp.array(0))
    got = np.asarray(found.next)
    np.testing.assert_allclose(got / got.sum(), wanted / wanted.sum(), rtol=1e-8)


def test_three_states_have_the_error_that_is_stated():
    """Against more nodes, from nothing seen to some symbols."""
    with float64():
        for counts, most in ((0.0, 1e-4), (2.0, 1e-6)):
            concentration = jnp.ones((3, 3)) + counts
            few, many = (
                np.asarray(stationary_means(concentration, jnp.array(0), jnp.array(0), n).next)
                for n in (6, 12)
            )
            log_few, log_many = (np.log(v / v.sum()) for v in (few, many))
            assert 0 < np.abs(log_few - log_many).max() < most


@pytest.mark.parametrize("alpha", ["1,1,1,1", "0.05,1"])
def test_what_the_quadrature_cannot_do_is_refused(alpha):
    with pytest.raises(ValueError, match="take markov-chain for others"):
        StationaryChain.from_parameters({"alpha": alpha})
