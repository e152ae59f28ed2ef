"""A published file by its digest: from the user's folder, the cache, or a mirror.

The bytes that are checked are the bytes that are returned, so that a file changed in between does
no harm. The cache is only ever written by renaming a checked file into place: processes that share
it may fetch the same file at once, and a broken file is replaced, never mended.
"""

from __future__ import annotations

import logging
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from autoregressive import users_files
from autoregressive.cache import cache_folder
from autoregressive.errors import DataError

log = logging.getLogger(__name__)

# More than any file that is asked for here: what is longer is wrong and is not read to its end.
_LARGEST = 2**26
_TIMEOUT_SECONDS = 10.0


def read_verified(
    folder: str,
    name: str,
    sha256: str,
    mirrors: Sequence[str],
    inside: str = "",
    *,
    also: Sequence[str] = (),
    borrowed: bool = False,
) -> bytes:
    """The file ``name`` whose digest is ``sha256``, or what it holds.

    Looks in META_LEARN_DATA for what ``users_files.find`` takes for it, and gives that unpacked. Then
    looks for ``folder/name`` in the cache, then asks the ``mirrors`` (addresses that end in a slash)
    in turn, and gives the file's bytes as they are published. inside, also, borrowed: as for ``find``.
    Errors: DataError where the user's own file is another one (it is left alone), where the cache
    cannot be written, and where no mirror has the file.
    """
    content = users_files.find(folder, name, sha256, inside, also=also, borrowed=borrowed)
    if content is not None:
        return content
    target = cache_folder() / folder / name
    content = _cached(target, sha256)
    if content is not None:
        return content
    with _downloaded(target, sha256, mirrors) as path:
        content = path.read_bytes()
        os.replace(path, target)
    return content


def read_from_archive(
    folder: str,
    name: str,
    digests: Mapping[str, str],
    archive: str,
    sha256: str,
    mirrors: Sequence[str],
) -> bytes:
    """As ``read_verified``, of a file that is published inside a large ZIP archive.

    digests: of the file and of others that are wanted of the archive too: all are kept in the cache,
    so that one download serves them; the archive, ``archive`` on the mirrors, is not kept.
    Errors: DataError as for ``read_verified``.
    """
    content = users_files.find(folder, name, digests[name])
    if content is not None:
        return content
    target = cache_folder() / folder / name
    content = _cached(target, digests[name])
    if content is not None:
        return content
    with _downloaded(target.with_name(archive), sha256, mirrors) as path:
        for one, digest in digests.items():
            found = _member(path, one, digest)
            (path.parent / one).write_bytes(found)
            os.replace(path.parent / one, target.with_name(one))
            content = found if one == name else content
    assert content is not None
    return content


def _cached(target: Path, digest: str) -> bytes | None:
    content = users_files.read(target, _LARGEST)
    right = content is not None and users_files.digest(content, digest) == digest
    return content if right else None


def _member(archive: Path, name: str, digest: str) -> bytes:
    """A file of a ZIP archive, in whatever folder of it. Errors: DataError."""
    try:
        with zipfile.ZipFile(archive) as whole:
            places = [i for i in whole.infolist() if i.filename.rsplit("/", 1)[-1] == name]
            if places and places[0].file_size <= _LARGEST:
                content = whole.read(places[0])
                if users_files.digest(content, digest) == digest:
                    return content
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive.name} is not a whole archive ({error}): try again") from error
    raise DataError(f"{archive.name} does not hold the published {name}: try again later")


@contextmanager
def _downloaded(target: Path, sha256: str, mirrors: Sequence[str]) -> Iterator[Path]:
    """Gives the path of the checked file, in a folder beside ``target`` that goes away afterwards."""
    failures = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as beside:
            for mirror in mirrors:
                failure = _try_mirror(mirror + target.name, sha256, Path(beside))
                if failure:
                    failures.append(f"{mirror}: {failure}")
                    continue
                yield Path(beside) / target.name
                return
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
