"""Named arrays and settings in one file, NPZ or netCDF 4 by its suffix.

Files are not trusted: nothing is unpickled, and shapes and types are known before memory is taken.
``settings`` is JSON text: in NPZ an array that holds one string, in netCDF an attribute of the file.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Shaped
from numpy.lib import format as npy

from analysis.report.report import Document, Json
from autoregressive.checkpoint import tensors_digest, write_atomically
from autoregressive.errors import DataError

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".npz", ".nc")
# Characters of the settings.
_MOST_TEXT = 100_000
AnyShape = Shaped[np.ndarray, "..."]


class Stored(NamedTuple):
    """An array that is not read yet. read: reads it, and only then takes the memory; DataError."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], AnyShape]


class Labelled(NamedTuple):
    """An array to write, and the names of its axes."""

    dims: tuple[str, ...]
    values: AnyShape


def check_suffix(path: Path) -> None:
    """Errors: DataError unless the path ends as one of ``SUFFIXES``."""
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path} should end in .npz (NumPy) or .nc (netCDF 4)")


def sign(arrays: Mapping[str, AnyShape], settings: Document) -> Document:
    """The settings with a digest of them and of the arrays."""
    return settings | {"digest": _digest(arrays, settings)}


def check_signature(
    path: Path, arrays: Mapping[str, AnyShape], settings: Document, digest: Json
) -> None:
    """Errors: DataError unless ``sign`` gave the digest. settings: without it."""
    if digest != _digest(arrays, settings):
        raise DataError(
            f"{path} is damaged or was changed: its arrays and settings do not match its own digest"
        )


def _digest(arrays: Mapping[str, AnyShape], settings: Document) -> str:
    return tensors_digest(arrays, json.dumps(settings, sort_keys=True))


def write_arrays(path: Path, arrays: Mapping[str, Labelled], settings: Mapping[str, Json]) -> None:
    """Writes arrays and settings to ``path``, atomically. Errors: DataError, OSError."""
    check_suffix(path)
    text = json.dumps(settings, sort_keys=True, allow_nan=False)
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        values: Document = {name: array.values for name, array in arrays.items()}
        np.savez_compressed(buffer, allow_pickle=False, settings=np.array(text), **values)
        write_atomically(path, buffer.getvalue())
        return
    import xarray as xr

    data = xr.Dataset(
        {name: tuple(array) for name, array in arrays.items()}, attrs={"settings": text}
    )
    # Without fill values, so that NaN stays NaN.
    plain = {name: {"_FillValue": None, "zlib": True} for name in data.variables}
    write_atomically(path, bytes(data.to_netcdf(engine="h5netcdf", encoding=plain)))


@contextmanager
def open_arrays(path: Path) -> Iterator[tuple[dict[str, Stored], str | None]]:
    """The arrays of a file by name, to be read inside this, and the text of its settings, or None.

    Errors: DataError, one line, for a file that is missing, cut, of another kind or that holds
    anything but plain arrays.
    """
    check_suffix(path)
    if not path.is_file():
        raise DataError(f"no file {path}")
    opener = _open_npz if path.suffix == ".npz" else _open_netcdf
    with opener(path) as arrays:
        yield arrays


@contextmanager
def _open_npz(path: Path) -> Iterator[tuple[dict[str, Stored], str | None]]:
    with _one_line_errors(path, "NPZ"):
        archive = zipfile.ZipFile(path)
    with archive:
        with _one_line_errors(path, "NPZ"):
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            stored = {info.filename[:-4]: _member(archive, info, path) for info in members}
        settings = stored.pop("settings", None)
        text = None
        if settings is not None and settings.dtype.kind == "U" and settings.shape == ():
            _check_text(path, settings.dtype.itemsize // 4)
            text = str(settings.read())
        yield stored, text


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Stored:
    """One array of an archive. Errors: DataError, ValueError unless header and size fit together."""
    name = info.filename[:-4]
    with archive.open(info) as file:
        version = npy.read_magic(file)
        reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if reader is None:
            raise ValueError(f"array {name} is of version {version[0]}.{version[1]} of the format")
        shape, columns_first, dtype = reader(file)
        offset = file.tell()
    if dtype.hasobject:
        raise DataError(
            f"{path}: {name} holds pickled objects, which are never loaded; save a plain array"
        )
    declared = math.prod(shape) * dtype.itemsize
    if info.file_size - offset != declared:
        raise ValueError(
            f"{name} declares {declared:,} bytes but holds {info.file_size - offset:,}"
        )

    def read() -> AnyShape:
        with _one_line_errors(path, "NPZ"), archive.open(info) as file:
            file.read(offset)
            data = file.read()
            return np.reshape(
                np.frombuffer(data, dtype), shape, order="F" if columns_first else "C"
            )

    return Stored(shape, dtype, read)


@contextmanager
def _open_netcdf(path: Path) -> Iterator[tuple[dict[str, Stored], str | None]]:
    import h5py

    with _one_line_errors(path, "netCDF 4"):
        file = h5py.File(path, "r")
    with file:
        with _one_line_errors(path, "netCDF 4"):
            stored = {}
            for name in file:
                # Links and parts that lie in other files are not followed.
                if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                    continue
                data = file[name]
                if isinstance(data, h5py.Dataset) and not (data.external or data.is_virtual):
                    stored[name] = Stored(data.shape, data.dtype, _reader(data, path))
            text = file.attrs.get("settings")
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        if text is not None:
            _check_text(path, len(text))
        yield stored, text


def _reader(data: h5py.Dataset, path: Path) -> Callable[[], AnyShape]:
    def read() -> AnyShape:
        with _one_line_errors(path, "netCDF 4"):
            return data[()]

    return read


def _check_text(path: Path, length: int) -> None:
    if length > _MOST_TEXT:
        raise DataError(f"{path}: the settings have {length:,} characters; expected a few hundred")


@contextmanager
def _one_line_errors(path: Path, kind: str) -> Iterator[None]:
    """Inside it every fault of reading becomes a DataError of one line."""
    try:
        yield
    except DataError:
        raise
    except (
        ValueError,
        KeyError,
        OSError,
        RuntimeError,
        SyntaxError,
        NotImplementedError,
        EOFError,
        RecursionError,
        OverflowError,
        TypeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(
            f"{path} cannot be read as {kind}; was it cut, or is it another kind of file? ({reason})"
        ) from None
