"""NPY files of masked images: the coursework's format is read, anything else is one clear line."""

import io
import pickle

import numpy as np
import pytest

from autoregressive.errors import DataError
from autoregressive.images.masked import read_masked

TRUTH = np.random.default_rng(0).integers(0, 2, (3, 16))


def with_missing(*places):
    out = TRUTH.copy()
    out[:, list(places)] = -1
    return out


def saved(path, array):
    np.save(path, array)
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64", ">f4", "float16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_masked_images_with_their_truth(tmp_path, dtype, order):
    both = np.asarray(np.stack([with_missing(5), TRUTH]), dtype, order=order)
    images = read_masked(saved(tmp_path / "a.npy", both))
    np.testing.assert_array_equal(images.masked, with_missing(5))
    np.testing.assert_array_equal(images.truth, TRUTH)


def test_masked_images_alone(tmp_path):
    images = read_masked(saved(tmp_path / "a.npy", with_missing(0, 15)))
    np.testing.assert_array_equal(images.masked, with_missing(0, 15))
    assert images.truth is None


@pytest.mark.parametrize(
    ("places", "kind"),
    [
        ([3], "one pixel"),
        ([5, 6, 9, 10], "a 2 x 2 patch"),
        ([5, 6], "a 1 x 2 patch"),
        ([3, 4], "2 pixels"),
        ([0, 15], "2 pixels"),
    ],
)
def test_the_kind_is_told_by_the_pixels(tmp_path, places, kind):
    assert read_masked(saved(tmp_path / "a.npy", with_missing(*places))).kind() == kind


def test_the_kind_of_mixed_images(tmp_path):
    images = with_missing(3)
    images[0, 5:8] = -1
    assert read_masked(saved(tmp_path / "a.npy", images)).kind() == "1 to 4 pixels"


def changed(array, index, value):
    array = array.astype(float)
    array[index] = value
    return array


BAD = {
    "nan": (changed(with_missing(1), (2, 3), np.nan), "image 2 has nan at pixel 3"),
    "infinity": (changed(with_missing(1), (0, 0), -np.inf), "image 0 has -inf at pixel 0"),
    "half": (changed(with_missing(1), (1, 0), 0.5), "image 1 has 0.5 at pixel 0"),
    "grey": (changed(with_missing(1), (1, 0), 255), "image 1 has 255.0"),
    "nothing missing": (TRUTH, "nothing is missing"),
    "nothing missing in a pair": (np.stack([TRUTH, TRUTH]), "nothing is missing"),
    "missing in the truth": (np.stack([with_missing(1)] * 2), r"the ground truth in \[1\]"),
    "another truth": (np.stack([with_missing(1), 1 - TRUTH]), "differs from its ground truth"),
    "three": (np.stack([with_missing(1)] * 3), r"the shape \(3, 3, 16\)"),
    "one image": (with_missing(1)[0], r"the shape \(16,\)"),
    "four axes": (with_missing(1)[None, None], "the shape"),
    "empty": (np.zeros((0, 16)), "is empty"),
    "no pixels": (np.zeros((3, 0)), "is empty"),
    "one pixel": (np.full((3, 1), -1), "3 images of 1 pixels"),
    "text": (np.full((3, 16), "1"), "expected numbers"),
    "complex": (with_missing(1).astype(complex), "expected numbers"),
    "records": (np.zeros(3, [("a", "i4")]), "expected numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_refused_in_one_line(tmp_path, name):
    array, message = BAD[name]
    with pytest.raises(DataError, match=message) as error:
        read_masked(saved(tmp_path / "a.npy", array))
    assert "\n" not in str(error.value)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled objects"):
        read_masked(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="not an NPY file"):
        read_masked(path)


def header(shape, descr="<f4"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"shape": shape, "fortran_order": False, "descr": descr}
    )
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        header((2, 1000, 784)) + bytes(100),
        header((10**9, 784)) + bytes(784),
        header((10**18, 10**18)),
        header((-1, 784)) + bytes(784),
        header((3, 16)) + bytes(3 * 16 * 4 + 1),
        header((3, 16)),
        header((3, 16))[:40],
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
        b"\x93NUMPY\x03\x00" + header((3, 16))[8:],
        b"",
        b"PK\x03\x04 an archive",
    ],
    ids=[
        "cut",
        "huge",
        "absurd",
        "negative",
        "trailing",
        "no values",
        "half a header",
        "nested",
        "version 3",
        "empty",
        "npz",
    ],
)
def test_headers_that_lie_are_refused(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_masked(path)
    assert "\n" not in str(error.value)


def test_no_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no file"):
        read_masked(tmp_path / "none.npy")
    with pytest.raises(DataError, match="no file"):
        read_masked(tmp_path)
