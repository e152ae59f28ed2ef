"""Sets of binary images: packing, choosing, unpacking inside compiled code."""

import hashlib

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoregressive.errors import DataError
from autoregressive.images.datasets import load
from autoregressive.images.image_set import ImageSet, binarise, pack, unpack

PIXELS = np.random.default_rng(0).random((7, 28, 28)) < 0.3
IMAGES = ImageSet("made", "test", pack(PIXELS))
FLAT = PIXELS.reshape(7, 784).astype(np.uint8)


def test_binarisation_is_that_of_the_definition():
    grey = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(binarise(grey), grey.astype(np.float64) / 255 > 0.1)


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), n=st.integers(0, 4))
@settings(deadline=None, max_examples=30)
def test_packing_keeps_every_pixel_in_raster_order(rows, columns, n):
    pixels = np.random.default_rng(n).random((n, rows, columns)) < 0.5
    images = ImageSet("made", "test", pack(pixels), (rows, columns))
    assert len(images) == n and images.places == rows * columns
    np.testing.assert_array_equal(images.images(), pixels.reshape(n, rows * columns))


@pytest.mark.parametrize(
    "indices", [0, 6, [], [3, 3, 0], np.array([[1, 2], [4, 6]], np.int8), slice(None, -2, 2)]
)
def test_images_are_chosen_as_numpy_chooses(indices):
    got = IMAGES.images(indices)
    plain = indices if isinstance(indices, slice) else np.asarray(indices, int)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, FLAT[plain])


@pytest.mark.parametrize("indices, came", [(7, "7 to 7"), (-1, "-1 to -1"), ([0, 99], "0 to 99")])
def test_images_that_are_not_there_are_refused(indices, came):
    with pytest.raises(DataError, match=f"test images of made are numbered 0 to 6, got {came}"):
        IMAGES.images(indices)


@pytest.mark.parametrize("indices", [[0.5], [True, False], ["1"]])
def test_indices_that_are_not_whole_numbers_are_refused(indices):
    with pytest.raises(DataError, match="should be whole numbers"):
        IMAGES.images(indices)


@pytest.mark.parametrize("packed", [np.zeros((2, 784), np.uint8), np.zeros((2, 98)), np.uint8([1])])
def test_what_is_not_packed_is_refused(packed):
    with pytest.raises(DataError, match=r"should be uint8 \(n, 98\)"):
        ImageSet("made", "test", packed)


def test_the_digest_is_that_of_the_packed_pixels():
    assert IMAGES.digest == hashlib.sha256(np.packbits(FLAT, axis=-1).tobytes()).hexdigest()
    assert ImageSet("made", "test", IMAGES.packed[::-1]).digest != IMAGES.digest


@pytest.mark.parametrize("shape", [(), (7,), (2, 3)])
def test_unpacking_in_compiled_code_gives_the_same_pixels(shape):
    chosen = np.arange(7)[: max(int(np.prod(shape)), 1)].reshape(shape)
    got = jax.jit(unpack)(IMAGES.packed[chosen])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, IMAGES.images(chosen))


def test_an_unknown_set_is_refused():
    with pytest.raises(
        DataError,
        match="'cifar': expected one of emnist-digits, fashion-mnist, glyphs, kmnist, mnist",
    ):
        load("cifar")


@pytest.mark.parametrize("data", ["glyphs", "mnist"])
def test_an_unknown_split_is_refused(data):
    with pytest.raises(DataError, match="unknown split 'valid': expected one of train, validation"):
        load(data, "valid")
