"""What published sets in the format of MNIST share: where their splits lie, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from autoregressive.errors import DataError
from autoregressive.images.binarisation import Binarisation
from autoregressive.images.fetch import read_verified
from autoregressive.images.idx import IMAGES, parse_idx
from autoregressive.images.image_set import ImageSet, pack


class Part(NamedTuple):
    """Where a split lies: in which pair of files, and from where to where."""

    prefix: str
    start: int
    stop: int


_PARTS = {
    "train": Part("train", 0, 55_000),
    "validation": Part("train", 55_000, 60_000),
    "test": Part("t10k", 0, 10_000),
}


def published_set(
    name: str, split: str, grey: UInt8[np.ndarray, "n rows columns"], how: Binarisation
) -> ImageSet:
    """Grey levels of a published set as its binary images."""
    rows, columns = grey.shape[1:]
    return ImageSet(name, split, pack(how.apply(grey, name)), (rows, columns), how)


def part_of(split: str) -> Part:
    """Where a split lies in sets of MNIST's format and sizes. Errors: DataError for an unknown one."""
    if split not in _PARTS:
        raise DataError(f"unknown split {split!r}: expected one of {', '.join(_PARTS)}")
    return _PARTS[split]


def load_like_mnist(
    name: str,
    split: str,
    how: Binarisation,
    digests: Mapping[str, str],
    mirrors: Sequence[str],
    also: Sequence[str] = (),
) -> ImageSet:
    """A split of a set whose files are called as MNIST's and are as large.

    digests: SHA-256 of the compressed files, by what stands before "-ubyte.gz". also: other names of
    its folder. Errors: DataError (see ``fetch`` and ``idx``).
    """
    part = part_of(split)
    stem = f"{part.prefix}-images-idx3"
    file = f"{stem}-ubyte.gz"
    content = read_verified(name, file, digests[stem], mirrors, also=also, borrowed=True)
    return published_set(name, split, parse_idx(content, IMAGES, file)[part.start : part.stop], how)
