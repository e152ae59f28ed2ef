"""Tables and panels of a report as MyST Markdown, for the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from analysis.report.publish import figure_files
from analysis.report.report import Panel, Table


def table(table: Table, page: str) -> str:
    """Its rows under its title, and its note. A link finds it by ``page``, which no other page has,
    and its title."""
    lines = [table.head, ["---"] * len(table.head), *table.rows]
    rows = "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)
    # The pages' style sheet keeps numbers of this class on one line.
    name = re.sub(r"[^a-z0-9]+", "-", f"{page} {table.title}".lower()).strip("-")
    body = f"```{{table}} {table.title}\n:class: numbers\n:name: {name}\n\n{rows}\n```"
    return "\n\n".join(part for part in (body, table.note) if part)


def figure(panel: Panel, folder: Path, link: str, stem: str = "") -> str:
    """The panel as a figure with its caption. PNG and SVG go to ``folder``, which the page calls
    ``link``, under the panel's name or ``stem``. Errors: OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    name = stem or panel.name
    for file, data in figure_files(panel._replace(name=name)).items():
        (folder / file).write_bytes(data)
    # All figures at one scale, so that their letters have one size.
    width = round(100 * panel.figure.get_size_inches()[0])
    caption = f"{panel.caption} ([SVG]({link}/{name}.svg))"
    return (
        f"```{{figure}} {link}/{name}.png\n:alt: {panel.alt}\n:width: {width}px\n:name: {name}\n\n"
        f"{caption}\n```"
    )


def _cell(text: str) -> str:
    # A bar would end the cell: KL(Bayes || network).
    return text.replace("|", "\\|")
