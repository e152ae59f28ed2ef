"""MNIST itself, where META_LEARN_DATA has it, and how its files are asked for."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from autoregressive.errors import DataError
from autoregressive.images.datasets import load
from autoregressive.images.mnist import DIGESTS, load_labels, load_mnist

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


@pytest.mark.parametrize("load_part", [load_mnist, load_labels])
def test_an_unknown_split_is_refused(load_part):
    with pytest.raises(DataError, match="unknown split 'dev': expected one of train, validation, "):
        load_part("dev")


@pytest.mark.parametrize("stem", DIGESTS)
def test_another_file_of_that_name_is_refused(tmp_path, monkeypatch, stem):
    (tmp_path / f"{stem}-ubyte.gz").write_bytes(b"mine")
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    split = "train" if stem.startswith("train") else "test"
    with pytest.raises(DataError, match=f"expected SHA-256 {DIGESTS[stem]}, got"):
        (load_mnist if "images" in stem else load_labels)(split)


def test_the_digests_are_sha256():
    assert {len(d) for d in DIGESTS.values()} == {hashlib.sha256().digest_size * 2}
