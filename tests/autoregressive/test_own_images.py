"""Images of one's own: whatever the file, the pixels that were written come back; what is no set of
images of one size is refused in one clear line."""

import gzip
import io
import logging
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from autoregressive.errors import DataError
from autoregressive.images.binarisation import Binarisation, grey_level
from autoregressive.images.choice import ImageChoice, normalised, split_rows
from autoregressive.images.own import WHOLE, read_parts

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (10, 5, 7), np.uint8)
BINARY = GREY > 127


def idx(grey, packed=False, magic=0x803):
    data = struct.pack(f">{1 + grey.ndim}I", magic, *grey.shape) + grey.tobytes()
    return gzip.compress(data) if packed else data


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def png(array, mode=None, suffix="png", **options):
    image = Image.fromarray(array)
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, suffix, **options)
    return file.getvalue()


def pictures(arrays=GREY, **options):
    return {
        f"{n:02}.{options.get('suffix', 'png')}": png(a, **options) for n, a in enumerate(arrays)
    }


def lay(root, content, name="images"):
    """Bytes as a file, a dict as a folder."""
    path = root / name
    if isinstance(content, bytes):
        path.write_bytes(content)
        return path
    path.mkdir(exist_ok=True)
    for inside, more in content.items():
        lay(path, more, inside)
    return path


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
    first = split_rows(rows, normalised((80, 10, 10)))
    assert [len(part) for part in first.values()] == [81, 10, 10]
    assert sorted(np.concatenate(list(first.values())).ravel()) == list(range(101))
    again = split_rows(rows, normalised((0.8, 0.1, 0.1)))
    assert all((first[name] == again[name]).all() for name in first)
    # Files in the order of their classes: every part has some of each end.
    assert first["test"].min() < 30 and first["test"].max() > 70
    assert normalised((3, 1)) == (75, 0, 25)


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
    "a folder of other files": ({"a.txt": b"a"}, "holds 1 files, no pictures among them"),
    "a folder of classes": (
        {"cats": pictures(), "dogs": pictures()},
        "folders of its own (cats, dogs)",
    ),
    "one picture": ("one.png", "is one picture: give the folder"),
    "pictures and parts": (
        {**pictures(), "train": pictures()},
        "pictures and a folder train as well",
    ),
    "a part alone": ({"train": pictures()}, "has train images alone; expected train and test"),
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
    "no picture": ({"a.png": b"hello"}, "a.png is not a picture that can be read"),
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
    "labels": (idx(np.arange(9, dtype=np.uint8), magic=0x801), "0x00000803, got 0x00000801"),
    "half an IDX file": (idx(GREY)[:-9], "declares 350 bytes of images but holds 341"),
    "no IDX images": (idx(GREY[:0]), "should hold n x rows x columns images with n from 1"),
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
