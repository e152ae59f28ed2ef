"""The papers by name. A new one joins by its line in ``PAPERS``; its file has ``PAPER``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.papers.paper import Paper

# name -> the module of ``analysis.papers`` that has it, imported when it is asked for
PAPERS: dict[str, str] = {
    "mikulik-2020": "mikulik_2020",
    "shai-2024": "shai_2024",
    "edelman-2024": "edelman_2024",
    "genewein-2023": "genewein_2023",
    "agarwal-2025": "agarwal_2025",
    "chlon-2025": "chlon_2025",
    "wurgaft-2025": "wurgaft_2025",
}


def load_paper(name: str) -> Paper:
    """A paper by its name. Errors: ValueError for an unknown one."""
    if name not in PAPERS:
        raise ValueError(f"unknown paper {name!r}: expected one of {', '.join(PAPERS)}")
    paper: Paper = import_module(f"analysis.papers.{PAPERS[name]}").PAPER
    return paper


def load_papers() -> list[Paper]:
    """All papers, in the order of ``PAPERS``."""
    return [load_paper(name) for name in PAPERS]
