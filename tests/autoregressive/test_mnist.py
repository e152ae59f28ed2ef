"""MNIST itself, where META_LEARN_DATA has it, and how its files are asked for."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from autoregressive.errors import DataError
from autoregressive.images.choice import ImageChoice
from autoregressive.images.datasets import load
from autoregressive.images.mnist import CONTENT_DIGESTS, DIGESTS, load_labels, load_mnist

DATA = Path(os.environ.get("META_LEARN_DATA", "no folder named"))
has_mnist = pytest.mark.skipif(
    not (DATA / "mnist" / "train-images-idx3-ubyte.gz").is_file(),
    reason="META_LEARN_DATA does not name a folder with mnist/*.gz",
)
has_inpainting = pytest.mark.skipif(
    not (DATA / "inpainting").is_dir(), reason="META_LEARN_DATA has no folder inpainting"
)


@pytest.fixture(scope="module")
def mnist():
    return {split: load("mnist", split) for split in ("train", "validation", "test")}


@has_mnist
def test_the_splits_have_their_sizes(mnist):
    assert {k: len(v) for k, v in mnist.items()} == {
        "train": 55_000,
        "validation": 5_000,
        "test": 10_000,
    }
    assert all(images.packed.shape == (len(images), 98) for images in mnist.values())


@has_mnist
def test_the_first_pixel_is_never_set_in_training(mnist):
    assert not (mnist["train"].packed[:, 0] >> 7).any()


@has_mnist
def test_the_pixels_are_those_published(mnist):
    # Computed apart from this package: gzip, pixel / 255 > 0.1 in float64, packbits.
    assert {k: v.digest[:16] for k, v in mnist.items()} == {
        "train": "5c3c165b6b787a5a",
        "validation": "6ed47ebd9efb0c5e",
        "test": "36a060a68448713d",
    }


@has_mnist
@pytest.mark.parametrize(
    "split, first", [("train", [5, 0, 4]), ("validation", [1, 2, 8]), ("test", [7, 2, 1])]
)
def test_the_labels_are_those_published(mnist, split, first):
    labels = load_labels(split)
    assert len(labels) == len(mnist[split]) and labels.max() == 9
    assert labels[:3].tolist() == first


@has_mnist
@has_inpainting
def test_the_inpainting_files_show_test_images(mnist):
    truth = np.load(DATA / "inpainting" / "one_pixel_inpainting.npy")[1]
    known = {row.tobytes() for row in mnist["test"].packed}
    assert all(row.tobytes() in known for row in np.packbits(truth > 0.5, axis=-1))


@has_mnist
def test_its_folder_is_read_as_images_of_ones_own(mnist):
    (test,) = ImageChoice(str(DATA / "mnist")).load("test")
    assert (test.name, test.digest) == ("./mnist", mnist["test"].digest)
    (lighter,) = ImageChoice("mnist", threshold=0.5).load("test")
    assert lighter.images().sum() < test.images().sum()


@pytest.mark.parametrize("load_part", [load_mnist, load_labels])
def test_an_unknown_split_is_refused(load_part):
    with pytest.raises(DataError, match="unknown split 'dev': expected one of train, validation, "):
        load_part("dev")


@pytest.mark.parametrize("stem", DIGESTS)
def test_another_file_of_that_name_is_refused(tmp_path, monkeypatch, stem):
    (tmp_path / f"{stem}-ubyte.gz").write_bytes(b"mine")
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    split = "train" if stem.startswith("train") else "test"
    with pytest.raises(DataError, match=f"expected SHA-256 {CONTENT_DIGESTS[stem]}, got"):
        (load_mnist if "images" in stem else load_labels)(split)


def test_the_digests_are_sha256():
    every = [*DIGESTS.values(), *CONTENT_DIGESTS.values()]
    assert {len(d) for d in every} == {hashlib.sha256().digest_size * 2}
    assert len(set(every)) == 8 and DIGESTS.keys() == CONTENT_DIGESTS.keys()


PUBLISHED = "t10k-labels-idx1-ubyte"
NAMES = (PUBLISHED + ".gz", PUBLISHED, "t10k-labels.idx1-ubyte", "t10k-labels.idx1-ubyte.gz")
FOLDERS = (".", "mnist", "MNIST/raw", "mnist/raw", "raw", "MNIST", f"mnist/{PUBLISHED}")


@has_mnist
@pytest.mark.parametrize("unpacked", [False, True], ids=["gzip", "unpacked"])
def test_a_file_is_known_by_what_is_inside(tmp_path, monkeypatch, unpacked):
    content = (DATA / "mnist" / f"{PUBLISHED}.gz").read_bytes()
    content = gzip.decompress(content) if unpacked else content
    wanted = load_labels("test")
    for number, (folder, name) in enumerate((f, n) for f in FOLDERS for n in NAMES):
        path = tmp_path / str(number) / folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        monkeypatch.setenv("META_LEARN_DATA", str(tmp_path / str(number)))
        np.testing.assert_array_equal(load_labels("test", mirrors=()), wanted)


@has_mnist
def test_every_published_file_is_found_unpacked(tmp_path, monkeypatch, mnist):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for stem in DIGESTS:
        content = gzip.decompress((DATA / "mnist" / f"{stem}-ubyte.gz").read_bytes())
        (tmp_path / "MNIST" / "raw" / f"{stem}-ubyte").write_bytes(content)
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    for split, images in mnist.items():
        assert load_mnist(split, mirrors=()).digest == images.digest
        load_labels(split, mirrors=())


@has_mnist
def test_a_good_file_beside_a_bad_one_is_read(tmp_path, monkeypatch):
    good = (DATA / "mnist" / f"{PUBLISHED}.gz").read_bytes()
    (tmp_path / f"{PUBLISHED}.gz").write_bytes(good[:100])
    (tmp_path / "t10k-labels.idx1-ubyte").write_bytes(gzip.decompress(good))
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    assert len(load_labels("test", mirrors=())) == 10_000


PAGE = b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>\n"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content", [PAGE, gzip.compress(PAGE), b"\xef\xbb\xbf" + PAGE], ids=["plain", "gzip", "marked"]
)
def test_a_web_page_is_called_one(tmp_path, monkeypatch, name, content):
    (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    with pytest.raises(DataError) as error:
        load_labels("test", mirrors=())
    assert f"{name} is a web page, not an IDX file" in str(error.value)
    assert "\n" not in str(error.value)


def test_half_a_gzip_file_is_called_one(tmp_path, monkeypatch):
    (tmp_path / PUBLISHED).write_bytes(gzip.compress(bytes(1000))[:-9])
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="is not a whole gzip file"):
        load_labels("test", mirrors=())
