"""The sets of images that commands can name."""

from __future__ import annotations

from typing import Protocol

from autoregressive.errors import OptionError
from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.emnist import load_emnist_digits
from autoregressive.images.fashion_mnist import load_fashion_mnist
from autoregressive.images.glyphs import load_glyphs
from autoregressive.images.image_set import ImageSet, check_split
from autoregressive.images.kmnist import load_kmnist
from autoregressive.images.mnist import load_mnist


class LoadSet(Protocol):
    """A registered set: from the name of a split to its images, binarised as asked."""

    def __call__(self, split: str, *, how: Binarisation = ...) -> ImageSet: ...


def load(data: str = "mnist", split: str = "train", how: Binarisation = DEFAULT) -> ImageSet:
    """The images of a registered set: split 'train', 'validation' or 'test'. how: what becomes 1.

    Errors: OptionError for an unknown set; DataError for an unknown split, and where the set cannot be
    had.
    """
    check_data(data)
    check_split(split)
    return DATASETS[data](split, how=how)


def check_data(data: str) -> None:
    """Errors: OptionError for an unknown set."""
    if data not in DATASETS:
        raise OptionError(f"unknown data {data!r}: expected one of {', '.join(sorted(DATASETS))}")


DATASETS: dict[str, LoadSet] = {
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "kmnist": load_kmnist,
    "emnist-digits": load_emnist_digits,
    "glyphs": load_glyphs,
}
