"""A published file by its digest: from the user's folder, the cache, or a mirror.

The bytes that are checked are the bytes that are returned, so that a file that changes in between does
no harm. The cache is only written by renaming a checked file into place: processes that share it may
fetch the same file at once, and a broken file is replaced.
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

# Larger than any file that is asked for here: a longer one is wrong and is not read to its end.
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
    """The bytes of the published file ``name`` whose digest is ``sha256``.

    From META_LEARN_DATA it comes unpacked, as ``users_files.find`` gives it. From ``folder/name`` in the
    cache, and from the ``mirrors`` (addresses that end in a slash), which are asked in turn, it comes as
    it is published. inside, also, borrowed: as for ``find``.
    Errors: DataError where the user's own file is another one (it is left alone), where the cache
    cannot be written, and where no mirror has the file.
    """
    content = users_files.find(folder, name, sha256, inside, also=also, borrowed=borrowed)
    if content is not None:
        return content
    target = cache_folder() / folder / name
    content = _read_cached(target, sha256)
    if content is not None:
        return content
    with _download(target, sha256, mirrors) as path:
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
    """As ``read_verified``, for a file that is published inside a large ZIP archive.

    digests: of the file, and of others wanted from the same archive, by name. All of them are kept in
    the cache, so that one download serves them. archive: its name on the mirrors; it is not kept.
    sha256: of the archive. Errors: DataError as for ``read_verified``.
    """
    content = users_files.find(folder, name, digests[name])
    if content is not None:
        return content
    target = cache_folder() / folder / name
    content = _read_cached(target, digests[name])
    if content is not None:
        return content
    with _download(target.with_name(archive), sha256, mirrors) as path:
        for one, digest in digests.items():
            found = _member(path, one, digest)
            (path.parent / one).write_bytes(found)
            os.replace(path.parent / one, target.with_name(one))
            content = found if one == name else content
    assert content is not None
    return content


def _read_cached(target: Path, digest: str) -> bytes | None:
    """The file's bytes where they have this digest, else None."""
    content = users_files.read(target, _LARGEST)
    right = content is not None and users_files.digest(content, digest) == digest
    return content if right else None


def _member(archive: Path, name: str, digest: str) -> bytes:
    """A file of a ZIP archive, in any folder of it. Errors: DataError where it is not as published."""
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
def _download(target: Path, sha256: str, mirrors: Sequence[str]) -> Iterator[Path]:
    """Inside it, the checked file lies at the path that it yields, in a temporary folder beside
    ``target``. Errors: DataError where that cannot be written, or where no mirror has the file."""
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
    """Downloads a file of this digest into ``folder``. Returns why that failed; empty if it did not."""
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
    """Inside it pooch logs nothing: it would write to stderr even with --quiet, beside our own line."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
