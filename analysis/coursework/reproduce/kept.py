"""Results of steps as files: a JSON document with figures beside it, written when the step is done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.report.inline import show_svg
from analysis.report.publish import figure_files, write_json
from analysis.report.report import Document, Json, Panel, Shown, Table
from autoregressive.checkpoint import write_atomically


@dataclass(frozen=True)
class Result:
    """The result of a step. answer: a sentence or two. numbers: JSON values, equal for equal runs.
    paragraphs: (label, text) beside the answer. own: another command that gives the same numbers; empty
    where there is none. made: how the networks were made, and of what images."""

    answer: str
    numbers: Document
    tables: Sequence[Table] = ()
    panels: Sequence[Panel] = ()
    paragraphs: Sequence[tuple[str, str]] = ()
    own: str = ""
    made: str = ""


@dataclass(frozen=True)
class Kept:
    """A step's result as it was kept. figures: name -> alt and caption. own, made: as in ``Result``.
    command: what makes this step again. seconds: it took."""

    answer: str
    numbers: Document
    tables: list[Table]
    figures: dict[str, dict[str, str]]
    paragraphs: list[tuple[str, str]]
    own: str
    made: str
    command: str
    seed: int
    seconds: float = field(compare=False)


def keep(
    folder: Path, name: str, run: str, result: Result, command: str, seed: int, seconds: float
) -> Kept:
    """Writes a result as ``name``.json, after its figures. run: the run's ``steps.identity``. Errors:
    OSError."""
    figures = {}
    for panel in result.panels:
        renamed = panel._replace(name=f"{name}-{panel.name}")
        for file, data in figure_files(renamed).items():
            write_atomically(folder / file, data)
        figures[renamed.name] = {"alt": panel.alt, "caption": panel.caption}
    document = {
        "run": run,
        "command": command,
        "seed": seed,
        "answer": result.answer,
        "numbers": result.numbers,
        "tables": [table._asdict() for table in result.tables],
        "figures": figures,
        "paragraphs": [list(pair) for pair in result.paragraphs],
        "own": result.own,
        "made": result.made,
        "seconds": round(seconds, 2),
    }
    write_json(folder / f"{name}.json", document)
    return _read(json.loads(json.dumps(document)))


def find(folder: Path, name: str, run: str) -> Kept | None:
    """The result that the same run kept under this name, with all its figures; None without one."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["run"] != run:
            return None
        kept = _read(document)
    except (ValueError, KeyError, TypeError):
        return None
    files = (folder / f"{name}.{kind}" for name in kept.figures for kind in ("png", "svg"))
    return kept if all(file.exists() for file in files) else None


def show(folder: Path, kept: Kept) -> list[Shown]:
    """The figures of a kept result, from its folder. Errors: OSError."""
    return [
        show_svg((folder / f"{name}.svg").read_bytes(), text["alt"], text["caption"])
        for name, text in kept.figures.items()
    ]


def _read(document: Mapping[str, Json]) -> Kept:
    return Kept(
        document["answer"],
        document["numbers"],
        [Table(**table) for table in document["tables"]],
        document["figures"],
        [(label, text) for label, text in document["paragraphs"]],
        document["own"],
        document["made"],
        document["command"],
        document["seed"],
        document["seconds"],
    )
