"""Papers as tables and reports: from their entries of a document (``results.entry``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from analysis.papers.paper import Paper
from analysis.papers.results import document
from analysis.report.report import Document, Report, Table

_AGREES = {True: "yes", False: "no", None: "-"}
_BOUNDS = {None: "", "least": "at least ", "most": "at most "}


def make_list(papers: Sequence[Paper], entries: Sequence[Document]) -> tuple[Document, list[Table]]:
    """The list of papers: what --json prints, and the tables of a terminal."""
    rows = [[paper.name, paper.arxiv, paper.title] for paper in papers]
    return document(entries), [Table("Papers", ["name", "arXiv", "title"], rows)]


def make_report(paper: Paper, found: Document) -> Report:
    """What there is to say of a run. found: the paper's entry."""
    return Report(
        paper.name,
        f"{paper.authors}: {paper.title}",
        lead(found),
        document([found]),
        [claims_table(found), *paper.tables(found)],
        panels=partial(paper.panels, found),
        seeds=found["seeds"],
        findings=[*paper.says(found), *setting_of(found)],
    )


def lead(found: Document) -> str:
    """How many of the numbers agree."""
    judged = [c["agrees"] for c in found["claims"] if c["agrees"] is not None]
    silent = sum(c["published"] is None for c in found["claims"])
    parts = [
        f"{sum(judged)} of {len(judged)} published numbers agree with ours"
        if judged
        else "The paper prints no number to compare with"
    ]
    if silent and judged:
        parts.append(f"{silent} of ours have none beside them in print")
    return "; ".join(parts) + "."


def claims_table(found: Document) -> Table:
    """Every number: published, ours, its interval, whether they agree."""
    rows = [
        [
            f"{claim['quantity']}, {claim['unit']}" if claim["unit"] else claim["quantity"],
            "-"
            if claim["published"] is None
            else _BOUNDS[claim["bound"]] + _number(claim["published"]),
            _number(claim["ours"]),
            "" if claim["ci95"] is None else "[{}, {}]".format(*map(_number, claim["ci95"])),
            _AGREES[claim["agrees"]],
        ]
        for claim in found["claims"]
    ]
    notes = [f"{c['quantity']}: {c['note']}" for c in found["claims"] if c["note"]]
    return Table(
        "Published and ours",
        ["quantity", "published", "ours", "95% interval", "agrees"],
        rows,
        " ".join(
            [
                "They agree where our interval meets the published number, rounded as it is printed; "
                "- where the paper shows it only as a picture.",
                *notes,
            ]
        ),
    )


def setting_of(found: Document) -> list[str]:
    """What is published of the setting, what was assumed, what is otherwise here."""
    return [
        f"Published: {found['setting']}",
        *(f"Assumed: {text}" for text in found["assumed"]),
        *(f"Different here: {text}" for text in found["differs"]),
    ]


def _number(value: float | None) -> str:
    """Four digits, two of small numbers."""
    if value is None:
        return "-"
    return f"{value:.4g}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"
