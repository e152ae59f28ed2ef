"""A published file by its SHA-256: from the user's folder, the cache, or a mirror.

The bytes that are checked are the bytes that are returned, so that a file changed in between does
no harm. The cache is only ever written by renaming a checked file into place: processes that share
it may fetch the same file at once, and a broken file is replaced, never mended.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from autoregressive.cache import cache_folder
from autoregressive.errors import DataError

# More than any file that is asked for here: what is longer is wrong and is not read to its end.
_LARGEST = 2**24
_TIMEOUT_SECONDS = 10.0


def read_verified(folder: str, name: str, sha256: str, mirrors: Sequence[str]) -> bytes:
    """The bytes of the file ``name`` whose digest is ``sha256``.

    Looks for ``folder/name`` and ``name`` in META_LEARN_DATA, then for ``folder/name`` in the
    cache, then asks the ``mirrors`` (addresses that end in a slash) in turn.
    Errors: DataError where the user's own file is another one (it is left alone), where the cache
    cannot be written, and where no mirror has the file.
    """
    content = _from_user(folder, name, sha256)
    if content is not None:
        return content
    target = cache_folder() / folder / name
    content = _read(target)
    if content is not None and _digest(content) == sha256:
        return content
    return _download(target, sha256, mirrors)


def _from_user(folder: str, name: str, sha256: str) -> bytes | None:
    chosen = os.environ.get("META_LEARN_DATA")
    if not chosen:
        return None
    root = Path(chosen).expanduser()
    if not root.is_dir():
        raise DataError(
            f"META_LEARN_DATA should name a folder with data sets, but {root} is not a folder: "
            "correct it or unset it"
        )
    for path in (root / folder / name, root / name):
        content = _read(path)
        if content is None:
            continue
        if _digest(content) != sha256:
            raise DataError(
                f"{path} is not the published file: expected SHA-256 {sha256}, "
                f"got {_digest(content)}; replace it, or unset META_LEARN_DATA to download it"
            )
        return content
    return None


def _read(path: Path) -> bytes | None:
    """The file's bytes, at most one more than is allowed, or None where there is no file."""
    try:
        if not path.is_file():
            return None
        with open(path, "rb") as file:
            return file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check its permissions") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(target: Path, sha256: str, mirrors: Sequence[str]) -> bytes:
    failures = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as beside:
            for mirror in mirrors:
                failure = _try_mirror(mirror + target.name, sha256, Path(beside))
                if failure:
                    failures.append(f"{mirror}: {failure}")
                    continue
                content = (Path(beside) / target.name).read_bytes()
                os.replace(Path(beside) / target.name, target)
                return content
    except OSError as error:
        raise DataError(
            f"cannot write to the cache folder {target.parent} ({error.strerror}): "
            "set META_LEARN_CACHE to a folder that can be written"
        ) from error
    raise DataError(
        f"could not download {target.name} ({'; '.join(failures)}): set META_LEARN_DATA to a "
        "folder that holds it, or use --data glyphs, which needs no download"
    )


def _try_mirror(url: str, sha256: str, folder: Path) -> str:
    """Downloads into ``folder`` what has the right digest. Returns why not, or an empty string."""
    import pooch
    import requests

    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS)
    name = url.rsplit("/", 1)[1]
    try:
        pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, downloader=downloader)
    except requests.HTTPError as error:
        return f"HTTP status {'unknown' if error.response is None else error.response.status_code}"
    except requests.Timeout:
        return f"no answer in {_TIMEOUT_SECONDS:.0f} seconds"
    except requests.ConnectionError:
        return "no connection"
    except requests.RequestException as error:
        return type(error).__name__
    except ValueError:
        return "what came has another SHA-256"
    return ""
