"""Pages of published papers, from docs/results/papers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analysis.papers.page import claims_table, lead, setting_of
from analysis.papers.registry import PAPERS, load_paper
from analysis.report import markdown
from analysis.report.report import Table

KEPT = Path(__file__).parent / "results" / "papers"


def load() -> dict[str, dict[str, Any]]:
    """The entry of every paper that was run, by name."""
    found = {}
    for name in PAPERS:
        path = KEPT / f"{name}.json"
        if path.exists():
            (found[name],) = json.loads(path.read_text())["papers"]
    return found


def table_of_all(found: dict[str, dict[str, Any]]) -> Table:
    """Every number that is published, and the pages of those that are not."""
    rows = []
    for name, entry in found.items():
        own = [
            (claim, row)
            for claim, row in zip(entry["claims"], claims_table(entry).rows, strict=True)
            if claim["published"] is not None
        ]
        rows += [[f"[{load_paper(name).authors}](papers/{name}.md)", *row] for _, row in own]
        silent = len(entry["claims"]) - len(own)
        if silent:
            shown = f"{silent} more, of which the paper prints no number"
            rows.append(
                [f"[{load_paper(name).authors}](papers/{name}.md)", shown, "-", "", "", "-"]
            )
    head = ["paper", "quantity", "published", "ours", "95% interval", "agrees"]
    return Table("Published numbers and ours", head, rows)


def as_markdown(entry: dict[str, Any], folder: Path, link: str) -> str:
    """A paper's findings, figures and tables; figures go to ``folder``, which pages call ``link``."""
    paper = load_paper(entry["name"])
    page = f"paper-{paper.name}"
    out = [lead(entry), "\n".join(f"- {text}" for text in paper.says(entry))]
    out += [
        markdown.figure(panel, folder, link, f"{page}-{panel.name}")
        for panel in paper.panels(entry)
    ]
    out += [words(markdown.table(claims_table(entry), page))]
    out += [markdown.table(table, page) for table in paper.tables(entry)]
    out += ["## The setting", "\n".join(f"- {text}" for text in setting_of(entry))]
    return "\n\n".join(out) + "\n"


def words(table: str) -> str:
    """A table whose cells may break."""
    return table.replace(":class: numbers\n", "")
