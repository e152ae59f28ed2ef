"""The IDX format of the MNIST files, gzipped or not. The files are not trusted.

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
from autoregressive.images.sizes import MOST_IMAGES, MOST_PLACES
from autoregressive.users_files import GZIP, is_web_page

_MOST_BYTES = 2**32
_CHUNK = 2**20


@dataclass(frozen=True)
class Kind:
    """One sort of IDX file.

    name: of its items. shape: of an item, 0 for a length that each file may choose. set: in messages,
    what stands before the name. again: in messages, what to try.
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
    """The n items of an IDX file, each of ``kind.shape``, 1 <= n <= ``MOST_IMAGES``.

    data: the file's bytes, gzipped or not. source: what to call the file in messages. Errors:
    DataError for anything but a whole, sound file of this kind.
    """
    if is_web_page(data):
        raise DataError(f"{source} is a web page, not an IDX file: {kind.again}")
    try:
        with _open(data) as file:
            shape = _read_header(file, kind, source)
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


def _open(data: bytes) -> io.BufferedIOBase:
    file = io.BytesIO(data)
    return gzip.GzipFile(fileobj=file) if data.startswith(GZIP) else file


def _read_header(file: io.BufferedIOBase, kind: Kind, source: str) -> tuple[int, ...]:
    """The shape that the header declares. Errors: DataError where it is not that of ``kind``."""
    axes = 1 + len(kind.shape)
    header = file.read(4 + 4 * axes)
    # A file of few labels is shorter than a header of images.
    if kind is OWN_IMAGES and header[:4] == LABELS.magic.to_bytes(4, "big"):
        raise DataError(
            f"{source} holds labels; expected {kind.name}: give the file of {kind.name} beside it"
        )
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
        n == m if m else 1 <= n <= MOST_PLACES for n, m in zip(shape[1:], kind.shape, strict=True)
    )
    if not right or not 1 <= shape[0] <= MOST_IMAGES or _is_too_large(shape):
        sides = zip(("rows", "columns"), kind.shape, strict=False)
        wanted = " x ".join(["n", *(str(m) if m else side for side, m in sides)])
        raise DataError(
            f"{source} should hold {wanted} {kind.name} with n from 1 to {MOST_IMAGES:,}, but "
            f"declares {' x '.join(map(str, shape))}: {kind.again}"
        )
    return tuple(shape)


def _is_too_large(shape: list[int]) -> bool:
    return math.prod(shape[1:]) > MOST_PLACES or math.prod(shape) > _MOST_BYTES


def _read_at_most(file: io.BufferedIOBase, length: int) -> bytearray:
    """Up to ``length`` bytes, in chunks: a short file that declares much takes little memory."""
    content = bytearray()
    while len(content) < length:
        chunk = file.read(min(_CHUNK, length - len(content)))
        if not chunk:
            break
        content += chunk
    return content
