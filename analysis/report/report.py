"""A run's results as one value: what its page shows, what its files hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

    from analysis.report.arrays import Groups

# Letters side by side in half of a page.
_LETTERS = 72
# A JSON value, and an object of them: what is in it, says what makes it.
Json = Any
Document = dict[str, Any]


class Panel(NamedTuple):
    """A figure of a report. name: the file's stem. alt: what it shows, for those who cannot see it.
    caption: how to read it."""

    name: str
    figure: Figure
    alt: str
    caption: str


class Table(NamedTuple):
    """A table of a report: its title, column heads, rows of text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    @property
    def wide(self) -> bool:
        """Whether it needs a row of the page to itself: by the letters of its widest cells."""
        columns = zip_longest(self.head, *self.rows, fillvalue="")
        return sum(2 + max(map(len, column)) for column in columns) > _LETTERS


class Shown(NamedTuple):
    """A figure as a page shows it: its <svg> element, and how to read it. wide: whether it has a row
    to itself. picture: whether there are pixels in it."""

    svg: str
    caption: str
    wide: bool = True
    picture: bool = False


class Section(NamedTuple):
    """A part of a page. title: without one, its tables stand for themselves. paragraphs, commands:
    (label, text) each. anchor: what a link to it names."""

    tables: Sequence[Table]
    figures: Sequence[Shown]
    title: str = ""
    anchor: str = ""
    paragraphs: Sequence[tuple[str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()


class Contents(NamedTuple):
    """What a page of many sections begins with: column heads, and rows that lead to anchors."""

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


class Saved(Protocol):
    """What a report's folder keeps in a file of its own: a network."""

    def save(self, path: Path) -> None: ...


@dataclass(frozen=True)
class Report:
    """What a command has to say, before anything is printed, drawn or written.

    name: the stem of its JSON file. document: plain JSON values, what --json prints. title, lead,
    tables: as text, for terminal and page; lead is the answer. findings: what else was found, a
    sentence or two each, which follow a page's first figure. panels, trees: figures, and labelled
    arrays by the stem of their netCDF file; called only where a folder is written. networks: by the
    stem of their file. seeds, run: what the manifest holds beside versions and arguments. sections:
    those of a page of many parts, from the panels as shown, by name; without it one section has all
    tables and panels. contents: what such a page begins with. closing: what a terminal shows last; None
    is the lead and the findings.
    """

    name: str
    title: str
    lead: str
    document: Json
    tables: Sequence[Table] = ()
    panels: Callable[[], Sequence[Panel]] = tuple
    trees: Callable[[], Mapping[str, xarray.DataTree | Groups]] = dict
    networks: Mapping[str, Saved] = field(default_factory=dict)
    seeds: Sequence[int] = ()
    run: Mapping[str, Json] = field(default_factory=dict)
    sections: Callable[[Mapping[str, Shown]], Sequence[Section]] | None = None
    contents: Contents | None = None
    closing: str | None = None
    findings: Sequence[str] = ()
