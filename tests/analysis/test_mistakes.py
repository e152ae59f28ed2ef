"""The effects of known mistakes against naive loops, exact fractions and enumeration."""

import math
from fractions import Fraction

import jax
import judges
import naive
import numpy as np
import pytest

from analysis.coursework import mistakes
from analysis.coursework.exact_losses import excess
from autoregressive.images.masked import MaskedImages
from autoregressive.pixels.continuation import continue_images
from autoregressive.pixels.network import PixelNetwork, pixel_model
from meta_learning.processes import DirichletCategorical

PLACES = 9


@pytest.fixture(scope="module")
def network():
    model = pixel_model("gru", 3, (4,))
    params = {k: 1.5 * v for k, v in model.init(jax.random.key(1)).items()}
    return PixelNetwork(model, params, PLACES, 0.01, {})


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 2, (3, PLACES)).astype(np.uint8)


def logits_of(network, image):
    """By loops in float64: the logits of x_1 .. of one image."""
    xs = np.asarray(image, float)[:-1, None, None]
    return naive.logits_by_loops(network.model, network.params, xs)[:, 0, 0]


def loss(z, x):
    """-log Bernoulli(x; sigmoid(z)) continued to any x, as a cross-entropy is coded."""
    p = naive.sigmoid(z)
    return -(x * math.log(p) + (1 - x) * math.log(1 - p))


def test_masked_targets_against_loops(network, images):
    masked = images.astype(np.int8)
    masked[:, 3:5] = -1
    found = {"right": [], "wrong": []}
    for image, hidden in zip(images, masked, strict=True):
        scores = {"right": [], "wrong": []}
        for values in ((0, 0), (0, 1), (1, 0), (1, 1)):
            filled = image.copy()
            filled[3:5] = values
            z = logits_of(network, filled)
            for name, targets in (("right", filled), ("wrong", hidden)):
                scores[name].append(
                    sum(loss(z[t - 1], float(targets[t])) for t in range(1, PLACES))
                )
        came = 2 * image[3] + image[4]
        for name, costs in scores.items():
            p = np.exp(-np.array(costs)) / np.exp(-np.array(costs)).sum()
            found[name].append((math.log(p[came]), p.argmax() == came))
    log_p, exact = mistakes.masked_targets(network, MaskedImages(masked, images))
    for effect, column in ((log_p, 0), (exact, 1)):
        for name in ("right", "wrong"):
            expected = np.mean([row[column] for row in found[name]])
            assert getattr(effect, name) == pytest.approx(expected, rel=1e-4)
    assert log_p.right != pytest.approx(log_p.wrong, rel=1e-3)


def test_masked_targets_refuses_what_it_cannot_score(network, images):
    masked = images.astype(np.int8)
    masked[:, 3] = -1
    with pytest.raises(ValueError, match="truth"):
        mistakes.masked_targets(network, MaskedImages(masked))
    masked[0, 4] = -1
    with pytest.raises(ValueError, match="equally many"):
        mistakes.masked_targets(network, MaskedImages(masked, images))


def test_wrong_links_against_their_formulas():
    z, x = np.array([[0.5, -1.0, 2.0], [-0.3, 0.0, 4.0]]), np.array([[1, 0, 1], [0, 1, 0]])
    once = naive.sigmoid(z)
    softmax = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    twice, whole = mistakes.wrong_links(z, x)
    for effect, p in ((twice, naive.sigmoid(once)), (whole, softmax)):
        assert effect.wrong == pytest.approx(-np.log(np.where(x == 1, p, 1 - p)).mean(), rel=1e-12)
        assert effect.right == pytest.approx(-np.log(np.where(x == 1, once, 1 - once)).mean())


def test_rounding_against_loops(network, images):
    first = 4
    sampled = continue_images(network, images, jax.random.key(0), first=first, samples=3)
    effects = mistakes.round_for_sampling(network, images, sampled)
    for threshold, (own, crossed) in zip((0.5, 0.25), (effects[:2], effects[2:]), strict=True):
        costs = {"own": [], "crossed": []}
        for image in images:
            made = image.copy()
            made[first:] = 0
            for t in range(first, PLACES):
                z = logits_of(network, made)[t - 1]
                made[t] = naive.sigmoid(z) > threshold
                costs["own"].append(loss(z, float(made[t])))
                costs["crossed"].append(loss(z, float(image[t])))
        assert own.wrong == pytest.approx(np.mean(costs["own"]), rel=1e-4)
        assert crossed.wrong == pytest.approx(np.mean(costs["crossed"]), rel=1e-4)
        assert own.right == pytest.approx(sampled.own.mean(), rel=1e-12)
        assert crossed.right == pytest.approx(sampled.crossed.mean(), rel=1e-12)


def test_teacher_forcing_reports_the_truths_own_cost(network, images):
    sampled = continue_images(network, images, jax.random.key(0), first=4, samples=3)
    (effect,) = mistakes.leave_teacher_forcing_on(sampled)
    own = [
        loss(logits_of(network, image)[t - 1], float(image[t]))
        for image in images
        for t in range(4, PLACES)
    ]
    assert effect.wrong == pytest.approx(np.mean(own), rel=1e-4)
    assert effect.right == pytest.approx(sampled.crossed.mean(), rel=1e-12)


@pytest.mark.parametrize("alpha, T", [((10.0, 1.0, 1.0), 20), ((1.3, 1.3, 1.3), 5)])
def test_rules_called_bayes_against_enumeration(alpha, T):
    process = DirichletCategorical(alpha, T)
    for effect, pseudo_count in zip(mistakes.not_bayes(process), (0.5, 1.0), strict=True):
        bayes, more = judges.exact_losses(alpha, T, pseudo_count)
        assert effect.right == pytest.approx(bayes, rel=1e-12)
        assert effect.wrong == pytest.approx(bayes + more, rel=1e-12)


def test_known_excesses():
    process = DirichletCategorical((10, 1, 1), 20)
    assert excess(process, 0.5) == pytest.approx(0.07324, abs=5e-6)
    assert excess(process, 1.0) == pytest.approx(0.10059, abs=5e-6)


def test_the_first_symbol_unscored_in_exact_fractions():
    (effect,) = mistakes.leave_first_unscored(DirichletCategorical((2, 1), 3))
    # First draw: (2/3, 1/3). Second: (3/4, 1/4) after a 0, (1/2, 1/2) after a 1.
    first, after_0, after_1 = (
        -sum(float(p) * math.log(p) for p in law)
        for law in (
            (Fraction(2, 3), Fraction(1, 3)),
            (Fraction(3, 4), Fraction(1, 4)),
            (Fraction(1, 2), Fraction(1, 2)),
        )
    )
    second = 2 / 3 * after_0 + 1 / 3 * after_1
    assert effect.right == pytest.approx((first + second) / 2, rel=1e-12)
    assert effect.wrong == pytest.approx(second, rel=1e-12)
