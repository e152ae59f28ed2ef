"""In-painting against naive enumeration in float64: every completion scored from pixel 0."""

import numpy as np
import pytest
from inpainted import PLACES, masked, naive_log_prob, network

from autoregressive.cells import CELLS
from autoregressive.pixels.inpainting import cost, images_in_chunk, posteriors
from autoregressive.pixels.posterior import completions


def assert_exact(net, image, posterior):
    """All of one posterior against the naive one, to 1e-9 nats."""
    places = np.flatnonzero(image < 0)
    np.testing.assert_array_equal(posterior.missing, places)
    every = np.repeat(np.maximum(image, 0)[None], 2 ** len(places), axis=0)
    every[:, places] = posterior.completions
    log_p = naive_log_prob(net, every)
    expected = log_p - np.log(np.exp(log_p - log_p.max()).sum()) - log_p.max()
    np.testing.assert_allclose(posterior.log_probs, expected, rtol=0, atol=1e-9)
    first = 0.0
    if 0 not in places:
        first = np.log(net.first_pixel if image[0] else 1 - net.first_pixel)
    np.testing.assert_allclose(posterior.nll, first - log_p, rtol=0, atol=1e-9)
    assert posterior.index(posterior.best) == np.argmax(log_p)
    np.testing.assert_allclose(
        posterior.marginals, (np.exp(expected)[:, None] * posterior.completions).sum(0), atol=1e-9
    )


PLACE_SETS = [[5], [0], [11], [0, 11], [3, 4, 7, 8], [10, 11], [], list(range(12))]
EVERYWHERE = ("lstm", "gru", "transformer")


@pytest.mark.parametrize(
    ("cell", "places"),
    [(cell, places) for cell in EVERYWHERE for places in PLACE_SETS]
    + [(cell, [3, 4, 7, 8]) for cell in CELLS if cell not in EVERYWHERE],
    ids=str,
)
def test_posteriors_are_those_of_naive_enumeration(cell, places):
    net = network(cell)
    images = masked(np.random.default_rng(1).integers(0, 2, (3, PLACES)), places)
    images = np.unique(images, axis=0)  # one where all is missing
    for image, posterior in zip(images, posteriors(net, images), strict=True):
        assert_exact(net, image, posterior)


def test_images_with_different_masks_go_together():
    rng = np.random.default_rng(2)
    net = network()
    images = np.where(rng.random((60, PLACES)) < 0.15, -1, rng.integers(0, 2, (60, PLACES)))
    done = []
    for image, posterior in zip(images, posteriors(net, images, done.append), strict=True):
        assert_exact(net, image, posterior)
    assert done[-1] == 60
    assert done == sorted(done)


def test_the_whole_joint_table_sums_to_one():
    net = network()
    (posterior,) = posteriors(net, np.full((1, PLACES), -1))
    assert np.exp(-posterior.nll).sum() == pytest.approx(1, abs=1e-9)
    assert posterior.marginals[0] == pytest.approx(0.2, abs=1e-9)


def test_nothing_missing_has_probability_one():
    net = network()
    image = np.random.default_rng(3).integers(0, 2, (1, PLACES))
    (posterior,) = posteriors(net, image)
    assert posterior.log_probs.tolist() == [0.0]
    assert posterior.nll[0] == pytest.approx(net.nats(image).sum(), rel=1e-5)


def test_longer_images_keep_their_precision():
    net = network(places=200)
    places = [60, 61, 74, 75, 199]
    images = masked(np.random.default_rng(4).integers(0, 2, (5, 200)), places)
    for image, posterior in zip(images, posteriors(net, images), strict=True):
        assert_exact(net, image, posterior)


def test_chunks_do_not_matter():
    net = network()
    images = masked(np.random.default_rng(5).integers(0, 2, (300, PLACES)), [2, 3, 6, 7])
    assert images_in_chunk(4) < 300
    together = posteriors(net, images)
    for row in (0, 150, 299):
        (alone,) = posteriors(net, images[row : row + 1])
        np.testing.assert_allclose(alone.log_probs, together[row].log_probs, atol=1e-9)


def test_completions_are_in_binary_order():
    assert completions(2).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert completions(0).shape == (1, 0)


def test_cost_counts_shared_steps_once():
    # Steps 1..3 are shared, 4..7 have two branches, 8..11 four.
    assert cost(masked(np.zeros((1, 12)), [3, 7])) == 3 + 4 * 2 + 4 * 4


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 11)), r"\(n, 12\)"),
        (np.full((1, 12), 0.5), "other values"),
        (np.full((1, 12), np.nan), "other values"),
        (np.full((1, 12), "a"), "other values"),
        (np.full((1, 12), None), "other values"),
    ],
)
def test_other_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        posteriors(network(), images)


def test_too_many_missing_pixels_are_refused():
    net = network(places=20)
    with pytest.raises(ValueError, match="image 1 has 17 missing"):
        posteriors(net, np.stack([np.zeros(20), masked(np.zeros(20), list(range(17)))]))
