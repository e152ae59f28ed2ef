"""A user's own images from NPY and NPZ files. The files are not trusted: nothing is unpickled, and
sizes are checked before memory is taken."""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Shaped

from autoregressive.errors import DataError, OptionError
from autoregressive.images.npy import map_array, read_header
from autoregressive.images.sizes import MOST_IMAGES, MOST_PLACES, format_shape

_VALUES = "grey levels 0 to 255, numbers 0 to 1, or booleans"
_MOST_BYTES = 2**32


def read_npy(path: Path, shape: tuple[int, int] | None) -> Shaped[np.ndarray, "n rows columns"]:
    """The images of an NPY file, mapped and not yet read.

    shape: as for ``as_images``. Errors: DataError for another kind of file, and as for ``as_images``.
    """
    with path.open("rb") as file:
        array = map_array(file, os.fstat(file.fileno()).st_size, str(path), _VALUES)
    return as_images(array, shape, str(path))


def array_names(path: Path) -> list[str]:
    """The names of the arrays of an NPZ file. Errors: DataError."""
    try:
        with zipfile.ZipFile(path) as whole:
            names = [n.removesuffix(".npy") for n in whole.namelist() if n.endswith(".npy")]
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a whole NPZ file ({error}): save it again") from None
    if not names:
        raise DataError(f"{path} holds no arrays: save images with numpy.savez")
    return names


def read_npz(
    path: Path, name: str, shape: tuple[int, int] | None
) -> Shaped[np.ndarray, "n rows columns"]:
    """The images of the array ``name`` of an NPZ file. shape, errors: as for ``read_npy``."""
    source = f"{path}, array {name!r}"
    try:
        with zipfile.ZipFile(path) as whole:
            about = whole.getinfo(f"{name}.npy")
            if about.file_size > _MOST_BYTES:
                raise DataError(f"{source} declares {about.file_size:,} bytes: too many")
            with whole.open(about) as opened:
                file = cast(io.BufferedIOBase, opened)
                # The size is the one in the archive's directory: a header that asks for more is refused.
                found, columns_first, dtype = read_header(file, about.file_size, source, _VALUES)
                content = file.read()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{source} is broken ({error}): save it again") from None
    if len(content) != math.prod(found) * dtype.itemsize:
        raise DataError(f"{source} is cut short: save it again")
    order = found[::-1] if columns_first else found
    array = np.frombuffer(content, dtype).reshape(order)
    return as_images(array.T if columns_first else array, shape, source)


def as_images(
    array: Shaped[np.ndarray, "..."], shape: tuple[int, int] | None, source: str
) -> Shaped[np.ndarray, "n rows columns"]:
    """An array of images as (n, rows, columns).

    array: (n, rows, columns), the same with an axis of length 1 for the channel, second or last, or
    (n, pixels). shape: rows and columns of images that come as (n, pixels); None where not known.
    source: what to call the array in messages. Errors: DataError for other axes, several channels,
    too many images, and images too large or of one pixel; OptionError for (n, pixels) that do not fit
    ``shape``.
    """
    came = array.shape
    if array.ndim == 4 and 1 in (came[3], came[1]):
        array = array[..., 0] if came[3] == 1 else array[:, 0]
    elif array.ndim == 4:
        raise DataError(
            f"{source} has the shape {came}: images of {came[3]} channels; expected one, grey levels "
            "or binary, (n, rows, columns): make them grey first"
        )
    if array.ndim == 2 and shape is not None:
        if came[1] != math.prod(shape):
            raise OptionError(
                f"{source} has the shape {came}, images of {came[1]} pixels in a row, which are not "
                f"{format_shape(shape)}: say their rows and columns, like --shape {_example(came[1])}"
            )
        array = array.reshape(-1, *shape)
    elif array.ndim == 2:
        raise OptionError(
            f"{source} has the shape {came}, images of {came[1]} pixels in a row: say their rows and "
            f"columns, like --shape {_example(came[1])}"
        )
    if array.ndim != 3:
        raise DataError(
            f"{source} has the shape {came}; expected (n, rows, columns), or (n, pixels) with --shape"
        )
    rows, columns = array.shape[1:]
    if not (1 <= len(array) <= MOST_IMAGES and 2 <= rows * columns <= MOST_PLACES):
        raise DataError(
            f"{source} holds {len(array):,} images of {format_shape((rows, columns))} pixels; "
            f"expected 1 to {MOST_IMAGES:,} of 2 to {MOST_PLACES:,} pixels"
        )
    return array


def _example(places: int) -> str:
    """The most nearly square rows and columns of an image of ``places`` pixels, like "28x28"."""
    rows = next(r for r in range(math.isqrt(places), 0, -1) if places % r == 0) if places else 1
    return f"{rows}x{places // rows}"
