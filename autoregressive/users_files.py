"""A published file in the user's own folder, META_LEARN_DATA, under any of the names it goes by.

Programs unpack it, drop its suffix, or write a dot for the hyphen; torchvision lays it under
``MNIST/raw/``. What tells the file is the SHA-256 of what is inside, not its name or its packing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from autoregressive.errors import DataError

# More than any file that is asked for here holds, packed or not: what is longer is wrong and is not
# read to its end.
_LARGEST = 2**26
GZIP = b"\x1f\x8b"
_INSTEAD = "replace it, or unset META_LEARN_DATA to download it"


def find(folder: str, name: str, sha256: str) -> bytes | None:
    """The content, unpacked, of the published file ``name`` (its name in gzip), or None.

    folder: where it may lie besides META_LEARN_DATA itself. sha256: of the content.
    Errors: DataError where META_LEARN_DATA is no folder, where a file cannot be read, and where
    files of these names are all something else.
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
    for path in _places(root, folder, name):
        packed = read(path, _LARGEST)
        if packed is None:
            continue
        try:
            return _content(packed, path, sha256)
        except DataError as error:
            wrong = wrong or error
    if wrong is not None:
        raise wrong
    return None


def read(path: Path, most: int) -> bytes | None:
    """The file's bytes, at most one more than ``most``, or None where there is no file. Errors:
    DataError where it cannot be read."""
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
    """Whether this is HTML or XML, which servers send in the place of a file."""
    return content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _places(root: Path, folder: str, name: str) -> Iterator[Path]:
    names = _names(name)
    for inside in (folder, ".", f"{folder.upper()}/raw", f"{folder}/raw", "raw", folder.upper()):
        for own in names:
            yield root / inside / own
            # Some archives unpack into a folder a file, which has the file's name.
            yield from (root / inside / own / again for again in names)


def _names(name: str) -> list[str]:
    """The published name first: "train-images-idx3-ubyte.gz"."""
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    return list(dict.fromkeys([name, plain, f"{dotted}.gz", dotted]))


def _content(packed: bytes, path: Path, sha256: str) -> bytes:
    """What is inside, where it is what was published. Errors: DataError."""
    content = packed
    if packed.startswith(GZIP):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
                content = file.read(_LARGEST + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{path} is not a whole gzip file ({error}): {_INSTEAD}") from error
    if is_web_page(content):
        raise DataError(f"{path} is a web page, not an IDX file: {_INSTEAD}")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path} is not the published file: of what is inside, expected SHA-256 {sha256}, "
            f"got {found}; {_INSTEAD}"
        )
    return content
