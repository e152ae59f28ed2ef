"""The page of all rows, from what was kept of them."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping
from pathlib import Path

from analysis.coursework.reproduce import mistakes_section
from analysis.coursework.reproduce.kept import Kept, show
from analysis.coursework.reproduce.rows import ROWS, Asked
from analysis.coursework.reproduce.run import Run
from analysis.coursework.reproduce.steps import title as step_title
from analysis.report.report import Contents, Document, Report, Section

TITLE = "The coursework, reproduced"


def lead(run: Run, results: Mapping[str, Kept]) -> str:
    """What this is, in a few sentences."""
    rows = sum(step.startswith("row-") for step in results)
    text = (
        f"{rows} of {len(ROWS)} rows of a deep-learning coursework of 2018: what was asked, what came "
        "out here, what a student's report of 2018 has, and the command and seed that made it. Losses "
        "are in nats."
    )
    if run.sizes.name == "quick":
        text += " A quick run: packaged weights and small samples; each row says which."
    if run.data != "mnist":
        text += (
            f" The images are not MNIST but {run.data}: their figures cannot "
            "be compared with the report's."
        )
    return text


def document(run: Run, results: Mapping[str, Kept]) -> Document:
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
            for step, kept in results.items()
        },
    }


def make_report(run: Run, results: Mapping[str, Kept], steps: Collection[str]) -> Report:
    """What there is to say of a reproduction: all rows that are there, and in the terminal ``steps``."""
    lines = [lead(run, results), *(f"{step_title(step)}: {results[step].answer}" for step in steps)]
    return Report(
        "reproduce",
        TITLE,
        lead(run, results),
        document(run, results),
        seeds=[run.seed],
        run={"sizes": run.sizes.settings(), "data": run.data},
        sections=lambda _: [_section(run.out, step, kept) for step, kept in results.items()],
        contents=Contents(
            ["row", "here", "the report of 2018"],
            [(step, [_title(step), kept.answer, _report(step)]) for step, kept in results.items()],
        ),
        closing="\n\n".join(textwrap.fill(line, 80, subsequent_indent="  ") for line in lines),
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
    return Section(kept.tables, show(out, kept), _title(step), step, paragraphs, commands)


def _title(step: str) -> str:
    row = _row(step)
    return mistakes_section.TITLE if row is None else f"{row.number}. {row.title}"


def _asked(step: str) -> str:
    row = _row(step)
    return mistakes_section.ASKED if row is None else row.asked


def _report(step: str) -> str:
    row = _row(step)
    return "" if row is None else row.report


def _row(step: str) -> Asked | None:
    number = step.removeprefix("row-")
    return ROWS[int(number)] if number.isdigit() else None
