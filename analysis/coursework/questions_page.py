"""The answers to the thought questions: sentences, tables and panels, all from the document."""

from __future__ import annotations

from pathlib import Path

from analysis.coursework.answer_texts import Answer
from analysis.coursework.answers_on_lengths import on_edges, on_harder, on_task_length, on_unroll
from analysis.coursework.answers_on_priors import on_prior, on_unseen_p
from analysis.report import markdown
from analysis.report.report import Contents, Document, Report, Section


def make_report(document: Document) -> Report:
    """What there is to say of a study. document: as ``meta-learn questions --json`` prints it."""
    said = {f"question-{n}": answer for n, answer in enumerate(answers(document), 1)}
    return Report(
        "questions",
        "The thought questions, measured",
        f"{len(said)} questions, answered by what networks do that are trained on "
        f"{document['budget']:,} symbols, {len(document['seeds'])} of each kind.",
        document,
        [table for answer in said.values() for table in answer.tables],
        panels=lambda: [panel for answer in said.values() for panel in answer.panels],
        seeds=document["seeds"],
        run={"test_seed": document["seeds"][0]},
        sections=lambda shown: [
            Section(
                answer.tables,
                [shown[panel.name] for panel in answer.panels],
                answer.question,
                anchor,
                [("", answer.text)],
            )
            for anchor, answer in said.items()
        ],
        contents=Contents(
            ["question", "answer"],
            [(anchor, [answer.question, answer.short]) for anchor, answer in said.items()],
        ),
        closing="\n\n".join(f"{answer.question}\n{answer.text}" for answer in said.values()),
    )


def answers(document: Document) -> list[Answer]:
    """All answers. document: as ``meta-learn questions --json`` prints it."""
    return [
        on_prior(document),
        on_edges(document),
        on_task_length(document),
        on_unroll(document),
        on_unseen_p(document),
        on_harder(document),
    ]


def as_markdown(document: Document, folder: Path, link: str) -> str:
    """All answers as a Markdown page; figures go to ``folder``, which the page calls ``link``."""
    out = []
    for answer in answers(document):
        out += [f"## {answer.question}", answer.text]
        out += [markdown.figure(panel, folder, link) for panel in answer.panels]
        out += [markdown.table(table, "questions") for table in answer.tables]
    return "\n\n".join(out) + "\n"
