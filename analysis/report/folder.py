"""A report's folder holds one run: what an earlier run left there and this one did not write is gone.

A manifest lists the files that its run wrote, with their SHA-256. The next run in the folder removes
those of them that it did not write itself and whose content is still the recorded one. A file that no
run wrote, or that was changed since, is never touched.

While a run writes, a journal beside the manifest holds what earlier runs left and each file as it is
written: a run that is killed leaves it, and the next run reads it with the manifest.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from analysis.report.report import Json
from autoregressive import checkpoint

MANIFEST = "manifest.json"
JOURNAL = ".unfinished-run"


class _Entry(NamedTuple):
    """A file that a run wrote. path: within the folder, with slashes. run: what the run was, for runs
    that go on in their folder; empty for others."""

    path: str
    sha256: str
    run: str


class _Open:
    """A folder while a run writes into it."""

    def __init__(self, out: Path, run: str, inputs: Iterable[Path]):
        self.out, self.run = out.resolve(), run
        self.inputs = {path.resolve() for path in inputs}
        self.earlier = _read_entries(self.out)
        self.written: dict[str, str] = {}
        self.journal = self.out / JOURNAL
        self.begun = False
        self.new = not self.out.exists()

    def note(self, path: Path, data: bytes) -> None:
        """Before a file is put into place: a run that is killed right after it has said so."""
        path = path.parent.resolve() / path.name
        if not path.is_relative_to(self.out) or path in (self.journal, self.out / MANIFEST):
            return
        if not self.begun:
            lines = "".join(_line(entry) for entry in self.earlier)
            checkpoint.write_atomically(self.journal, lines)
            self.begun = True
        entry = _Entry(
            path.relative_to(self.out).as_posix(), hashlib.sha256(data).hexdigest(), self.run
        )
        self.written[entry.path] = entry.sha256
        with open(self.journal, "a", encoding="utf-8") as file:
            file.write(_line(entry))

    def remove_earlier(self) -> dict[str, str]:
        """Removes what this run does not hold. Returns what stays: path -> SHA-256."""
        kept = dict(self.written)
        for entry in self.earlier:
            path = _inside(self.out, entry.path)
            if entry.path in kept or path is None or _digest(path) != entry.sha256:
                continue
            goes_on = self.run != "" and entry.run == self.run
            if goes_on or path in self.inputs:
                kept[entry.path] = entry.sha256
                continue
            path.unlink()
            _remove_empty(path.parent, self.out)
        return kept


_open: _Open | None = None


def check(out: Path) -> None:
    """Writes a probe into the folder, or where it is to be made: a run that ends before it has written
    leaves no folder. Errors: OSError where that is not possible; NotADirectoryError names the file that
    stands where a folder is expected."""
    there = next(path for path in (out, *out.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    probe = there / f".probe-{os.getpid()}"
    probe.touch()
    probe.unlink()


def begin(out: Path, run: str = "", inputs: Iterable[Path] = ()) -> None:
    """From here on, what is written into the folder is of this run.

    run: what decides the results of a run that goes on with what an earlier one left in the folder:
    the files of a run of the same name stay. inputs: files that the run reads, which stay as well.
    Errors: OSError.
    """
    global _open
    _open = _Open(out, run, inputs)
    checkpoint.on_write = _open.note


def leave() -> None:
    """The run is over, finished or not: nothing more is recorded. A folder that it made and wrote no
    whole file into is removed."""
    global _open
    if _open is not None and _open.new:
        with suppress(OSError):  # it was never made, or holds files
            _open.out.rmdir()
    _open = None
    checkpoint.on_write = None


def finish(out: Path, manifest: Mapping[str, Json]) -> None:
    """The last step of a report: removes what an earlier run left and this one did not write, and
    writes the manifest with the files of this run. Errors: OSError.

    Without ``begin`` nothing is known of this run's files: none is listed, none removed.
    """
    here = _open if _open is not None and _open.out == out.resolve() else None
    files = {} if here is None else here.remove_earlier()
    document = {**manifest, "run": "" if here is None else here.run, "files": files}
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    checkpoint.write_atomically(out / MANIFEST, text)
    if here is not None:
        here.journal.unlink(missing_ok=True)


def _read_entries(out: Path) -> list[_Entry]:
    """What earlier runs wrote, by the manifest and by the journal of a run that did not end."""
    entries = []
    try:
        manifest = json.loads((out / MANIFEST).read_text("utf-8"))
        run = manifest.get("run", "")
        entries += [_Entry(path, sha256, run) for path, sha256 in manifest["files"].items()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # none, or not one of ours
    try:
        lines = (out / JOURNAL).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        try:
            entries.append(_Entry(*json.loads(line)))
        except (ValueError, TypeError):
            continue  # the run was killed within this line
    whole = (entry for entry in entries if all(isinstance(part, str) for part in entry))
    return list(dict.fromkeys(whole))


def _line(entry: _Entry) -> str:
    return json.dumps(entry) + "\n"


def _inside(out: Path, name: str) -> Path | None:
    """The recorded file, unless it is a link, or lies elsewhere, or is the manifest itself."""
    if not name or "\0" in name:
        return None
    path = out / name
    whole = path.parent.resolve() / path.name
    if whole != path or not path.is_relative_to(out) or path.is_symlink() or not path.is_file():
        return None
    return None if path in (out / MANIFEST, out / JOURNAL) else path


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_empty(folder: Path, out: Path) -> None:
    """The folders that a removed file leaves empty, up to the report's own."""
    while folder != out and folder.is_relative_to(out) and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
