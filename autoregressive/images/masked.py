"""Images with missing pixels: from a file, or images with a mask laid over them.

The coursework's NPY files hold an array (2, n, P): first the images with -1 for missing, then the same
images whole. A file of masked images alone, (n, P), has no truth to compare with.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Bool, Int8, Shaped, UInt8

from autoregressive.errors import DataError
from autoregressive.images.image_set import ImageSet
from autoregressive.images.masks import check_mask, draw_mask
from autoregressive.images.npy import map_array
from autoregressive.images.sizes import MOST_IMAGES

# Pixels of one image that is in-painted.
_MOST_PLACES = 2**16
# Images of a file in memory at once while their values are checked.
_ROWS = 4096


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """masked: 0, 1 and -1 for missing. truth: the whole images, None if not known. shape: rows and
    columns, None where only the number of pixels is known.

    Errors: DataError where they contradict each other, or where nothing is missing in any image.
    """

    masked: Int8[np.ndarray, "n P"]
    truth: UInt8[np.ndarray, "n P"] | None = None
    shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        missing = self.masked < 0
        if not missing.any():
            raise DataError("nothing is missing in any image: mark missing pixels with -1")
        if self.truth is None:
            return
        wrong = (~missing & (self.masked != self.truth)).any(1)
        if wrong.any():
            raise DataError(
                f"image {int(wrong.argmax())} differs from its ground truth where it is observed; "
                "expected [0] to be [1] with some pixels set to -1"
            )

    def kind(self) -> str:
        """What is missing, in words: "one pixel", "a 2 x 2 patch", "4 pixels", "3 to 9 pixels"."""
        missing = self.masked < 0
        counts = missing.sum(1)
        low, high = int(counts.min()), int(counts.max())
        if low != high:
            return f"{low} to {high} pixels"
        if high == 1:
            return "one pixel"
        side = math.isqrt(missing.shape[1])
        if self.shape is None and side**2 != missing.shape[1]:
            return f"{high} pixels"
        wide = side if self.shape is None else self.shape[1]
        rows, columns = np.divmod(np.nonzero(missing)[1].reshape(len(missing), high), wide)
        height, width = np.ptp(rows, axis=1) + 1, np.ptp(columns, axis=1) + 1
        patch = (height == height[0]) & (width == width[0]) & (height * width == high)
        return f"a {height[0]} x {width[0]} patch" if patch.all() else f"{high} pixels"


def read_masked(path: str | Path, shape: tuple[int, int] | None = None) -> MaskedImages:
    """The images of an NPY file: (2, n, P) with the ground truth in [1], or (n, P) without.

    shape: the rows and columns of an image, where they are known.

    Errors: DataError, one line, for anything else: objects, other shapes or values than 0, 1 and -1,
    a header that does not match the file's size, a truth that contradicts what is observed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"no file {path}: expected an NPY file of images with -1 for missing pixels"
        )
    with path.open("rb") as file:
        array = _map(file, path)
        if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[0] != 2):
            raise DataError(
                f"{path} has the shape {array.shape}; expected (n, pixels), or (2, n, pixels) "
                "with the masked images first and the ground truth second"
            )
        n, places = array.shape[-2:]
        if not (1 <= n <= MOST_IMAGES and 2 <= places <= _MOST_PLACES):
            raise DataError(
                f"{path} holds {n} images of {places} pixels; expected 1 to {MOST_IMAGES:,} "
                f"images of 2 to {_MOST_PLACES:,}"
            )
        try:
            if array.ndim == 2:
                return MaskedImages(_values(array, (-1, 0, 1), "a masked image"), shape=shape)
            truth = _values(array[1], (0, 1), "the ground truth in [1]").astype(np.uint8)
            masked = _values(array[0], (-1, 0, 1), "a masked image in [0]")
            return MaskedImages(masked, truth, shape)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def read_observed(path: Path, places: int) -> Bool[np.ndarray, "n {places}"]:
    """Which pixels are observed, from an NPY file: 1 or True where one is, 0 or False where it is
    missing.

    The file's array is (n, P), or one mask for all images, (P,) or (rows, columns): then n is 1.
    Errors: DataError, one line, for anything else.
    """
    _find(path)
    with path.open("rb") as file:
        array = _map(file, path)
        if array.ndim not in (1, 2) or (array.shape[-1] != places and array.size != places):
            raise DataError(
                f"{path} has the shape {array.shape}; expected ({places},), or (n, {places}), or "
                f"height and width of an image of {places} pixels"
            )
        rows = array if array.ndim == 2 and array.shape[1] == places else array.reshape(1, places)
        if len(rows) > MOST_IMAGES:
            raise DataError(f"{path} holds {len(rows)} masks; expected {MOST_IMAGES:,} at most")
        return _values(rows, (0, 1), f"{path}: a mask").astype(bool)


