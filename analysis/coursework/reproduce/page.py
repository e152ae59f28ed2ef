"""The page of all rows, from what was kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.coursework.reproduce import mistakes_section
from analysis.coursework.reproduce.kept import Kept, shown
from analysis.coursework.reproduce.rows import ROWS
from analysis.coursework.reproduce.run import Run
from analysis.report.publish import Contents, Section, write_sections

TITLE = "The coursework, reproduced"


def lead(run: Run, found: Mapping[str, Kept]) -> str:
    """What this is, in a few sentences."""
    rows = sum(step.startswith("row-") for step in found)
    text = (
        f"{rows} of {len(ROWS)} rows of a deep-learning coursework of 2018: what was asked, what came "
        "out here, what a student's report of 2018 has, and the command and seed that made it. Losses "
        "are in nats."
    )
    if run.sizes.name == "quick":
        text += " A quick run: packaged weights and small samples; each row says which."
    if run.data != "mnist":
        text += (
            f" The images are not MNIST but {run.data}, digits drawn from fonts: their figures cannot "
            "be compared with the report's."
        )
    return text


def document(run: Run, found: Mapping[str, Kept]) -> dict[str, Any]:
    """All numbers: the JSON document of the command."""
    return {
        "sizes": run.sizes.settings(),
        "seed": run.seed,
        "data": run.data,
        "rows": {
            step.removeprefix("row-"): {
                "title": _title(step),
                "answer": kept.answer,
                "report": _report(step),
                "command": kept.command,
                "seed": kept.seed,
                "numbers": kept.numbers,
            }
            for step, kept in found.items()
        },
    }


def write(out: Path, run: Run, found: Mapping[str, Kept], command: str, made: Any) -> None:
    """report.html with all rows. Errors: OSError."""
    write_sections(
        out,
        title=TITLE,
        lead=lead(run, found),
        sections=[_section(out, step, kept) for step, kept in found.items()],
        command=command,
        run=made,
        contents=Contents(
            ["row", "here", "the report of 2018"],
            [(step, [_title(step), kept.answer, _report(step)]) for step, kept in found.items()],
        ),
    )


def _section(out: Path, step: str, kept: Kept) -> Section:
    paragraphs = [("Asked:", _asked(step)), ("Here:", kept.answer)]
    if _report(step):
        paragraphs.append(("The report of 2018:", _report(step)))
    paragraphs += kept.paragraphs
    if kept.made:
        paragraphs.append(("Made from:", kept.made))
    commands = [(f"Made by, seed {kept.seed}:", kept.command)]
    if kept.own:
        commands.append(("With a command of its own:", kept.own))
    return Section(kept.tables, shown(out, kept), _title(step), step, paragraphs, commands)


def _title(step: str) -> str:
    row = _row(step)
    return mistakes_section.TITLE if row is None else f"{row.number}. {row.title}"


def _asked(step: str) -> str:
    row = _row(step)
    return mistakes_section.ASKED if row is None else row.asked


def _report(step: str) -> str:
    row = _row(step)
    return "" if row is None else row.report


def _row(step: str) -> Any:
    number = step.removeprefix("row-")
    return ROWS[int(number)] if number.isdigit() else None
