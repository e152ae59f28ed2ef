"""What published sets share: where their splits lie, and how sets in the format of MNIST are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from autoregressive.images.binarisation import Binarisation
from autoregressive.images.fetch import read_verified
from autoregressive.images.idx import IMAGES, parse_idx
from autoregressive.images.image_set import ImageSet, check_split, pack


class Part(NamedTuple):
    """Where a split lies: in the files whose names start with ``prefix``, items start .. stop - 1."""

    prefix: str
    start: int
    stop: int


MNIST_PARTS = {
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


def load_like_mnist(
    name: str,
    split: str,
    how: Binarisation,
    digests: Mapping[str, str],
    mirrors: Sequence[str],
    also: Sequence[str] = (),
) -> ImageSet:
    """A split of a set whose files have the names and the sizes of MNIST's.

    digests: SHA-256 of the compressed files, by what stands before "-ubyte.gz". also: other names of
    its folder. Errors: DataError for an unknown split, and those of ``fetch`` and ``idx``.
    """
    check_split(split)
    part = MNIST_PARTS[split]
    stem = f"{part.prefix}-images-idx3"
    file = f"{stem}-ubyte.gz"
    content = read_verified(name, file, digests[stem], mirrors, also=also, borrowed=True)
    return published_set(name, split, parse_idx(content, IMAGES, file)[part.start : part.stop], how)
