"""Fashion-MNIST, binarised: pictures of clothes in the format of MNIST (H. Xiao, K. Rasul, R. Vollgraf,
2017), split 55,000 train, 5,000 validation, 10,000 test as MNIST is here."""

from __future__ import annotations

from collections.abc import Sequence

from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.image_set import ImageSet
from autoregressive.images.published import load_like_mnist

MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
# SHA-256 of the compressed files, as torchvision and TensorFlow Datasets have them.
DIGESTS = {
    "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
}
# What torchvision and others call its folder.
_FOLDERS = ("FashionMNIST", "fashion_mnist")


def load_fashion_mnist(
    split: str, mirrors: Sequence[str] = MIRRORS, *, how: Binarisation = DEFAULT
) -> ImageSet:
    """The binarised images of a split. Errors: DataError (see ``fetch`` and ``idx``)."""
    return load_like_mnist("fashion-mnist", split, how, DIGESTS, mirrors, _FOLDERS)
