"""A published file by its SHA-256: from the user's folder, the cache, or a mirror.

The bytes that are checked are the bytes that are returned, so that a file changed in between does
no harm. The cache is only ever written by renaming a checked file into place: processes that share
it may fetch the same file at once, and a broken file is replaced, never mended.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from autoregressive import users_files
from autoregressive.cache import cache_folder
from autoregressive.errors import DataError

log = logging.getLogger(__name__)

# More than any file that is asked for here: what is longer is wrong and is not read to its end.
_LARGEST = 2**24
_TIMEOUT_SECONDS = 10.0


def read_verified(
    folder: str, name: str, sha256: str, mirrors: Sequence[str], inside: str | None = None
) -> bytes:
    """The file ``name`` whose digest is ``sha256``, or what it holds.

    Looks in META_LEARN_DATA (``users_files``) for what has the digest ``inside`` when unpacked
    (default: ``sha256``, a file that is not packed), and gives that. Then looks for ``folder/name`` in
    the cache, then asks the ``mirrors`` (addresses that end in a slash) in turn, and gives the file's
    bytes as they are published.
    Errors: DataError where the user's own file is another one (it is left alone), where the cache
    cannot be written, and where no mirror has the file.
    """
    content = users_files.find(folder, name, inside or sha256)
    if content is not None:
        return content
    target = cache_folder() / folder / name
    content = users_files.read(target, _LARGEST)
    if content is not None and _digest(content) == sha256:
        return content
    return _download(target, sha256, mirrors)


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

    over_http = pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS)
    start = b""

    def downloader(url: str, target: str, asked_by: object) -> None:
        nonlocal start
        over_http(url, target, asked_by)
        with open(target, "rb") as file:
            start = file.read(1000)

    name = url.rsplit("/", 1)[1]
    log.info("downloading %s", url)
    try:
        with _silent_pooch():
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
        if users_files.is_web_page(start):
            return "a web page came, not the file"
        return "what came has another SHA-256"
    return ""


@contextmanager
def _silent_pooch() -> Iterator[None]:
    """Pooch tells of every download on stderr, --quiet or not; one line of ours does."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
