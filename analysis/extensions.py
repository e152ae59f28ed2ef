"""``--load``: files and modules of the user's, which put members into the registries.

A file gets a name in ``sys.modules`` that no other module has. Its folder is searched for imports
last, and only while the file is loaded: a file beside it can never stand in for a module of ours or of
another package. Workers load the same files before they see a task.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from autoregressive.errors import show


class ExtensionError(ValueError):
    """An extension that is missing, fails, or takes another's name."""


class Extension(NamedTuple):
    """A file or module that was loaded: enough to load it again in another process.

    typed: as the user named it. module: its name in ``sys.modules``. path: its file, empty for a
    module without one. folder: searched for imports, last, while it is loaded. sha256: of its file.
    """

    typed: str
    module: str
    path: str
    folder: str
    sha256: str


class _Registry(NamedTuple):
    """A dict of members. member: what one is called. module, name: where the dict is."""

    member: str
    module: str
    name: str


_REGISTRIES = (
    _Registry("process", "meta_learning.processes", "PROCESSES"),
    _Registry("cell", "autoregressive.cells", "CELLS"),
    _Registry("image set", "autoregressive.images.datasets", "DATASETS"),
    _Registry("mask", "autoregressive.images.masks", "MASKS"),
    _Registry("reference", "meta_learning.references", "REFERENCES"),
    _Registry("metric", "analysis.comparison.metrics", "METRICS"),
)

# In the order they were loaded.
_LOADED: list[Extension] = []
# Which extension, as typed, registered what: by kind of member and name.
_OWNERS: dict[tuple[str, str], str] = {}


def load(typed: str) -> None:
    """Runs a file, or imports a module, that registers members; nothing where that was done before.

    Errors: ExtensionError where it is missing or fails, or registers a name that is taken; the
    registries are then as they were.
    """
    wanted = _find(typed)
    if any(one.module == wanted.module for one in _LOADED):
        return
    registries = {
        one.member: getattr(importlib.import_module(one.module), one.name) for one in _REGISTRIES
    }
    before = {member: dict(registry) for member, registry in registries.items()}
    try:
        # What it prints is not part of a result.
        with redirect_stdout(sys.stderr):
            module = _run(wanted)
        new = _new_members(typed, registries, before)
        path = getattr(module, "__file__", None) or ""
        _refuse_namesake(typed, path)
    except BaseException:
        for member, registry in registries.items():
            registry.clear()
            registry.update(before[member])
        raise
    _LOADED.append(wanted._replace(path=path, sha256=_digest(path)))
    _OWNERS.update({key: typed for key in new})


def list_loaded() -> tuple[Extension, ...]:
    """All extensions of this process, in the order they were loaded."""
    return tuple(_LOADED)


def describe() -> list[dict[str, str]]:
    """The extensions of this process for a manifest: as typed, and the SHA-256 of the file."""
    return [{"load": one.typed, "sha256": one.sha256} for one in _LOADED]


def identity() -> dict[str, list[str]]:
    """The extensions' part in the identity of a kept result; empty where none was loaded."""
    return {"loaded": sorted(one.sha256 for one in _LOADED)} if _LOADED else {}


def members(kind: str) -> list[str]:
    """The names that extensions registered. kind: "process", "cell", .. of ``_REGISTRIES``."""
    return [name for member, name in _OWNERS if member == kind]


def forget() -> None:
    """Lets another command of the same process begin without extensions. Registries stay."""
    _LOADED.clear()
    _OWNERS.clear()


def load_again(wanted: Sequence[Extension]) -> None:
    """Loads what another process has loaded. Errors: ExtensionError, also where a file differs."""
    for one in wanted:
        if any(here.module == one.module for here in _LOADED):
            continue
        if one.path and _digest(one.path) != one.sha256:
            raise ExtensionError(
                f"--load {one.typed}: the worker has no file {one.path}, or another one; "
                "put the same file at the same path on every machine"
            )
        module = _run(one)
        path = getattr(module, "__file__", None) or ""
        _LOADED.append(one._replace(path=path))


def _find(typed: str) -> Extension:
    """What the user named, not loaded yet. Errors: ExtensionError where there is no such file."""
    path = Path(typed).expanduser()
    is_file = typed.endswith(".py") or len(path.parts) > 1
    if not is_file and all(part.isidentifier() for part in typed.split(".")):
        return Extension(typed, typed, "", str(Path.cwd()), "")
    if not path.is_file():
        raise ExtensionError(
            f"--load {typed}: there is no such file; give a Python file like sticky.py, or a module "
            "like my_package.sticky"
        )
    path = path.resolve()
    # The same in every process, and unlike any other module's.
    module = f"loaded_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    return Extension(typed, module, str(path), str(path.parent), _digest(str(path)))


