"""``meta-learn papers``: numbers of published papers, measured again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.options import shared_options
from analysis.console import usage_errors
from analysis.output import finish, prepare, print_json, print_tables
from analysis.progress import say, scoring_progress
from analysis.training_progress import train_with_progress

if TYPE_CHECKING:
    from meta_learning.learner import Learner
    from meta_learning.processes import Process
    from meta_learning.recipes import Recipe

_EXAMPLES = """\
Examples:

\b
  meta-learn papers
  meta-learn papers shai-2024 --quick
  meta-learn papers shai-2024 --out shai
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name", required=False)
@click.option("--quick", is_flag=True, help="A smaller size: two minutes at most.")
@shared_options
def papers(
    name: str | None, quick: bool, seed: int, out: Path | None, quiet: bool, as_json: bool
) -> None:
    """What do published figures come to here?

    Without NAME: the papers, and with --json the numbers that they give. With NAME: the paper's setting,
    as far as it is published, is measured again; its number, ours with a 95% interval, whether they
    agree, what was assumed and what differs. The report goes to --out (default: ./meta-learn-NAME).
    A run takes up to half an hour on two cores; finished networks are cached.
    """
    from analysis.papers.page import make_list, make_report
    from analysis.papers.paper import How
    from analysis.papers.registry import load_paper, load_papers
    from analysis.papers.results import entry

    if name is None:
        if quick or out is not None:
            raise click.UsageError("--quick and --out need the NAME of a paper: meta-learn papers")
        every = load_papers()
        document, tables = make_list(every, [entry(paper) for paper in every])
        if as_json:
            print_json(document)
        else:
            print_tables("Published figures, measured again", tables, "meta-learn papers NAME")
        return
    with usage_errors():
        paper = load_paper(name)
    out = out or (None if as_json else Path(f"meta-learn-{name}"))
    prepare(out)
    # Off a terminal a paper's own lines say how far it is.
    silent = quiet or not sys.stderr.isatty()

    def train(
        process: Process, recipe: Recipe, cell: str, hidden: int, seeds: Sequence[int]
    ) -> list[Learner]:
        return train_with_progress(process, recipe, cell, hidden, seeds, silent)

    how = How(quick, seed, train, (lambda line: None) if quiet else say)
    with scoring_progress(silent):
        found = entry(paper, paper.run(how), how)
    finish(make_report(paper, found), out, as_json)
