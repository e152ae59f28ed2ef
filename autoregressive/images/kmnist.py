"""Kuzushiji-MNIST, binarised: cursive Japanese characters in the format of MNIST (T. Clanuwat et al.,
2018), split 55,000 train, 5,000 validation, 10,000 test as MNIST is here."""

from __future__ import annotations

from collections.abc import Sequence

from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.image_set import ImageSet
from autoregressive.images.published import load_like_mnist

MIRRORS = (
    "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
)
# SHA-256 of the compressed files, as torchvision and TensorFlow Datasets have them.
DIGESTS = {
    "train-images-idx3": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    "t10k-images-idx3": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
}


def load_kmnist(
    split: str, mirrors: Sequence[str] = MIRRORS, *, how: Binarisation = DEFAULT
) -> ImageSet:
    """The binarised images of a split. Errors: DataError (see ``fetch`` and ``idx``)."""
    return load_like_mnist("kmnist", split, how, DIGESTS, mirrors)