def _find(path: Path) -> None:
    """Errors: DataError where there is no such file of a mask."""
    if not path.is_file():
        raise DataError(f"no file {path}: expected an NPY file that is 1 where pixels are observed")


def _map(file: BinaryIO, path: Path) -> Shaped[np.ndarray, "..."]:
    """The file's array, not yet read. Errors: DataError unless header and size fit together."""
    return map_array(file, os.fstat(file.fileno()).st_size, str(path), "numbers 0, 1 and -1")


def _values(
    array: Shaped[np.ndarray, "n P"], allowed: tuple[int, ...], what: str
) -> Int8[np.ndarray, "n P"]:
    """A copy as int8. Errors: DataError where a value is not allowed."""
    out = np.empty(array.shape, np.int8)
    for start in range(0, len(array), _ROWS):
        chunk = np.asarray(array[start : start + _ROWS])
        wrong = ~np.isin(chunk, allowed)
        if wrong.any():
            row, place = (int(i) for i in np.argwhere(wrong)[0])
            expected = " or ".join(map(str, sorted(allowed)))
            raise DataError(
                f"{what} should hold only {expected}, but image {start + row} has "
                f"{chunk[row, place]} at pixel {place}"
            )
        out[start : start + len(chunk)] = chunk
    return out


def check_named_mask(mask: str) -> None:
    """What ``mask_images`` can refuse before there are images. Errors: DataError for a missing file, and
    as ``check_mask``."""
    if mask.endswith(".npy"):
        _find(Path(mask))
    else:
        check_mask(mask)


def mask_images(images: ImageSet, mask: str, count: int, seed: int) -> MaskedImages:
    """The first ``count`` images under ``mask``, with their truth.

    mask: text that ``draw_mask`` takes, like "square:4", or the path of a file that ``read_observed``
    reads, which ends in .npy. Errors: ValueError where there are fewer images, for an unknown mask, for
    a file with another number of masks or pixels, or where nothing is missing.
    """
    if count > len(images):
        raise ValueError(f"--images {count}: {images.name} has {len(images)} {images.split} images")
    keep = _load_or_draw(images, mask, count, seed)
    if keep.all():
        file = mask.endswith(".npy")
        raise DataError(
            f"nothing is missing under the mask {mask}: "
            + (
                "mark missing pixels with 0"
                if file
                else "it should be False where a pixel is missing"
            )
        )
    truth = images.images(slice(0, count))
    return MaskedImages(np.where(keep, truth.astype(np.int8), np.int8(-1)), truth, images.shape)


def _load_or_draw(
    images: ImageSet, mask: str, count: int, seed: int
) -> Bool[np.ndarray, "{count} {images.places}"]:
    if not mask.endswith(".npy"):
        return draw_mask(mask, count, images.shape, seed)
    keep = read_observed(Path(mask), images.places)
    if len(keep) not in (1, count):
        raise DataError(
            f"{mask} holds {len(keep)} masks for {count} images; expected one for all, or as many "
            f"as --images"
        )
    return np.broadcast_to(keep, (count, images.places))
