"""Sets in the format of MNIST, with files made here in the place of the published ones."""

import gzip
import hashlib
import re
import struct

import numpy as np
import pytest
from laws import image_sets_are_the_same_each_time_and_follow_the_threshold

from autoregressive.errors import DataError
from autoregressive.images import emnist, fashion_mnist, kmnist
from autoregressive.images.datasets import DATASETS, load
from autoregressive.images.emnist import load_emnist_digits
from autoregressive.images.fashion_mnist import load_fashion_mnist
from autoregressive.images.kmnist import load_kmnist

LIKE_MNIST = {
    "fashion-mnist": (fashion_mnist, load_fashion_mnist, "FashionMNIST/raw"),
    "kmnist": (kmnist, load_kmnist, "KMNIST/raw"),
}


def packed(n, seed=0):
    grey = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), np.uint8)
    return grey, gzip.compress(struct.pack(">4I", 0x803, n, 28, 28) + grey.tobytes(), 1)


@pytest.mark.parametrize("name", LIKE_MNIST)
def test_splits_lie_where_mnists_do(tmp_path, monkeypatch, name):
    module, load_set, folder = LIKE_MNIST[name]
    (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    grey, content = packed(7)
    stem = "t10k-images-idx3"
    (tmp_path / folder / f"{stem}-ubyte.gz").write_bytes(content)
    (tmp_path / f"{stem}-ubyte.gz").write_bytes(b"a file of MNIST, which is called so too")
    with pytest.raises(DataError, match=f"expected SHA-256 {module.DIGESTS[stem]}, got"):
        load_set("test", mirrors=())
    unpacked = tmp_path / folder / f"{stem}-ubyte"
    (tmp_path / folder / f"{stem}-ubyte.gz").rename(tmp_path / "kept")
    unpacked.write_bytes(gzip.decompress(content))
    with pytest.raises(DataError, match=f"is unpacked.* --data {unpacked.parent}"):
        load_set("test", mirrors=())
    (tmp_path / "kept").rename(tmp_path / folder / f"{stem}-ubyte.gz")
    monkeypatch.setitem(module.DIGESTS, stem, hashlib.sha256(content).hexdigest())
    images = load_set("test", mirrors=())
    assert (images.name, images.split, images.shape) == (name, "test", (28, 28))
    np.testing.assert_array_equal(images.images(), grey.reshape(7, 784) > 25)
    assert load(name, "test").digest == images.digest


def test_emnist_is_turned_upright(tmp_path, monkeypatch):
    (tmp_path / "emnist").mkdir()
    monkeypatch.setenv("META_LEARN_DATA", str(tmp_path))
    grey, content = packed(5)
    name = "emnist-digits-test-images-idx3-ubyte.gz"
    (tmp_path / "emnist" / name).write_bytes(content)
    with pytest.raises(DataError, match=f"expected MD5 {emnist.DIGESTS[name]}, got"):
        load_emnist_digits("test", mirrors=())
    monkeypatch.setitem(emnist.DIGESTS, name, hashlib.md5(content).hexdigest())
    images = load_emnist_digits("test", mirrors=())
    upright = np.array([[[image[c][r] for c in range(28)] for r in range(28)] for image in grey])
    np.testing.assert_array_equal(images.images(), upright.reshape(5, 784) > 25)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_set_refuses_an_unknown_split(name):
    with pytest.raises(DataError, match="unknown split 'dev': expected one of train, validation, "):
        DATASETS[name]("dev")


def test_digests_are_whole_and_differ():
    tables = [fashion_mnist.DIGESTS, kmnist.DIGESTS, {"zip": emnist.ARCHIVE_DIGEST}]
    sha256 = [digest for table in tables for digest in table.values()]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in sha256)
    assert all(re.fullmatch("[0-9a-f]{32}", digest) for digest in emnist.DIGESTS.values())
    assert len({*sha256, *emnist.DIGESTS.values()}) == 7


def test_glyphs_obey_the_law_of_image_sets():
    image_sets_are_the_same_each_time_and_follow_the_threshold("glyphs")
