"""A network between two exact predictors, and the posterior that is fitted to where networks lie."""

import numpy as np
import pytest

from analysis.papers.rational import first_settled, fit_posterior
from analysis.papers.two_predictors import (
    WEIGHTS,
    crossing,
    exponent,
    measure,
    mixing_weight,
    mixture_losses,
)

RNG = np.random.default_rng(0)
P, OTHER = RNG.dirichlet((1.0, 1.0, 1.0), (2, 50))


@pytest.mark.parametrize("w", [0.0, 0.3, 1.0])
def test_a_mixture_is_found_again(w):
    between = measure(np.log(w * P + (1 - w) * OTHER), np.log(P), np.log(OTHER))
    assert between.weight == pytest.approx(w, abs=1e-6)
    assert between.left == pytest.approx(0, abs=1e-12)
    if w in (0, 1):
        assert between.relative == pytest.approx(w)
        assert between.share == pytest.approx(w)
        assert (between.first if w else between.second) == pytest.approx(0, abs=1e-12)


def test_distances_by_hand():
    """p = (1/2, 1/2), p' = (3/4, 1/4), q = (2/3, 1/3)."""
    q, p, other = np.log([[2 / 3, 1 / 3]]), np.log([[0.5, 0.5]]), np.log([[0.75, 0.25]])
    between = measure(q, p, other)
    assert between.first == pytest.approx(np.log(9 / 8) / 2)
    assert between.second == pytest.approx(0.75 * np.log(9 / 8) + 0.25 * np.log(3 / 4))
    # KL both ways is the sum of (p - p') log (p / p').
    to_p = (2 / 3 - 1 / 2) * np.log(4 / 3) + (1 / 3 - 1 / 2) * np.log(2 / 3)
    to_other = (2 / 3 - 3 / 4) * np.log(8 / 9) + (1 / 3 - 1 / 4) * np.log(4 / 3)
    apart = (1 / 2 - 3 / 4) * np.log(2 / 3) + (1 / 2 - 1 / 4) * np.log(2)
    assert between.relative == pytest.approx(0.5 + (to_other - to_p) / (2 * apart))
    assert between.weight == pytest.approx(1 / 3)


def test_the_weight_has_the_least_loss():
    q = RNG.dirichlet((2.0, 1.0, 1.0), 50)
    logs = np.log(q), np.log(P), np.log(OTHER)
    losses, best = mixture_losses(*logs), mixing_weight(*logs)
    nearest = int(np.argmin(losses))
    assert abs(WEIGHTS[nearest] - best) <= WEIGHTS[1]
    near = (mixing_weight(*logs) + np.array([-1e-3, 1e-3]))[:, None, None]
    mixed = near * P + (1 - near) * OTHER
    aside = (np.exp(logs[0]) * (logs[0] - np.log(mixed))).sum(-1).mean(-1)
    best_mixed = best * P + (1 - best) * OTHER
    assert ((np.exp(logs[0]) * (logs[0] - np.log(best_mixed))).sum(-1).mean() < aside).all()


def test_crossings_and_exponents():
    assert crossing([1, 2, 3], [3, 1, -1], 0) == pytest.approx(2.5)
    assert crossing([1, 2, 3, 4], [1, -1, 1, -3], 0) == pytest.approx(3.25)
    assert crossing([1, 2], [1, 0.5], 0) is None
    assert crossing([1, 2], [-1, -2], 0) is None
    assert exponent([1, 2, 4, 8], [3, 3 * 2**1.5, 3 * 4**1.5, None]) == pytest.approx(1.5)
    assert exponent([1, 2], [None, 3]) is None


def test_a_posterior_is_found_again():
    """Networks that are the mixtures which the formula says."""
    tasks, stages, apart = [4, 16, 64, 256], [100, 300, 1000, 3000], [0.15, 0.08, 0.045, 0.02]
    evidence = 5.0 * np.array(apart)[:, None] * np.array(stages) ** 0.6
    bits = 32 * 8 * np.array([[n] for n in tasks])
    odds = evidence - np.log(2) * (bits**0.3 - 256**0.3)
    weights = 1 / (1 + np.exp(-odds))
    p, other = RNG.dirichlet(np.ones(8), (2, 40))
    losses = np.array([
        [mixture_losses(np.log(w * p + (1 - w) * other), np.log(p), np.log(other)) for w in row]
        for row in weights
    ])  # fmt: skip
    # The first stage is before networks are near any mixture.
    losses[:, 0] += 1
    found = fit_posterior(tasks, stages, 8, apart, losses)
    assert (found.first, found.loss) == (1, pytest.approx(0, abs=1e-3))
    np.testing.assert_allclose(found.weights[:, 1:], weights[:, 1:], atol=0.05)
    assert found.correlation(weights) > 0.999
    assert found.correlation(np.full_like(weights, 0.5)) == 0


def test_the_first_stage_that_counts():
    left = np.array([[1.0, 0.1, 0.0, 0.05], [1.0, 0.9, 0.15, 0.0]])
    assert first_settled(left) == 2
