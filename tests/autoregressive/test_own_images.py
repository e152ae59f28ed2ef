"""Images of one's own: whatever the file, the pixels that were written come back."""

import logging

import numpy as np
import pytest
from own_files import BINARY, GREY, idx, lay, npy, npz, pictures

from autoregressive.errors import DataError
from autoregressive.images.binarisation import Binarisation, grey_level
from autoregressive.images.choice import ImageChoice, normalise_shares, split_rows
from autoregressive.images.own import WHOLE, read_parts

rgb = np.repeat(GREY[..., None], 3, -1)
opaque = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], -1)

SAME = {
    "IDX": idx(GREY),
    "IDX in gzip": idx(GREY, packed=True),
    "NPY": npy(GREY),
    "NPY, one channel last": npy(GREY[..., None]),
    "NPY, one channel first": npy(GREY[:, None]),
    "NPY, columns first": npy(np.asfortranarray(GREY)),
    "NPY of int64": npy(GREY.astype(np.int64)),
    "NPY, big-endian": npy(GREY.astype(">i4")),
    "NPZ": npz(a=GREY),
    "NPZ, compressed, with labels": npz(np.savez_compressed, images=GREY, labels=np.arange(10)),
    "NPZ, columns first": npz(a=np.asfortranarray(GREY)),
    "PNG": pictures(),
    "PNG in colours that are grey": pictures(rgb),
    "PNG, opaque": pictures(opaque),
    "PNG with a palette": pictures(mode="P"),
    "BMP": pictures(suffix="bmp"),
    "TIFF": pictures(suffix="tiff"),
    "PGM": pictures(suffix="ppm"),
    "PNG beside other files": {**pictures(), "notes.txt": b"mine", ".hidden.png": b"", "old": {}},
    "an IDX pair of images and labels": {
        "train-images-idx3-ubyte": idx(GREY),
        "train-labels-idx1-ubyte": idx(np.arange(10, dtype=np.uint8), magic=0x801),
    },
    "a folder train alone": {"train": pictures()},
    "a folder with one file": {"some.npy": npy(GREY), "labels.npy": npy(np.arange(10))},
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_grey_levels_come_back(tmp_path, content):
    parts = read_parts(lay(tmp_path, content))
    assert list(parts) == [WHOLE]
    np.testing.assert_array_equal(parts[WHOLE], GREY)


FLOATS = {
    "float64": (npy(GREY / 255), 1e-12),
    "float32": (npy((GREY / 255).astype(np.float32)), 1e-6),
    "float16": (npy((GREY / 255).astype(np.float16)), 1e-3),
    "NPZ": (npz(a=GREY / 255), 1e-12),
    "PNG of 16 bits": (pictures(GREY.astype(np.uint16) * 257), 1e-6),
}


@pytest.mark.parametrize("content, error", FLOATS.values(), ids=FLOATS)
def test_shares_of_white_come_back(tmp_path, content, error):
    (stack,) = read_parts(lay(tmp_path, content)).values()
    np.testing.assert_allclose(stack, GREY / 255, rtol=0, atol=error)


BITS = {
    "NPY": npy(BINARY),
    "NPZ": npz(a=BINARY),
    "PNG of one bit": pictures(BINARY),
    "PBM": pictures(BINARY, suffix="ppm"),
}


@pytest.mark.parametrize("content", BITS.values(), ids=BITS)
def test_what_is_binary_needs_no_threshold(tmp_path, content):
    path = lay(tmp_path, content)
    (stack,) = read_parts(path).values()
    assert stack.dtype == bool
    np.testing.assert_array_equal(stack, BINARY)
    train, test = ImageChoice(str(path)).load("train", "test")
    assert train.binarisation == test.binarisation == Binarisation(None)
    assert train.shape == (5, 7) and (len(train), len(test)) == (8, 2)
    every = {row.tobytes() for row in BINARY.reshape(10, 35).astype(np.uint8)}
    assert {row.tobytes() for row in (*train.images(), *test.images())} == every


PARTS = {
    "an IDX pair": {
        "train-images-idx3-ubyte.gz": idx(GREY[:7], packed=True),
        "train-labels-idx1-ubyte.gz": idx(np.arange(7, dtype=np.uint8), True, 0x801),
        "t10k-images-idx3-ubyte": idx(GREY[7:]),
    },
    "an IDX pair beside what it was unpacked to": {
        "train-images-idx3-ubyte.gz": idx(GREY[:7], packed=True),
        "train-images-idx3-ubyte": idx(GREY[:7]),
        "t10k-images-idx3-ubyte.gz": idx(GREY[7:], packed=True),
        "t10k-images-idx3-ubyte": idx(GREY[7:]),
    },
    "two NPY files": {"x_train.npy": npy(GREY[:7]), "x_test.npy": npy(GREY[7:])},
    "one NPZ file": npz(
        x_train=GREY[:7], y_train=np.arange(7), x_test=GREY[7:], y_test=np.arange(3)
    ),
    "two folders": {"train": pictures(GREY[:7]), "test": pictures(GREY[7:])},
}


@pytest.mark.parametrize("content", PARTS.values(), ids=PARTS)
def test_parts_are_told_by_their_names(tmp_path, content):
    path = lay(tmp_path, content)
    train, test = ImageChoice(str(path), threshold=0.5).load("train", "test")
    np.testing.assert_array_equal(train.images(), BINARY[:7].reshape(7, 35))
    np.testing.assert_array_equal(test.images(), BINARY[7:].reshape(3, 35))
    assert train.parts is None
    with pytest.raises(DataError, match="comes in train and test: drop --split"):
        ImageChoice(str(path), parts=(80, 20)).load("train")
    with pytest.raises(DataError, match="0 validation images of 10; expected 2 or more: give more"):
        ImageChoice(str(path)).load("validation")


def test_images_that_are_called_test_are_not_split(tmp_path):
    path = lay(tmp_path, {"test": pictures()})
    (test,) = ImageChoice(str(path), threshold=0.5).load("test")
    np.testing.assert_array_equal(test.images(), BINARY.reshape(10, 35))
    with pytest.raises(DataError, match="has 0 train images of 10"):
        ImageChoice(str(path)).load("train")


def test_rows_of_pixels_get_their_shape(tmp_path):
    path = lay(tmp_path, npy(GREY.reshape(10, 35)), "rows.npy")
    (images,) = ImageChoice(str(path), threshold=0.5, shape=(5, 7)).load("train")
    (known,) = ImageChoice(str(path), threshold=0.5, flat_shape=(5, 7)).load("train")
    assert images.shape == known.shape == (5, 7) and images.digest == known.digest
    with pytest.raises(DataError, match=r"35 pixels in a row: say .* like --shape 5x7"):
        ImageChoice(str(path)).load("train")
    with pytest.raises(DataError, match=r"35 pixels in a row, which are not 5 x 8: .*--shape 5x7"):
        ImageChoice(str(path), shape=(5, 8)).load("train")


@pytest.mark.parametrize("threshold", [0, 0.1, 0.2, 1 / 3, 0.5, 0.999])
def test_the_threshold_is_exact(threshold):
    from fractions import Fraction

    grey = np.arange(256, dtype=np.uint8)[:, None, None]
    exact = [Fraction(int(g), 255) > Fraction(repr(threshold)) for g in range(256)]
    for levels in (grey, grey.astype(np.int64)):
        assert Binarisation(threshold).apply(levels, "f").ravel().tolist() == exact
    dark = Binarisation(threshold, inverted=True).apply(grey, "f").ravel()
    assert dark.tolist() == [not light for light in exact]
    assert grey_level(threshold) == 255 - sum(exact)


def test_binary_images_are_the_same_at_any_threshold(tmp_path):
    for values, name in (
        (BINARY, "bool"),
        (BINARY * np.uint8(255), "grey"),
        (BINARY * 1.0, "float"),
    ):
        path = lay(tmp_path, npy(values), name)
        sets = [
            ImageChoice(str(path), threshold=0.1).load("train")[0],
            ImageChoice(str(path), threshold=0.9).load("train")[0],
            ImageChoice(str(path), already_binary=True).load("train")[0],
        ]
        assert len({images.digest for images in sets}) == 1
        assert sets[2].binarisation.threshold is None
        assert all(images.binarisation.agrees_with(sets[2].binarisation) for images in sets)
    zeros_and_ones = lay(tmp_path, npy(BINARY.astype(np.uint8)), "ones")
    assert (
        ImageChoice(str(zeros_and_ones), already_binary=True).load("train")[0].digest
        == sets[0].digest
    )
    with pytest.raises(DataError, match=r"no other values than 0 and 1.*add --already-binary"):
        ImageChoice(str(zeros_and_ones)).load("train")


def test_a_split_is_of_all_images_and_always_the_same():
    rows = np.arange(101)[:, None]
    first = split_rows(rows, normalise_shares((80, 10, 10)))
    assert [len(part) for part in first.values()] == [81, 10, 10]
    assert sorted(np.concatenate(list(first.values())).ravel()) == list(range(101))
    again = split_rows(rows, normalise_shares((0.8, 0.1, 0.1)))
    assert all((first[name] == again[name]).all() for name in first)
    # Files in the order of their classes: every part has some of each end.
    assert first["test"].min() < 30 and first["test"].max() > 70
    assert normalise_shares((3, 1)) == (75, 0, 25)


def test_what_was_read_is_said(tmp_path, caplog):
    path = lay(tmp_path, npy(BINARY), "mine.npy")
    with caplog.at_level(logging.INFO, "autoregressive"):
        ImageChoice(str(path)).load("train", "test")
    share = f"{100 * BINARY.mean():.1f}%"
    assert caplog.messages == [
        f"mine.npy: 8 train and 2 test images of 5 x 7 pixels, {share} of them 1 (already binary)"
    ]


@pytest.mark.parametrize("inverted", [False, True])
def test_more_ink_than_paper_is_remarked(tmp_path, caplog, inverted):
    path = lay(tmp_path, pictures(np.where(GREY > 200, GREY, 255)))
    with caplog.at_level(logging.INFO, "autoregressive"):
        ImageChoice(str(path), inverted=inverted).load("train")
    assert ("if the ink is dark, give --invert" in caplog.text) != inverted


def test_large_images_are_read_with_a_word_of_warning(tmp_path, caplog):
    path = lay(tmp_path, npy(np.zeros((10, 150, 150), bool)))
    with caplog.at_level(logging.INFO, "autoregressive"):
        ImageChoice(str(path)).load("train")
    assert "time and memory in proportion" in caplog.messages[1]


def test_ones_own_set_is_never_taken_for_a_published_one(tmp_path):
    path = lay(tmp_path, npy(BINARY), "mnist")
    assert ImageChoice(str(path)).load("train")[0].name == "./mnist"
