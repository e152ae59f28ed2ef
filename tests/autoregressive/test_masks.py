"""Every registered mask: shape, amount, reproducibility."""

import re

import numpy as np
import pytest
from laws import masks_leave_most_pixels_and_miss_some_in_every_image

from autoregressive.errors import DataError
from autoregressive.images.glyphs import load_glyphs
from autoregressive.images.masked import mask_images
from autoregressive.images.masks import FIXED_MASKS, MASKS, MaskKind, draw_mask

SHAPE = (28, 28)


@pytest.mark.parametrize("name", MASKS)
def test_masks_leave_most_pixels_and_miss_some_in_every_image(name):
    masks_leave_most_pixels_and_miss_some_in_every_image(name)


@pytest.mark.parametrize(
    ("mask", "rows", "columns"), [("square:4", 4, 4), ("row:10", 1, 10), ("column:3", 3, 1)]
)
def test_patches_are_rectangles_inside_the_image(mask, rows, columns):
    for keep in draw_mask(mask, 200, SHAPE, 2):
        where = np.argwhere(~keep.reshape(SHAPE))
        assert len(where) == rows * columns
        assert (np.ptp(where, axis=0) + 1).tolist() == [rows, columns]


def test_patches_reach_every_corner():
    missing = ~draw_mask("square:14", 2000, SHAPE, 0).all(0)
    assert missing.reshape(SHAPE)[[0, 0, -1, -1], [0, -1, 0, -1]].all()


def test_random_is_a_share_of_the_pixels():
    assert ((~draw_mask("random:0.02", 9, SHAPE, 0)).sum(1) == 16).all()


def test_random_is_a_number_of_pixels():
    assert ((~draw_mask("random:200", 9, SHAPE, 0)).sum(1) == 200).all()
    assert ((~draw_mask("random:1", 9, SHAPE, 0)).sum(1) == 1).all()


def test_the_lower_half_is_missing():
    keep = draw_mask("lower-half", 3, (5, 2), 0)
    assert keep.tolist() == [[True] * 6 + [False] * 4] * 3


def test_a_file_says_what_is_observed(tmp_path):
    images = load_glyphs("test")
    keep = np.random.default_rng(0).random((4, 784)) < 0.5
    path = tmp_path / "mask.npy"
    for array in (keep, keep[0], keep[0].reshape(28, 28).astype(np.float32)):
        np.save(path, array)
        found = mask_images(images, str(path), 4, 0)
        wanted = array if array.shape == keep.shape else np.tile(keep[0], (4, 1))
        np.testing.assert_array_equal(found.masked >= 0, wanted)
    for array, message in [
        (keep[:3], "3 masks for 4 images"),
        (keep[:, :700], "expected (784,)"),
        (2 * keep.astype(int), "only 0 or 1"),
        (np.ones(784), f"nothing is missing under the mask {path}: mark missing pixels with 0"),
    ]:
        np.save(path, array)
        with pytest.raises(DataError, match=re.escape(message)):
            mask_images(images, str(path), 4, 0)
    with pytest.raises(DataError, match="no file"):
        mask_images(images, str(tmp_path / "none.npy"), 4, 0)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("circle:3", "unknown mask"),
        ("square", "the side of the square"),
        ("square:", "the side"),
        ("square:a", "the side"),
        ("square:nan", "the side"),
        ("square:inf", "the side"),
        ("square:0", "whole number"),
        ("square:2.5", "whole number"),
        ("square:29", "does not fit"),
        ("row:29", "does not fit"),
        ("random:0", "between 0 and 1"),
        ("random:1.5", "between 0 and 1"),
        ("random:784", "whole number of them below 784"),
        ("lower-half:3", "unknown mask"),
    ],
)
def test_bad_masks_are_refused(mask, message):
    with pytest.raises(DataError, match=message):
        draw_mask(mask, 3, SHAPE, 0)


def test_an_unknown_mask_is_told_every_form_that_there_is():
    with pytest.raises(DataError) as refusal:
        draw_mask("blob", 3, SHAPE, 0)
    said = re.split(r"[,:]? ", str(refusal.value))
    for one in ("square:4", "row:10", "column:10", "random:0.01", "random:200", "lower-half"):
        assert one in said
    assert "or an NPY file (.npy) that is 1 where pixels are observed" in str(refusal.value)


@pytest.mark.parametrize(
    ("made", "came"),
    [
        (None, "returned None"),
        ([[True] * 6] * 3, "returned a list"),
        (np.array([[0, 7, 1, 1, 1, 1]] * 3), "returned an array that holds 7"),
        (np.full((3, 6), np.nan), "returned an array that holds nan"),
        (np.full((3, 6), "a"), "returned an array of <U1"),
        (np.ones((3, 2, 3), bool), "returned the shape (3, 2, 3)"),
        (np.ones((1, 6), bool), "returned the shape (1, 6)"),
        (np.ones(6, bool), "returned the shape (6,)"),
    ],
)
def test_a_mask_of_ones_own_that_is_none_is_refused(made, came, monkeypatch):
    monkeypatch.setitem(MASKS, "own", MaskKind("how many", "own:1", lambda *given: made))
    wanted = "expected a NumPy array of booleans, (3, 6): a row for each image"
    with pytest.raises(DataError, match=f"^the mask 'own' {re.escape(f'{came}; {wanted}')}"):
        draw_mask("own:1", 3, (2, 3), 0)
    monkeypatch.setitem(FIXED_MASKS, "own", lambda shape: made)
    if np.shape(made) != (1, 6):
        with pytest.raises(DataError, match=r"^the mask 'own' .* booleans, \(1, 6\)"):
            draw_mask("own", 3, (2, 3), 0)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_a_mask_of_ones_own_may_be_of_zeros_and_ones(dtype, monkeypatch):
    made = np.array([[0, 1, 1], [1, 1, 0]], dtype)
    monkeypatch.setitem(MASKS, "own", MaskKind("how many", "own:1", lambda *given: made))
    found = draw_mask("own:1", 2, (1, 3), 0)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, made == 1)


def test_a_mask_of_ones_own_that_leaves_every_pixel_is_refused(monkeypatch):
    whole = MaskKind("how many", "own:1", lambda rng, n, shape, amount: np.ones((n, 784), bool))
    monkeypatch.setitem(MASKS, "own", whole)
    with pytest.raises(
        DataError, match=r"^nothing is missing under the mask own:1: it should be Fa"
    ):
        mask_images(load_glyphs("test"), "own:1", 2, 0)
