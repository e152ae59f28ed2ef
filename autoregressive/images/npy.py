"""The NPY format. The files are not trusted: nothing is unpickled, and sizes are checked before memory
is taken."""

from __future__ import annotations

import io
import math
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from jaxtyping import Shaped
from numpy.lib import format as npy

from autoregressive.errors import DataError


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
