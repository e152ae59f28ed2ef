"""Which images a command works on: a registered set by its name, or the user's own at a path."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from autoregressive.errors import DataError, OptionError
from autoregressive.images.binarisation import THRESHOLD, Binarisation
from autoregressive.images.datasets import DATASETS, load
from autoregressive.images.image_set import SPLITS, ImageSet, pack
from autoregressive.images.own import WHOLE, Stack, describe, read_parts
from autoregressive.images.sizes import format_shape

log = logging.getLogger(__name__)

# Shares of train, validation and test, in percent, of one file where the user says nothing.
PARTS = (80.0, 0.0, 20.0)
# Of the shuffle before a split. It is the same for every run: with another one a network would be tested
# on images that it was trained on.
_SPLIT_SEED = 0
# Images of more pixels take long to learn.
_LARGE = 2**14
# As many images as a standard error needs.
_FEWEST = 2


@dataclass(frozen=True)
class ImageChoice:
    """What a user says of the images to work on.

    data: a name of ``DATASETS``, or a path. threshold: None is ``THRESHOLD`` for grey images and no
    threshold for booleans. already_binary: numbers are 0 and 1 (or white), and not grey levels.
    inverted: dark pixels are 1. parts: shares of train, validation and test of one file, of any sum;
    None is ``PARTS``. shape: rows and columns that the images must have, and by which flat ones, (n,
    pixels), are read. flat_shape: rows and columns of flat images only.
    """

    data: str = "mnist"
    threshold: float | None = None
    already_binary: bool = False
    inverted: bool = False
    parts: tuple[float, ...] | None = None
    shape: tuple[int, int] | None = None
    flat_shape: tuple[int, int] | None = None

    def load(self, *splits: str) -> list[ImageSet]:
        """The images of each split. For a path the log says what was read.

        Errors: DataError for what cannot be read or made binary as asked, and for a split of fewer than
        2 images; OptionError for an unknown set, for what this set or file does not take, for images of
        another shape than ``shape``, and where ``parts`` leave too few images.
        """
        if not self.data.strip():
            raise OptionError(f"--data is empty: expected {', '.join(DATASETS)}, or a path")
        if self.already_binary and self.threshold is not None:
            raise OptionError("--threshold makes grey images binary: give it or --already-binary")
        sets = self._load_registered(splits) if self.data in DATASETS else self._load_own(splits)
        if len({images.shape for images in sets}) > 1:
            sizes = ", ".join(f"{format_shape(s.shape)} in {s.split}" for s in sets)
            raise DataError(f"{self.data} has images of {sizes}; expected one size")
        for images in sets:
            if self.shape is not None and images.shape != self.shape:
                raise OptionError(
                    f"{images.name} has images of {format_shape(images.shape)} pixels, "
                    f"not {format_shape(self.shape)} as --shape says: drop it"
                )
        return sets

    def like(
        self, shape: tuple[int, int], how: Binarisation, parts: tuple[float, ...] | None
    ) -> ImageChoice:
        """This choice, completed by what is known of the images that a network was trained on: their
        shape, how they were made binary, and the shares that they were split by."""
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

    def _load_registered(self, splits: tuple[str, ...]) -> list[ImageSet]:
        if self.already_binary:
            raise OptionError(f"{self.data} has grey levels: drop --already-binary")
        if self.parts is not None:
            raise OptionError(f"{self.data} comes in splits: drop --split")
        how = Binarisation(THRESHOLD if self.threshold is None else self.threshold, self.inverted)
        return [load(self.data, split, how) for split in splits]

    def _load_own(self, splits: tuple[str, ...]) -> list[ImageSet]:
        path = Path(self.data).expanduser()
        if not path.exists():
            raise OptionError(
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
            shares = normalise_shares(self.parts or PARTS)
            packed = split_rows(packed[WHOLE], shares)
        elif self.parts is not None:
            raise OptionError(f"{path} comes in {' and '.join(packed)}: drop --split")
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
            _refuse_few(str(path), split, sizes, shares, self.parts is not None)
        return [sets[split] for split in splits]

    def _binarisation(self, parts: dict[str, Stack]) -> Binarisation:
        binary = self.already_binary or all(s.dtype.kind == "b" for s in parts.values())
        usual = THRESHOLD if self.threshold is None else self.threshold
        return Binarisation(None if binary else usual, self.inverted)


def normalise_shares(parts: tuple[float, ...]) -> tuple[float, ...]:
    """Shares of train, validation and test in percent, from two numbers (train, test) or three.

    Errors: DataError for other numbers, negative or infinite ones, or a sum of 0.
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


def split_rows(
    rows: Shaped[np.ndarray, "n ..."], shares: tuple[float, ...]
) -> dict[str, Shaped[np.ndarray, "part ..."]]:
    """Rows by split: shuffled, always in the same way, then cut by ``shares`` in percent."""
    order = np.random.Generator(np.random.PCG64(_SPLIT_SEED)).permutation(len(rows))
    ends = [0, *(round(len(rows) * share / 100) for share in np.cumsum(shares))]
    return {
        split: rows[order[start:stop]]
        for split, (start, stop) in zip(SPLITS, pairwise(ends), strict=True)
    }


def _refuse_few(
    source: str,
    split: str,
    sizes: dict[str, int],
    shares: tuple[float, ...] | None,
    asked: bool,
) -> None:
    """Errors: DataError where a split has fewer images than a standard error needs, an OptionError where
    the user asked for these shares. sizes: by split."""
    n = sizes.get(split, 0)
    if n >= _FEWEST:
        return
    what = "give more" if shares is None else "give more, or another --split like 80,20"
    raise (OptionError if asked else DataError)(
        f"{source} has {n} {split} image{'s' * (n != 1)} of {sum(sizes.values())}; expected "
        f"{_FEWEST} or more: {what}"
    )
