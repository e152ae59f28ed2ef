"""A user's own images at a path, as grey levels or booleans, by part.

A path is an IDX file (gzipped or not), an NPY or NPZ file, or a folder: of pictures, of the folders
``train`` and ``test`` with pictures, or of two files named so, like the IDX files of the MNIST family.
The first bytes of a file tell its kind, its name does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped

from autoregressive import users_files
from autoregressive.errors import DataError, counted
from autoregressive.images.arrays import array_names, read_npy, read_npz
from autoregressive.images.idx import OWN_IMAGES, parse_idx
from autoregressive.images.pictures import SUFFIXES, picture_files, read_pictures
from autoregressive.images.sizes import format_shape

# (n, rows, columns): uint8 or other integers, floats, or bool.
Stack = Shaped[np.ndarray, "n rows columns"]
Shape = tuple[int, int]
Named = TypeVar("Named")
# The name of the one part where a path is not divided.
WHOLE = "all"
_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "t10k"),
}
_NO_IMAGES = ("label", "labels", "target", "targets", "y")
_LARGEST = 2**33
_EXPECTED = "an IDX, NPY or NPZ file, or a folder of pictures"


def read_parts(path: Path, shape: Shape | None = None) -> dict[str, Stack]:
    """The images at ``path`` by part: of ``WHOLE``, or of some of "train", "validation" and "test".

    shape: rows and columns of images that a file holds as rows of pixels.
    Errors: DataError, one line, for what cannot be read, is empty, or is of several sizes.
    """
    try:
        parts = _read_folder(path, shape) if path.is_dir() else _read_file(path, shape)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check its permissions") from error
    if list(parts) == ["train"]:  # with nothing to test on, it is divided later
        parts = {WHOLE: parts["train"]}
    (first, stack), *others = parts.items()
    for name, other in others:
        if other.shape[1:] != stack.shape[1:]:
            raise DataError(
                f"{path}: {first} images have {format_shape(stack.shape[1:])} pixels, {name} images "
                f"{format_shape(other.shape[1:])}; expected one size"
            )
    return parts


def _read_folder(folder: Path, shape: Shape | None) -> dict[str, Stack]:
    pictures = picture_files(folder)
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    folders = [p for p in entries if p.is_dir()]
    parts = _by_part(folders, lambda p: p.name, whole_name=True)
    if pictures and parts:
        raise DataError(
            f"{folder} holds pictures and a folder {next(iter(parts.values())).name} as well: give one "
            "of them"
        )
    if pictures:
        return {WHOLE: read_pictures(pictures)}
    if parts:
        return {name: _pictures_of(inside) for name, inside in parts.items()}
    files = [p for p in entries if p.is_file() and _kind(p) and not _words(p.name) & {*_NO_IMAGES}]
    # Programs leave what they unpacked beside the gzip file.
    unpacked = {f"{p.name}.gz" for p in files}
    files = [p for p in files if p.name not in unpacked]
    parts = _by_part(files, lambda p: p.name)
    if parts:
        return {name: _read_undivided(file, shape) for name, file in parts.items()}
    if len(files) == 1:
        return _read_file(files[0], shape)
    if files:
        names = ", ".join(p.name for p in files[:4])
        raise DataError(
            f"{folder} holds {len(files)} files of images ({names}): give one of them, or name them "
            "train and test"
        )
    inside = [p.name for p in folders if picture_files(p)]
    if inside:
        raise DataError(
            f"{folder} holds pictures in folders of its own ({', '.join(inside[:4])}): put them into "
            "one, or into train and test"
        )
    count = sum(p.is_file() for p in entries)
    what = f"{counted(count, 'file')}, no pictures among them" if count else "no files"
    if folders:
        named = ", ".join(p.name for p in folders[:4])
        what += f" and {counted(len(folders), 'folder')} ({named})"
    raise DataError(
        f"{folder} holds {what}; expected pictures ({', '.join(SUFFIXES[:4])} and so on) of one size"
    )


def _pictures_of(folder: Path) -> Stack:
    pictures = picture_files(folder)
    if not pictures:
        raise DataError(f"{folder} holds no pictures; expected some ({', '.join(SUFFIXES[:4])} ..)")
    return read_pictures(pictures)


def _read_file(path: Path, shape: Shape | None) -> dict[str, Stack]:
    kind = _kind(path)
    if kind == "npz":
        names = [n for n in array_names(path) if not _words(n) & {*_NO_IMAGES}]
        parts = _by_part(names, str)
        if not parts and len(names) != 1:
            raise DataError(
                f"{path} holds the arrays {', '.join(names[:6]) or 'of labels alone'}; expected one of "
                "images, or two named train and test"
            )
        return {part: read_npz(path, n, shape) for part, n in (parts or {WHOLE: names[0]}).items()}
    if kind == "npy":
        return {WHOLE: read_npy(path, shape)}
    if kind == "idx":
        data = users_files.read(path, _LARGEST)
        return {WHOLE: parse_idx(data or b"", OWN_IMAGES, str(path))}
    if path.suffix.lower() in SUFFIXES:
        raise DataError(f"{path} is one picture: give the folder of all pictures")
    if not path.stat().st_size:
        raise DataError(f"{path} is empty; expected {_EXPECTED}")
    raise DataError(f"{path} is none of the files that are read; expected {_EXPECTED}")


def _read_undivided(path: Path, shape: Shape | None) -> Stack:
    parts = _read_file(path, shape)
    if WHOLE not in parts:
        raise DataError(f"{path} has parts of its own: give this file alone")
    return parts[WHOLE]


def _kind(path: Path) -> str:
    """ "npy", "npz", "idx" (any gzip file is taken for it), or "" for another file."""
    with path.open("rb") as file:
        start = file.read(6)
    if start == b"\x93NUMPY":
        return "npy"
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):  # the second begins an archive without members
        return "npz"
    return "idx" if start.startswith(users_files.GZIP) or start[:3] == b"\0\0\x08" else ""


def _by_part(
    every: Iterable[Named], name: Callable[[Named], str], whole_name: bool = False
) -> dict[str, Named]:
    """Those of ``every`` that are called train, validation or test, by these names.

    whole_name: the whole name must match, not one word of it. Errors: DataError where two are called
    the same.
    """
    found: dict[str, Named] = {}
    for one in every:
        words = {name(one).lower()} if whole_name else _words(name(one))
        for part in _parts_of(words):
            if part in found:
                raise DataError(
                    f"{name(found[part])} and {name(one)} are both called {part}: expected one"
                )
            found[part] = one
    return {part: found[part] for part in _WORDS if part in found}


def _parts_of(words: set[str]) -> list[str]:
    return [part for part, known in _WORDS.items() if words & {*known}]


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower()))


def describe(name: str, sizes: Mapping[str, int], shape: Shape, ink: float, how: str) -> str:
    """What was read, for the log: how many images of which size, and the share of pixels that is 1.

    sizes: images by split. ink: that share. how: how they were made binary.
    """
    counts = " and ".join(f"{n:,} {part}" for part, n in sizes.items())
    hint = "; if the ink is dark, give --invert" if ink > 0.5 else ""
    pixels = f"{format_shape(shape)} pixels, {100 * ink:.1f}% of them 1"
    return f"{name}: {counts} images of {pixels} ({how}){hint}"
