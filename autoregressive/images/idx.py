"""The IDX format of the MNIST files, read without trust, from gzip or as it is.

A file is a magic number, one big-endian 32-bit length per axis, then unsigned bytes. What the
header declares is checked before memory is taken, and no more is decompressed than it declares.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from autoregressive.errors import DataError
from autoregressive.users_files import GZIP, is_web_page

_MOST_ITEMS = 1_000_000
_MOST_PLACES = 2**20
_MOST_BYTES = 2**32
_CHUNK = 2**20


@dataclass(frozen=True)
class Kind:
    """One sort of IDX file: its magic number, and the shape of an item after the number of items.

    shape: 0 for a length that any file may choose. set: what the items are of, in messages. again:
    what to try.
    """

    name: str
    magic: int
    shape: tuple[int, ...]
    set: str = "MNIST "
    again: str = "fetch it again"


IMAGES = Kind("images", 0x00000803, (28, 28))
LABELS = Kind("labels", 0x00000801, ())
# Of the user's own, of any height and width.
OWN_IMAGES = Kind("images", 0x00000803, (0, 0), "", "is it whole, and the right file?")


def parse_idx(data: bytes, kind: Kind, source: str) -> UInt8[np.ndarray, "n ..."]:
    """The items of an IDX file, each of ``kind.shape``, 1 <= n <= 100,000.

    data: the file's bytes, gzipped or not. source: what to call the file in messages. Errors:
    DataError for anything but a whole, sound file of this kind.
    """
    if is_web_page(data):
        raise DataError(f"{source} is a web page, not an IDX file: {kind.again}")
    try:
        with _opened(data) as file:
            shape = _header(file, kind, source)
            length = math.prod(shape)
            content = _read_at_most(file, length + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{source} is not a whole gzip file ({error}): {kind.again}") from error
    if len(content) != length:
        came = "more" if len(content) > length else f"{len(content):,}"
        raise DataError(
            f"{source} declares {length:,} bytes of {kind.name} but holds {came}: {kind.again}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _opened(data: bytes) -> io.BufferedIOBase:
    file = io.BytesIO(data)
    return gzip.GzipFile(fileobj=file) if data.startswith(GZIP) else file


def _header(file: io.BufferedIOBase, kind: Kind, source: str) -> tuple[int, ...]:
    """The shape that the header declares, where it is that of ``kind``."""
    axes = 1 + len(kind.shape)
    header = file.read(4 + 4 * axes)
    if len(header) < 4 + 4 * axes:
        raise DataError(
            f"{source} should start with an IDX header of {4 + 4 * axes} bytes but holds only "
            f"{len(header)}: {kind.again}"
        )
    magic, *shape = (int(n) for n in np.frombuffer(header, ">u4"))
    if magic != kind.magic:
        raise DataError(
            f"{source} does not hold {kind.set}{kind.name}: expected the magic number "
            f"0x{kind.magic:08x}, got 0x{magic:08x}; were files swapped or renamed?"
        )
    right = all(
        n == m if m else 1 <= n <= _MOST_PLACES for n, m in zip(shape[1:], kind.shape, strict=True)
    )
    if not right or not 1 <= shape[0] <= _MOST_ITEMS or _is_too_much(shape):
        sides = zip(("rows", "columns"), kind.shape, strict=False)
        wanted = " x ".join(["n", *(str(m) if m else side for side, m in sides)])
        raise DataError(
            f"{source} should hold {wanted} {kind.name} with n from 1 to {_MOST_ITEMS:,}, but "
            f"declares {' x '.join(map(str, shape))}: {kind.again}"
        )
    return tuple(shape)


def _is_too_much(shape: list[int]) -> bool:
    return math.prod(shape[1:]) > _MOST_PLACES or math.prod(shape) > _MOST_BYTES


def _read_at_most(file: io.BufferedIOBase, length: int) -> bytearray:
    """Up to ``length`` bytes, in chunks, so that a short file that declares much takes little."""
    content = bytearray()
    while len(content) < length:
        chunk = file.read(min(_CHUNK, length - len(content)))
        if not chunk:
            break
        content += chunk
    return content
