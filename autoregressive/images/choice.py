"""Which images a command works on: a registered set by its name, or one's own at a path."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from autoregressive.errors import DataError
from autoregressive.images.binarisation import THRESHOLD, Binarisation
from autoregressive.images.datasets import DATASETS, load
from autoregressive.images.image_set import SPLITS, ImageSet, pack
from autoregressive.images.own import WHOLE, Stack, describe, read_parts
from autoregressive.images.pictures import size

log = logging.getLogger(__name__)

# Train, validation and test of one file: four fifths and a fifth.
PARTS = (80.0, 0.0, 20.0)
# Of the shuffle that goes before a split. The same for every run: a network must never be tested on
# what it was trained on because another seed was asked for.
_SPLIT_SEED = 0
# More pixels than these take long to learn.
_LARGE = 2**14
# A standard error needs two.
_FEWEST = 2


@dataclass(frozen=True)
class ImageChoice:
    """data: a name of ``DATASETS``, or a path. threshold: None for what is usual, ``THRESHOLD``, or
    for images that are binary anyhow. inverted: dark pixels are 1. parts: shares of train, validation
    and test of one file, of any sum. shape: what images of a file of rows of pixels are, and what any
    must be. flat_shape: the first of these alone.
    """

    data: str = "mnist"
    threshold: float | None = None
    already_binary: bool = False
    inverted: bool = False
    parts: tuple[float, ...] | None = None
    shape: tuple[int, int] | None = None
    flat_shape: tuple[int, int] | None = None

    def load(self, *splits: str) -> list[ImageSet]:
        """The images of each split; of a path, it is said in the log what was read.

        Errors: DataError for an unknown set or split, what cannot be read or cannot be made binary as
        asked, another shape than ``shape``, and a split of fewer than 2 images.
        """
        if self.already_binary and self.threshold is not None:
            raise DataError("--threshold makes grey images binary: give it or --already-binary")
        sets = self._named(splits) if self.data in DATASETS else self._own(splits)
        for images in sets:
            if self.shape is not None and images.shape != self.shape:
                raise DataError(
                    f"{images.name} has images of {size(images.shape)} pixels, not {size(self.shape)} "
                    "as --shape says: drop it"
                )
        return sets

    def like(
        self, shape: tuple[int, int], how: Binarisation, parts: tuple[float, ...] | None
    ) -> ImageChoice:
        """This choice with what it does not say taken from images that a network was trained on."""
        said = self.already_binary or self.threshold is not None
        own = self.data not in DATASETS
        return replace(
            self,
            threshold=self.threshold if said else how.threshold,
            already_binary=self.already_binary or (own and not said and how.threshold is None),
            inverted=self.inverted or how.inverted,
            parts=self.parts if self.parts is not None or not own else parts,
            flat_shape=self.flat_shape or shape,
        )

    def _named(self, splits: tuple[str, ...]) -> list[ImageSet]:
        if self.already_binary:
            raise DataError(f"{self.data} has grey levels: drop --already-binary")
        if self.parts is not None:
            raise DataError(f"{self.data} comes in splits: drop --split")
        how = Binarisation(THRESHOLD if self.threshold is None else self.threshold, self.inverted)
        return [load(self.data, split, how) for split in splits]

    def _own(self, splits: tuple[str, ...]) -> list[ImageSet]:
        path = Path(self.data).expanduser()
        if not path.exists():
            raise DataError(
                f"unknown data {self.data!r}: expected one of {', '.join(sorted(DATASETS))}, or a path, "
                "and no such file or folder exists"
            )
        name = path.resolve().name
        name = f"./{name}" if name in DATASETS else name
        parts = read_parts(path, self.shape or self.flat_shape)
        how = self._binarisation(parts)
        packed = {
            part: pack(how.apply(stack, f"{path}" if part == WHOLE else f"{path}, {part}"))
            for part, stack in parts.items()
        }
        first = next(iter(parts.values()))
        shape = (int(first.shape[1]), int(first.shape[2]))
        shares = None
        if WHOLE in packed:
            shares = normalised(self.parts or PARTS)
            packed = split_rows(packed[WHOLE], shares)
        elif self.parts is not None:
            raise DataError(f"{path} comes in {' and '.join(packed)}: drop --split")
        sets = {
            split: ImageSet(name, split, rows, shape, how, shares) for split, rows in packed.items()
        }
        ones = sum(int(np.bitwise_count(rows).sum()) for rows in packed.values())
        sizes = {split: len(rows) for split, rows in packed.items() if len(rows)}
        ink = ones / (sum(sizes.values()) * shape[0] * shape[1])
        log.info("%s", describe(name, sizes, shape, ink, str(how)))
        if first.shape[1] * first.shape[2] > _LARGE:
            log.info(
                "%s: networks read one pixel after the other, and training takes time and memory in "
                "proportion; some 28 x 28 pixels are enough for most drawings",
                name,
            )
        for split in splits:
            _refuse_few(str(path), split, sizes, shares)
        return [sets[split] for split in splits]

    def _binarisation(self, parts: dict[str, Stack]) -> Binarisation:
        binary = self.already_binary or all(s.dtype.kind == "b" for s in parts.values())
        usual = THRESHOLD if self.threshold is None else self.threshold
        return Binarisation(None if binary else usual, self.inverted)


def normalised(parts: tuple[float, ...]) -> tuple[float, ...]:
    """Shares of train, validation and test in percent, from two (train, test) or three numbers.

    Errors: DataError.
    """
    three = (parts[0], 0.0, parts[1]) if len(parts) == 2 else parts
    total = sum(three)
    # A NaN fails the first comparison, an infinite share the second.
    if len(three) != 3 or not all(part >= 0 for part in three) or not 0 < total < float("inf"):
        raise DataError(
            f"a split is {','.join(f'{p:g}' for p in parts)}; expected shares of train and test like "
            "80,20, or of train, validation and test like 80,10,10"
        )
    return tuple(100 * part / total for part in three)


def split_rows(rows: np.ndarray, shares: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Rows by split: shuffled, always in the same way, then cut by ``shares`` (percent)."""
    order = np.random.Generator(np.random.PCG64(_SPLIT_SEED)).permutation(len(rows))
    ends = [0, *(round(len(rows) * share / 100) for share in np.cumsum(shares))]
    return {
        split: rows[order[start:stop]]
        for split, (start, stop) in zip(SPLITS, pairwise(ends), strict=True)
    }


def _refuse_few(
    source: str, split: str, sizes: dict[str, int], shares: tuple[float, ...] | None
) -> None:
    """Errors: DataError where a split that is wanted has fewer images than give a standard error."""
    n = sizes.get(split, 0)
    if n >= _FEWEST:
        return
    what = "give more" if shares is None else "give more, or another --split like 80,20"
    raise DataError(
        f"{source} has {n} {split} image{'s' * (n != 1)} of {sum(sizes.values())}; expected "
        f"{_FEWEST} or more: {what}"
    )
