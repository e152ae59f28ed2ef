"""``meta-learn experiments``: the coursework's four models on its three test streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.options import (
    cell_options,
    recipe_option,
    seeds_option,
    shared_options,
    streams_option,
)
from analysis.console import usage_errors
from analysis.output import finish, prepare
from analysis.progress import say, scoring_progress
from analysis.training_progress import train_with_progress

if TYPE_CHECKING:
    from meta_learning.learner import Learner
    from meta_learning.processes import DirichletCategorical

DEFAULT_OUT = Path("meta-learn-experiments")

_EXAMPLES = """\
Examples:

\b
  meta-learn experiments
  meta-learn experiments --recipe coursework --out coursework
"""


@click.command(epilog=_EXAMPLES)
@recipe_option
@click.option("--budget", type=click.IntRange(1), help="Training symbols.  [6,400,000]")
@cell_options
@seeds_option("Networks of each model.")
@streams_option("Test streams of each kind.", 4_000)
@shared_options
def experiments(
    recipe: str,
    budget: int | None,
    cell: str,
    hidden: int,
    seeds: int,
    streams: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train M1 to M4 and compare them on the three test streams.

    M1, M2: alpha=(10,1,1) with T=5 and T=20. M3, M4: alpha=(1.3,1.3,1.3) with T=5 and T=20. Every
    model is scored on (1) tasks from Dirichlet(10,1,1), (2) from Dirichlet(1.3,1.3,1.3) and (3) tasks
    whose p is always (1,0,0), at its own T. The report goes to --out (default:
    ./meta-learn-experiments).
    """
    from analysis.coursework.experiments import run_experiments
    from analysis.coursework.experiments_page import make_report, show
    from meta_learning.recipes import make_recipe

    with usage_errors():
        made = make_recipe(recipe, budget=budget)
    out = out or (None if as_json else DEFAULT_OUT)
    prepare(out)

    def train(name: str, process: DirichletCategorical) -> list[Learner]:
        if not quiet:
            say(f"{name}: alpha={show(process.alpha)}, T={process.T}")
        return train_with_progress(process, made, cell, hidden, range(seed, seed + seeds), quiet)

    with scoring_progress(quiet):
        scored = run_experiments(train, seed, streams)
    finish(make_report(scored, seed), out, as_json)
