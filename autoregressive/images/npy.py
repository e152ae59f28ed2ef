"""Masked images from NPY files of strangers: nothing is unpickled, sizes are checked before memory
is taken.

The coursework's files hold an array (2, n, P): first the images with -1 for missing, then the same
images whole. A file of masked images alone, (n, P), has no truth to compare with.
"""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from jaxtyping import Bool, Int8, Shaped, UInt8
from numpy.lib import format as npy

from autoregressive.errors import DataError

_MOST_IMAGES = 1_000_000
_MOST_PLACES = 2**16
_ROWS = 4096


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """masked: 0, 1 and -1 for missing. truth: None if not known. shape: rows and columns, None where
    only the number of pixels is known.

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
        """What is missing, told from the pixels: "one pixel", "a 2 x 2 patch", "4 pixels"."""
        missing = self.masked < 0
        counts = missing.sum(1)
        low, high = int(counts.min()), int(counts.max())
        if low != high:
            return f"{low} to {high} pixels"
        side = math.isqrt(missing.shape[1])
        wide = side if self.shape is None else self.shape[1]
        if high == 1 or (self.shape is None and side**2 != missing.shape[1]):
            return "one pixel" if high == 1 else f"{high} pixels"
        rows, columns = np.divmod(np.nonzero(missing)[1].reshape(len(missing), high), wide)
        height, width = np.ptp(rows, axis=1) + 1, np.ptp(columns, axis=1) + 1
        patch = (height == height[0]) & (width == width[0]) & (height * width == high)
        return f"a {height[0]} x {width[0]} patch" if patch.all() else f"{high} pixels"


def read_masked(path: str | Path, shape: tuple[int, int] | None = None) -> MaskedImages:
    """The images of an NPY file: (2, n, P) with the ground truth in [1], or (n, P) without. shape: the
    rows and columns of an image, where they are known.

    Errors: DataError, one line, for anything else: objects, other shapes or values than 0, 1 and -1,
    a header that does not match the file's size, a truth that contradicts what is observed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"no file {path}: expected an NPY file of images with -1 for missing pixels"
        )
    with path.open("rb") as file:
        array = _mapped(file, path)
        if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[0] != 2):
            raise DataError(
                f"{path} has the shape {array.shape}; expected (n, pixels), or (2, n, pixels) "
                "with the masked images first and the ground truth second"
            )
        n, places = array.shape[-2:]
        if not (1 <= n <= _MOST_IMAGES and 2 <= places <= _MOST_PLACES):
            raise DataError(
                f"{path} holds {n} images of {places} pixels; expected 1 to {_MOST_IMAGES:,} "
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
    """Which pixels are observed, of an NPY file: 1 or True where one is, 0 or False where it is
    missing, (pixels,) or (height, width) for all images, or (n, pixels).

    Errors: DataError, one line, for anything else.
    """
    if not path.is_file():
        raise DataError(f"no file {path}: expected an NPY file that is 1 where pixels are observed")
    with path.open("rb") as file:
        array = _mapped(file, path)
        if array.ndim not in (1, 2) or (array.shape[-1] != places and array.size != places):
            raise DataError(
                f"{path} has the shape {array.shape}; expected ({places},), or (n, {places}), or "
                f"height and width of an image of {places} pixels"
            )
        rows = array if array.ndim == 2 and array.shape[1] == places else array.reshape(1, places)
        if len(rows) > _MOST_IMAGES:
            raise DataError(f"{path} holds {len(rows)} masks; expected {_MOST_IMAGES:,} at most")
        return _values(rows, (0, 1), f"{path}: a mask").astype(bool)


def _mapped(file: BinaryIO, path: Path) -> Shaped[np.ndarray, "..."]:
    """The file's array, not yet read. Errors: DataError unless header and size fit together."""
    return map_array(file, os.fstat(file.fileno()).st_size, str(path), "numbers 0, 1 and -1")


def map_array(file: BinaryIO, size: int, source: str, expected: str) -> Shaped[np.ndarray, "..."]:
    """The array of an NPY file, not yet read. size: of the file in bytes. source: what to call it in
    messages. expected: the values it should hold, in words.

    Errors: DataError unless header and size fit together.
    """
    shape, columns_first, dtype = read_header(cast(io.BufferedIOBase, file), size, source, expected)
    order: Literal["F", "C"] = "F" if columns_first else "C"
    return np.memmap(file, dtype, "r", file.tell(), shape, order=order)


def read_header(
    file: io.BufferedIOBase, size: int, source: str, expected: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type of an NPY file's numbers, which follow in ``file``.

    As ``map_array``, whose errors these are.
    """
    try:
        version = npy.read_magic(file)
        if version == (1, 0):
            shape, columns_first, dtype = npy.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, columns_first, dtype = npy.read_array_header_2_0(file)
        else:
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
    except (ValueError, OverflowError, RecursionError, MemoryError, SyntaxError) as error:
        reason = " ".join(str(error).split())[:100]
        raise DataError(f"{source} is not an NPY file of plain numbers: {reason}") from None
    if dtype.hasobject:
        raise DataError(
            f"{source} holds pickled objects, which are never loaded; save a plain array of numbers"
        )
    if dtype.kind not in "iufb":
        raise DataError(f"{source} holds {dtype} values; expected {expected}")
    if not all(type(axis) is int and axis >= 0 for axis in shape):
        raise DataError(f"{source} declares the impossible shape {shape}")
    declared, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if held != declared:
        raise DataError(
            f"{source} declares {dtype} {shape}, {declared:,} bytes, but holds {held:,}: "
            "was it cut or changed?"
        )
    if not declared:
        raise DataError(f"{source} is empty: it declares the shape {shape}")
    return tuple(shape), columns_first, dtype


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
