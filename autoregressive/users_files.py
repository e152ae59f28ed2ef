"""A published file in the user's own folder, META_LEARN_DATA, under any name that programs give it.

They unpack it, drop its suffix, or write a dot for the hyphen; torchvision puts it into ``MNIST/raw/``.
So a file is recognised by the SHA-256 of its content, not by its name or its compression.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from autoregressive.errors import DataError

# More than any file that is asked for here holds, compressed or not: a longer one is wrong and is not
# read to its end.
_LARGEST = 2**28
GZIP = b"\x1f\x8b"
_IDX = b"\0\0\x08"
_INSTEAD = "replace it, or unset META_LEARN_DATA to download it"


def find(
    folder: str,
    name: str,
    packed: str,
    inside: str = "",
    *,
    also: Sequence[str] = (),
    borrowed: bool = False,
) -> bytes | None:
    """The unpacked content of the published file ``name``, a gzip file; None where it is not there.

    folder, also: folders in which it may lie, besides META_LEARN_DATA itself. packed: the digest of the
    file as it is published. inside: the digest of its content, empty where only the first is known.
    Digests are SHA-256, or MD5 if they have 32 digits. borrowed: other sets have files of the same name,
    so that a wrong one outside this set's own folders is passed over.
    Errors: DataError where META_LEARN_DATA is no folder, where a file cannot be read, and where there
    are files of these names but none is the published one.
    """
    chosen = os.environ.get("META_LEARN_DATA")
    if not chosen:
        return None
    root = Path(chosen).expanduser()
    if not root.is_dir():
        raise DataError(
            f"META_LEARN_DATA should name a folder with data sets, but {root} is not a folder: "
            "correct it or unset it"
        )
    wrong = None
    for path, shared in _places(root, (folder, *also), name):
        data = read(path, _LARGEST)
        if data is None:
            continue
        try:
            return _content(data, path, packed, inside)
        except DataError as error:
            if not (shared and borrowed):
                wrong = wrong or error
    if wrong is not None:
        raise wrong
    return None


def digest(content: bytes, like: str) -> str:
    """The digest of ``content`` of the kind that ``like`` is: SHA-256, or MD5 of 32 digits."""
    if len(like) == 32:
        return hashlib.md5(content, usedforsecurity=False).hexdigest()
    return hashlib.sha256(content).hexdigest()


def read(path: Path, most: int) -> bytes | None:
    """The file's bytes, or the first ``most`` + 1 of them; None where there is no file.

    Errors: DataError where it cannot be read.
    """
    try:
        if not path.is_file():
            return None
        with open(path, "rb") as file:
            return file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check its permissions") from error


def is_web_page(content: bytes) -> bool:
    """Whether this is HTML or XML, which servers send instead of a file."""
    return content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _places(root: Path, folders: Sequence[str], name: str) -> Iterator[tuple[Path, bool]]:
    """Where the file may lie, and whether files of other sets may lie there too."""
    names = _names(name)
    first, *also = folders
    own = [first, f"{first.upper()}/raw", f"{first}/raw", first.upper()]
    own += [inside for other in also for inside in (other, f"{other}/raw")]
    for inside in (own[0], ".", *own[1:3], "raw", *own[3:]):
        shared = inside in (".", "raw")
        for one in names:
            yield root / inside / one, shared
            # Some archives unpack each file into a folder of the file's name.
            yield from ((root / inside / one / again, shared) for again in names)


def _names(name: str) -> list[str]:
    """The names that a published file goes by, its own first: "train-images-idx3-ubyte.gz"."""
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    return list(dict.fromkeys([name, plain, f"{dotted}.gz", dotted]))


def _content(data: bytes, path: Path, packed: str, inside: str) -> bytes:
    """The unpacked content of ``data``. Errors: DataError where it is not what was published."""
    content = data
    if data.startswith(GZIP):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                content = file.read(_LARGEST + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{path} is not a whole gzip file ({error}): {_INSTEAD}") from error
    if is_web_page(content):
        raise DataError(f"{path} is a web page, not an IDX file: {_INSTEAD}")
    if inside and digest(content, inside) == inside:
        return content
    if digest(data, packed) == packed:
        return content
    if not inside and data.startswith(_IDX):
        raise DataError(
            f"{path} is unpacked, and the published digest is of the gzip file: put that beside it, or "
            f"read its folder as images of your own, --data {path.parent}"
        )
    expected, found = (inside, content) if inside else (packed, data)
    kind = "MD5" if len(expected) == 32 else "SHA-256"
    what = "of what is inside, expected" if inside else "expected"
    raise DataError(
        f"{path} is not the published file: {what} {kind} {expected}, "
        f"got {digest(found, expected)}; {_INSTEAD}"
    )
