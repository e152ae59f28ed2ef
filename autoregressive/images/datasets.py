"""The sets of images that commands can name."""

from __future__ import annotations

from collections.abc import Callable

from autoregressive.errors import DataError
from autoregressive.images.glyphs import load_glyphs
from autoregressive.images.image_set import SPLITS, ImageSet
from autoregressive.images.mnist import load_mnist


def load(data: str = "mnist", split: str = "train") -> ImageSet:
    """The images of a registered set: split 'train', 'validation' or 'test'.

    Errors: DataError for an unknown set or split, and where the set cannot be had.
    """
    if data not in DATASETS:
        raise DataError(f"unknown data {data!r}: expected one of {', '.join(sorted(DATASETS))}")
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    return DATASETS[data](split)


# A function from the name of a split to its images.
DATASETS: dict[str, Callable[[str], ImageSet]] = {"mnist": load_mnist, "glyphs": load_glyphs}
