"""What a paper is here: what it published, how it is measured, what is drawn of it.

A paper's file has one ``PAPER`` and is named in ``registry``. Its numbers come from ``Paper.run``;
tables, figures and sentences are made from the JSON document of that run alone, so that a page can be
drawn from a document that was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from analysis.intervals import Estimate
from analysis.report.report import Document, Panel, Table

if TYPE_CHECKING:
    from meta_learning.learner import Learner
    from meta_learning.processes import Process
    from meta_learning.recipes import Recipe


class Train(Protocol):
    """Networks of a recipe, one a seed, from the cache or trained now."""

    def __call__(
        self, process: Process, recipe: Recipe, cell: str, hidden: int, seeds: Sequence[int]
    ) -> list[Learner]: ...


@dataclass(frozen=True)
class How:
    """How a paper is run. quick: at its small size. seed: the first one. train: how networks are
    found. say: takes a line of progress."""

    quick: bool
    seed: int
    train: Train
    say: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Claim:
    """A number that a paper gives, or shows only as a picture.

    key: its name among the run's estimates. quantity, unit: in words. published: as printed, None where
    there is no printed number. rounding: half a unit of its last digit. bound: "" where it is the value
    itself; "least" or "most" where the paper says no more than that it is at least, or at most, this.
    note: where it stands in the paper, and what to mind.
    """

    key: str
    quantity: str
    unit: str
    published: float | None
    rounding: float = 0.0
    bound: Literal["", "least", "most"] = ""
    note: str = ""

    def agrees(self, ours: Estimate) -> bool | None:
        """Whether our interval, or our number where it has none, meets what was published, rounded as
        it is; None where one of the two is missing."""
        if self.published is None or ours.mean is None:
            return None
        low = ours.mean if ours.low is None else ours.low
        high = ours.mean if ours.high is None else ours.high
        above = high >= self.published - self.rounding
        below = low <= self.published + self.rounding
        return {"": above and below, "least": above, "most": below}[self.bound]

    def document(self, ours: Estimate | None = None) -> Document:
        """Plain JSON values, before a run or after it."""
        ours = ours or Estimate(None, None, None)
        return {
            "quantity": self.quantity,
            "unit": self.unit,
            "published": self.published,
            "bound": self.bound or None,
            "ours": ours.mean,
            "ci95": None if ours.low is None else ours.ci95,
            "agrees": self.agrees(ours),
            "note": self.note,
        }


@dataclass(frozen=True)
class Findings:
    """What a run found. ours: ``Claim.key`` -> our number. curves: JSON values that tables and figures
    are made of. seeds: of the networks."""

    ours: Mapping[str, Estimate]
    curves: Document = field(default_factory=dict)
    seeds: Sequence[int] = ()


def _nothing(entry: Document) -> Sequence[Table]:
    return ()


def _no_panels(entry: Document) -> Sequence[Panel]:
    return ()


def _no_sentences(entry: Document) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Paper:
    """A paper. name: as typed, like "shai-2024". setting: what is published of it. assumed: what is
    not, and was chosen here. differs: what is otherwise here than there. tables, panels, says: beside
    the table of claims, further tables, figures, and what follows in sentences, from the paper's entry
    of a document (``results.entry``)."""

    name: str
    title: str
    authors: str
    arxiv: str
    setting: str
    claims: tuple[Claim, ...]
    run: Callable[[How], Findings]
    assumed: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    tables: Callable[[Document], Sequence[Table]] = _nothing
    panels: Callable[[Document], Sequence[Panel]] = _no_panels
    says: Callable[[Document], Sequence[str]] = _no_sentences
