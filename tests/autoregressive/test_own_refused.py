"""What is no set of images of one size, or not as options say, is refused in one clear line."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from own_files import GREY, RNG, idx, lay, npy, npz, pictures, png
from PIL import Image

from autoregressive.errors import DataError
from autoregressive.images.choice import ImageChoice
from autoregressive.images.own import read_parts

rgb = np.repeat(GREY[..., None], 3, -1)
opaque = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], -1)


def wide(n):
    return RNG.integers(0, 256, (n, 7, 5), np.uint8)


def transparent():
    picture = opaque[0].copy()
    picture[1, 2, 3] = 7
    return picture


def coloured():
    picture = rgb[0].copy()
    picture[1, 2] = (9, 8, 7)
    return picture


def frames():
    images = [Image.fromarray(a) for a in GREY[:3]]
    file = io.BytesIO()
    images[0].save(file, "gif", save_all=True, append_images=images[1:])
    return file.getvalue()


BAD = {
    "nothing there": (None, "or a path, and no such file or folder exists"),
    "an empty file": (b"", "is empty; expected an IDX, NPY or NPZ file, or a folder of pictures"),
    "another file": (b"hello, world", "is none of the files that are read"),
    "an empty folder": ({}, "holds no files; expected pictures (.png, .bmp, "),
    "a folder of other files": ({"a.txt": b"a"}, "holds 1 file, no pictures among them; ex"),
    "a folder of folders": (
        {"a.txt": b"a", "b.txt": b"b", "c": {}, "d": {"e.txt": b"e"}},
        "holds 2 files, no pictures among them and 2 folders (c, d); expected pictures (.png,",
    ),
    "a folder of classes": (
        {"cats": pictures(), "dogs": pictures()},
        "folders of its own (cats, dogs)",
    ),
    "one picture": ("one.png", "is one picture: give the folder"),
    "pictures and parts": (
        {**pictures(), "train": pictures()},
        "pictures and a folder train as well",
    ),
    "a part twice": ({"train": pictures(), "training": pictures()}, "both called train"),
    "a part without pictures": ({"train": pictures(), "test": {}}, "test holds no pictures"),
    "parts of two sizes": (
        {"train": pictures(), "test": pictures(wide(3))},
        "train images have 5 x 7 pixels, test images 7 x 5; expected one size",
    ),
    "pictures of two sizes": (
        {**pictures(), "99.png": png(wide(1)[0])},
        "99.png has 7 x 5 pixels, 00.png before it 5 x 7: expected pictures of one size",
    ),
    "colours": ({"a.png": png(coloured())}, "a.png has colours, (9, 8, 7) in row 1, column 2"),
    "transparent": ({"a.png": png(transparent())}, "a.png has transparent pixels"),
    "frames": ({"a.gif": frames()}, "a.gif has 3 frames"),
    "no picture": (
        {"a.png": b"hello"},
        "a.png is not a picture that can be read: its content is no PNG; remove it, or save",
    ),
    "no picture of another kind": ({"a.bmp": b"hello"}, "picture that can be read: save it as PNG"),
    "an empty picture": ({"a.png": b""}, "a.png is not a picture that can be read"),
    "half a picture": ({"a.png": png(GREY[0])[:60]}, "a.png is "),
    "a huge picture": (
        {"a.png": png(np.zeros((1100, 1000), np.uint8))},
        "1100 x 1000 pixels; expected 2 to 1,048,576",
    ),
    "several files": ({"a.npy": npy(GREY), "b.npy": npy(GREY)}, "2 files of images (a.npy, b.npy)"),
    "two images of a file": (
        npy(GREY[:2]),
        "0 test images of 2; expected 2 or more: give more, or ",
    ),
    "labels": (idx(np.arange(9, dtype=np.uint8), magic=0x801), "holds labels; expected images"),
    "few labels": (idx(np.arange(2, dtype=np.uint8), magic=0x801), "holds labels; expected images"),
    "packed labels": (idx(np.arange(9, dtype=np.uint8), True, 0x801), "holds labels; expected im"),
    "no arrays": (npz(), "holds no arrays: save images with numpy.savez"),
    "half an IDX file": (idx(GREY)[:-9], "declares 350 bytes of images but holds 341"),
    "no IDX images": (idx(GREY[:0]), "should hold n x rows x columns images with n from 1"),
    "a bomb": (
        gzip.compress(struct.pack(">4I", 0x803, 10**6, 1000, 1000) + bytes(10**6)),
        "but declares 1000000 x 1000 x 1000",
    ),
    "half a gzip file": (idx(GREY, packed=True)[:-9], "is not a whole gzip file"),
    "pickled objects": (npy(np.array([{}, {}])), "pickled objects, which are never loaded"),
    "half an NPY file": (npy(GREY)[:-9], "was it cut or changed?"),
    "complex numbers": (npy(GREY * 1j), "complex128 values; expected grey levels"),
    "no NPY images": (npy(GREY[:0]), "is empty: it declares the shape (0, 5, 7)"),
    "channels": (npy(rgb), "images of 3 channels; expected one"),
    "five axes": (npy(GREY[None, None]), "expected (n, rows, columns)"),
    "one number": (npy(np.uint8(7)), "expected (n, rows, columns)"),
    "one pixel": (npy(GREY[:, :1, :1]), "10 images of 1 x 1 pixels; expected"),
    "negative": (npy(GREY.astype(int) - 1), "should hold grey levels from 0 to 255, but image "),
    "floats to 255": (npy(GREY.astype(float)), "should hold numbers from 0 to 1, but image 0 has "),
    "NaN": (npy(np.where(GREY > 200, np.nan, 0.5)), "should hold numbers from 0 to 1, but image "),
    "half an NPZ file": (npz(a=GREY)[:-30], "is not a whole NPZ file"),
    "an archive of none": (b"PK\x03\x04" + bytes(40), "is not a whole NPZ file"),
    "many arrays": (npz(a=GREY, b=GREY), "holds the arrays a, b; expected one of images"),
    "labels alone": (npz(y=np.arange(9)), "holds the arrays of labels alone"),
    "pickled objects in NPZ": (npz(a=np.array([{}])), "pickled objects, which are never loaded"),
}


@pytest.mark.parametrize("content, message", BAD.values(), ids=BAD)
def test_bad_input_is_one_line(tmp_path, content, message):
    path = tmp_path / "images"
    if content == "one.png":
        path = lay(tmp_path, png(GREY[0]), "one.png")
    elif content is not None:
        path = lay(tmp_path, content)
    with pytest.raises(DataError) as error:
        ImageChoice(str(path)).load("train", "test")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_archive_of_other_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as whole:
        whole.writestr("a.txt", "hello")
    with pytest.raises(DataError, match="holds no arrays"):
        read_parts(tmp_path / "a.npz")


def test_a_header_that_asks_for_more_than_an_archive_holds_is_refused(tmp_path):
    header = npy(GREY).replace(b"(10, 5, 7)", b"(99, 5, 7)")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as whole:
        whole.writestr("a.npy", header)
    with pytest.raises(DataError, match="was it cut or changed"):
        read_parts(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"threshold": 0.5, "already_binary": True}, "give it or --already-binary"),
        ({"data": " "}, "--data is empty: expected mnist"),
        ({"threshold": 1.0}, "expected a share of white, at least 0 and below 1"),
        ({"already_binary": True}, "should hold 0 and 255, or 0 and 1, but image 0 has"),
        ({"shape": (7, 5)}, "has images of 5 x 7 pixels, not 7 x 5 as --shape says"),
        (
            {"parts": (1, 0)},
            "0 test images of 10; expected 2 or more: give more, or another --split",
        ),
        ({"parts": (0, 0)}, "expected shares of train and test like 80,20"),
        ({"parts": (1, -1)}, "expected shares of train and test like 80,20"),
        ({"data": "glyphs", "parts": (1, 1)}, "glyphs comes in splits: drop --split"),
        (
            {"data": "glyphs", "already_binary": True},
            "glyphs has grey levels: drop --already-binary",
        ),
        ({"data": "glyphs", "shape": (7, 5)}, "has images of 28 x 28 pixels, not 7 x 5"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, options, message):
    path = lay(tmp_path, npy(GREY))
    with pytest.raises(DataError, match=message):
        ImageChoice(**({"data": str(path)} | options)).load("train", "test")
