"""Parts of the study's document in words, for answers to the thought questions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from analysis.coursework import questions_figures as figures
from analysis.report.formats import interval, nats, percent
from analysis.report.report import Document, Panel, Table

Member = TypeVar("Member")


class Answer(NamedTuple):
    """One question with what was measured: short in a line, text in full."""

    question: str
    short: str
    text: str
    tables: list[Table]
    panels: list[Panel]


def price_text(training: Iterable[Document]) -> str:
    """How much of the gap to Bayes with the test alpha is due to the training prior alone."""
    shares = [
        r["gap_test.bayes"]["mean"] / r["gap_test.network"]["mean"]
        for t in training
        for r in t["rows"]
        if r.get("gap_test.network", {}).get("mean")
    ]
    if not shares:
        return ""
    return (
        "The price of the training prior, the same for Bayes with the training alpha, is "
        f"{100 * min(shares):.0f}% to {100 * max(shares):.0f}% of it."
    )


def with_text(
    head: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Column heads and rows without the columns in which no row has any text."""
    kept = [n for n in range(len(head)) if any(row[n] for row in rows)]
    return [head[n] for n in kept], [[row[n] for n in kept] for row in rows]


def own_row(training: Document) -> Document:
    """What was measured on the training prior's own streams."""
    return training["rows"][0]


def gap_closed(training: Document) -> Document:
    """The estimate of the share of memoryless's gap that is closed."""
    return own_row(training)["gap_closed"]


def share_text(training: Document) -> str:
    """The share of memoryless's gap that is closed; far below 0 the number itself says nothing."""
    share = gap_closed(training)["mean"]
    if share is None and own_row(training)["gap.network"]["mean"] is None and training["T"] != 1:
        return "-infinite"
    return "below -100%" if share is not None and share < -1 else percent(share)


def gap_text(training: Document) -> str:
    """The gap to Bayes on its own streams, nats."""
    return nats(own_row(training)["gap.network"]["mean"], no_gap(training))


def no_gap(training: Document) -> str:
    """What None says of a gap: it is infinite, but for tasks without a draw."""
    return "-" if training["T"] == 1 else "infinite"


def value_of(row: Document | None, name: str) -> float:
    """A mean to draw; NaN where there is none."""
    return figures.drawable(row[name]["mean"] if row else None)


def bounds(estimate: Document) -> tuple[float | None, float | None]:
    """The interval's ends, or the mean twice where there is no interval. None is infinite."""
    low, high = estimate["ci95"]
    return (estimate["mean"], estimate["mean"]) if low is None else (low, high)


def effective_texts(training: Document) -> list[str]:
    """The effective alpha, one text an entry; dashes where there is none."""
    if training["effective_alpha"] is None:
        return ["-"] * len(training["alpha"])
    return [entry_text(entry) for entry in training["effective_alpha"]]


def means_text(training: Document) -> str:
    """The effective alpha without intervals; a dash where there is none."""
    entries = training["effective_alpha"]
    return "-" if entries is None else ",".join(short_text(entry["mean"]) for entry in entries)


def entry_text(estimate: Document) -> str:
    """A mean with its interval."""
    return f"{short_text(estimate['mean'])} {interval(estimate['ci95'], short_text)}".strip()


def short_text(value: float | None) -> str:
    """Three significant figures."""
    return "-" if value is None else f"{value:.3g}"


def has_several_unrolls(document: Document, training: Document) -> bool:
    """Whether this prior and T were trained with several unrolls."""
    same = [
        t
        for t in document["trainings"]
        if (t["alpha"], t["T"]) == (training["alpha"], training["T"])
    ]
    return len(same) > 1


def interval_text(document: Document, of_one: str = "One seed; 95% intervals over streams.") -> str:
    """What the intervals of a table are over. of_one: what is said where there is one seed."""
    seeds = len(document["seeds"])
    return (
        f"95% intervals over {seeds} seeds (Student t on the logarithm)." if seeds > 1 else of_one
    )


def alpha_text(training: Document) -> str:
    """The training prior: "10,1,1"."""
    return numbers_text(training["alpha"])


def numbers_text(values: Iterable[float]) -> str:
    """Numbers with commas between them."""
    return ",".join(f"{v:g}" for v in values)


def length_text(T: int | None) -> str:
    """T, which is None where it is infinite."""
    return "inf" if T is None else str(T)


def unique(values: Iterable[Member]) -> list[Member]:
    """Each value once, in the order of its first coming."""
    return list(dict.fromkeys(values))
