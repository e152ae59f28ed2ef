"""Effective priors and exact losses, against Bayes itself, the published values and fractions."""

import itertools
import math
from fractions import Fraction

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

from analysis.coursework.effective_prior import effective_alpha, over_seeds
from analysis.coursework.exact_losses import bayes_losses, nats_from_uniform, oracle_loss
from meta_learning.processes import DirichletCategorical


@pytest.mark.parametrize("alpha", [(10, 1, 1), (0.3, 0.3, 2.5), (1.1, 1.1)])
def test_bayes_behaves_like_its_own_prior(alpha):
    streams = DirichletCategorical((1,) * len(alpha), 8)
    symbols = np.asarray(streams.sample(jax.random.key(0), 300, 16))
    log_p = DirichletCategorical(alpha, 8).log_predictive(symbols)
    found = effective_alpha(log_p, symbols, len(alpha), 8)
    np.testing.assert_allclose(found, alpha, rtol=1e-4)


def test_probability_on_reset_changes_nothing():
    process = DirichletCategorical((3, 1), 4)
    symbols = np.asarray(process.sample(jax.random.key(0), 50, 8))
    log_p = process.log_predictive(symbols)
    drawn = log_p[..., -1] == -np.inf
    log_p[drawn] += math.log(0.5)
    log_p[drawn, -1] = math.log(0.5)
    np.testing.assert_allclose(effective_alpha(log_p, symbols, 2, 4), (3, 1), rtol=1e-4)


def test_one_draw_tells_no_concentration():
    process = DirichletCategorical((3, 1), 2)
    symbols = np.asarray(process.sample(jax.random.key(0), 5, 8))
    with pytest.raises(ValueError, match="two draws"):
        effective_alpha(process.log_predictive(symbols), symbols, 2, 2)


def test_intervals_are_over_seeds():
    first, second = over_seeds([np.array([1.0, 5.0]), np.array([3.0, 5.0])])
    # Student's t with one degree of freedom: 12.706 times the standard error, log(3) / 2.
    assert first.mean == 2
    half = 12.7062 * math.log(3) / 2
    assert np.log(first.ci95) == pytest.approx(
        [math.log(3) / 2 - half, math.log(3) / 2 + half], 1e-5
    )
    assert second.ci95 == [5, 5]
    assert over_seeds([np.array([1.0])])[0].ci95 == [None, None]


def test_expected_losses_have_the_published_values():
    concentrated, flat = (DirichletCategorical(a, 20) for a in ((10, 1, 1), (1, 1, 1)))
    assert oracle_loss(concentrated) == pytest.approx(0.49574, abs=5e-6)
    assert bayes_losses(concentrated, 19).mean() == pytest.approx(0.54067, abs=5e-6)
    assert oracle_loss(flat) == pytest.approx(0.83333, abs=5e-6)
    assert bayes_losses(flat, 19).mean() == pytest.approx(0.93171, abs=5e-6)


def test_bayes_losses_equal_the_sum_over_all_histories():
    alpha = (Fraction(3, 2), Fraction(1, 3))
    expected = []
    for n in range(4):
        total = 0.0
        for history in itertools.product(range(2), repeat=n):
            weight, counts = Fraction(1), [0, 0]
            for t, x in enumerate(history):
                weight *= (alpha[x] + counts[x]) / (sum(alpha) + t)
                counts[x] += 1
            b = [float((alpha[k] + counts[k]) / (sum(alpha) + n)) for k in range(2)]
            total -= float(weight) * sum(p * math.log(p) for p in b)
        expected.append(total)
    process = DirichletCategorical([float(a) for a in alpha], 5)
    np.testing.assert_allclose(bayes_losses(process, 4), expected, rtol=1e-12)


def test_nats_from_uniform_is_numpyros():
    alpha = (1.1, 1.1, 1.1)
    ours = nats_from_uniform(DirichletCategorical(alpha, 5))
    theirs = dist.kl_divergence(dist.Dirichlet(np.array(alpha)), dist.Dirichlet(np.ones(3)))
    assert ours == pytest.approx(float(theirs), rel=1e-3)