def _run(wanted: Extension) -> ModuleType:
    """Runs it. Errors: ExtensionError with the reason in one line."""
    try:
        with _folder_last(wanted.folder):
            if not wanted.path or wanted.module == wanted.typed:
                return importlib.import_module(wanted.module)
            return _run_file(wanted)
    except KeyboardInterrupt:
        raise
    except SystemExit:
        reason = 'it ends the program; put that call under if __name__ == "__main__"'
    except BaseException as error:
        if os.environ.get("META_LEARN_DEBUG"):
            raise
        what = " ".join(str(error).split())
        reason = f"{type(error).__name__}{': ' if what else ''}{what}{_where(error, wanted)}"
    raise ExtensionError(f"--load {wanted.typed}: cannot be loaded: {reason}")


def _run_file(wanted: Extension) -> ModuleType:
    from importlib.machinery import SourceFileLoader

    # By its loader, since a file may have any suffix.
    spec = importlib.util.spec_from_file_location(
        wanted.module, wanted.path, loader=SourceFileLoader(wanted.module, wanted.path)
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[wanted.module] = module  # dataclasses and pickle look it up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[wanted.module]
        raise
    return module


@contextmanager
def _folder_last(folder: str) -> Iterator[None]:
    """Inside it imports are looked for in ``folder``, too, after everywhere else."""
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        # From the end: the folder may have been there before.
        for n in reversed(range(len(sys.path))):
            if sys.path[n] == folder:
                del sys.path[n]
                break


def place_of(error: BaseException) -> str:
    """Where in a loaded file an error came up, "sticky.py, line 3"; empty where in none."""
    for one in reversed(_LOADED):
        line = _line_in(error, one.path)
        if one.path and line is not None:
            return f"{Path(one.path).name}, line {line}"
    return ""


def _where(error: BaseException, wanted: Extension) -> str:
    """Where in the user's own file an error came up, " (line 3)"; empty where it is not known."""
    line = _line_in(error, wanted.path)
    return "" if line is None else f" (line {line})"


def _line_in(error: BaseException, path: str) -> int | None:
    """The innermost line of a file that an error came through."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _new_members(
    typed: str, registries: dict[str, dict[str, object]], before: dict[str, dict[str, object]]
) -> list[tuple[str, str]]:
    """(kind, name) of every new member. Errors: ExtensionError where a name was taken."""
    new = []
    for kind, registry in registries.items():
        for name, member in registry.items():
            if name not in before[kind]:
                _check_kind(typed, kind, name, member, before[kind])
                new.append((kind, name))
            elif member is not before[kind][name]:
                owner = _OWNERS.get((kind, name))
                whose = "one of meta-learn's own" if owner is None else f"that of {owner}"
                raise ExtensionError(
                    f"--load {typed}: the {kind} {name!r} is already registered, {whose}; give "
                    "yours another name"
                )
    return new


def _check_kind(
    typed: str, kind: str, name: str, member: object, others: dict[str, object]
) -> None:
    """Errors: ExtensionError where a new member is none of its kind. others: members of before."""
    wanted, missing = "", []
    if kind == "process":
        from meta_learning.processes import Process

        if isinstance(member, type) and issubclass(member, Process):
            missing = [n for n in ("name", "parameters", "latent_name") if not hasattr(member, n)]
            missing += sorted(getattr(member, "__abstractmethods__", ()))
        else:
            wanted = "a subclass of meta_learning.processes.Process"
    elif kind in ("metric", "mask"):
        like = type(next(iter(others.values())))
        wanted = "" if isinstance(member, like) else f"a {like.__module__}.{like.__name__}"
    elif not callable(member):
        wanted = "a class" if kind == "cell" else "a function"
    if missing:
        raise ExtensionError(f"--load {typed}: the {kind} {name!r} lacks {', '.join(missing)}")
    if wanted:
        raise ExtensionError(
            f"--load {typed}: the {kind} {name!r} is {show(member)}; expected {wanted}"
        )


def _refuse_namesake(typed: str, path: str) -> None:
    """Errors: ExtensionError where the user seems to mean a file here, and another module of that
    name was found."""
    own = Path.cwd() / f"{typed.replace('.', '/')}.py"
    if not typed.endswith(".py") and own.is_file() and own.resolve() != Path(path).resolve():
        raise ExtensionError(
            f"--load {typed}: the module of that name is {path or 'built in'}, not {own.name} of "
            f"this folder; give the file: --load {own.name}"
        )


def _digest(path: str) -> str:
    """SHA-256 of a file; empty where there is none to read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
    except OSError:
        return ""
