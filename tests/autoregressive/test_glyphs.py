"""Drawn digits: the same for the same seed, and near enough to MNIST to stand in for it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoregressive.errors import DataError
from autoregressive.images.datasets import load
from autoregressive.images.glyphs import FONTS, SIZES, digit_outlines, draw, load_glyphs
from autoregressive.images.image_set import SPLITS, binarise


@pytest.fixture(scope="module")
def drawn():
    grey, digits = draw(np.random.default_rng(3), 1_000)
    return binarise(grey), digits


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_its_size(split):
    images = load("glyphs", split)
    assert len(images) == SIZES[split] and images.shape == (28, 28)


def test_the_pixels_are_the_same_everywhere():
    assert load_glyphs("test").digest[:16] == "c7cdaec4a5e9b47a"


def test_splits_and_seeds_differ():
    digests = {load_glyphs(s, seed).digest for s in ("validation", "test") for seed in (0, 1)}
    assert len(digests) == 4


def test_no_test_image_is_in_the_training_set():
    known = {row.tobytes() for row in load_glyphs("train").packed}
    assert not any(row.tobytes() in known for row in load_glyphs("test").packed)


@given(n=st.integers(0, 20), more=st.integers(0, 600), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=10)
def test_the_first_images_do_not_depend_on_how_many_follow(n, more, seed):
    few, _ = draw(np.random.default_rng(seed), n)
    many, _ = draw(np.random.default_rng(seed), n + more)
    assert few.dtype == np.uint8 and few.shape == (n, 28, 28)
    np.testing.assert_array_equal(few, many[:n])


def test_every_digit_is_drawn(drawn):
    assert np.bincount(drawn[1], minlength=10).min() > 60


def test_as_many_pixels_are_set_as_in_mnist(drawn):
    # 0.176 in MNIST's test images under the same binarisation.
    assert 0.15 < drawn[0].mean() < 0.20


def test_digits_are_about_twenty_pixels_high_and_inside_the_frame(drawn):
    heights = drawn[0].any(2).sum(1)
    assert heights.min() >= 16 and heights.max() <= 25
    assert not drawn[0][:, [0, -1], :].any()


def test_strokes_are_two_to_four_pixels_wide(drawn):
    # Twice the area over the perimeter; a staircase is 4 / pi as long as the line it follows.
    pixels = drawn[0].astype(int)
    edges = np.abs(np.diff(pixels, axis=1)).sum() + np.abs(np.diff(pixels, axis=2)).sum()
    assert 2 < 2 * pixels.sum() / (edges * np.pi / 4) < 4


def holes(distance):
    """Regions of the background that the outline closes off, found by flooding. Those of fewer
    than 9 points are gaps between strokes that the grid pinches."""
    left = distance <= 0
    sizes = []
    while left.any():
        region, grown = np.zeros_like(left), np.zeros_like(left)
        grown.flat[left.argmax()] = True
        while (grown != region).any():
            region, grown = grown, spread(grown) & left
        left = left & ~region
        sizes.append(region.sum())
    return sum(size >= 9 for size in sizes) - 1


def spread(region):
    padded = np.pad(region, 1)
    return region | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]


def test_zeros_are_closed(drawn):
    assert min(holes(zero) for zero in drawn[0][drawn[1] == 0]) >= 1


@pytest.mark.parametrize("font", range(len(FONTS)), ids=FONTS)
def test_outlines_have_the_holes_of_their_digits(font):
    distance = digit_outlines().distance[font]
    assert [holes(distance[d]) for d in (1, 2, 3, 5, 6, 7, 8, 9)] == [0, 0, 0, 0, 1, 0, 2, 1]


def test_the_distance_grows_by_at_most_the_step():
    distance, step = digit_outlines().distance, 1.5 / 48
    assert np.abs(np.diff(distance, axis=2)).max() <= step * 1.001
    assert np.abs(np.diff(distance, axis=3)).max() <= step * 1.001


def test_an_unknown_split_is_refused():
    with pytest.raises(DataError, match="unknown split 'dev': expected one of train, validation, "):
        load_glyphs("dev")


def test_drawing_needs_neither_display_nor_list_of_system_fonts():
    code = (
        "import sys; from autoregressive.images.datasets import load; early = 'matplotlib' in sys.modules;"
        "load('glyphs', 'test');"
        "print(early, 'matplotlib.font_manager' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"] * 3
