"""``meta-learn questions``: the coursework's thought questions, answered by measurement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.options import seeds_option, shared_options, streams_option
from analysis.console import usage_errors
from analysis.output import command_line, finish, prepare
from analysis.progress import say, scoring_progress
from analysis.training_progress import train_with_progress

if TYPE_CHECKING:
    from meta_learning.experiments import Setting
    from meta_learning.learner import Learner
    from meta_learning.recipes import Recipe

DEFAULT_OUT = Path("meta-learn-questions")

_EXAMPLES = """\
Examples:

\b
  meta-learn questions
  meta-learn questions --seeds 1 --budget 400000 --streams 200
"""


@click.command(epilog=_EXAMPLES)
@click.option(
    "--budget",
    default=3_200_000,
    show_default=True,
    type=click.IntRange(400),
    help="Training symbols of every network.",
)
@seeds_option("Networks of every setting.", 3)
@streams_option("Test streams of each kind.", 1_000)
@shared_options
def questions(
    budget: int,
    seeds: int,
    streams: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """What is learnt, and how does it depend on prior, T and unroll?

    Trains LSTMs over priors (10,1,1), (1.3,1.3,1.3), (1.1,1.1,1.1), T of 1, 5, 20, 50 and inf, and
    unrolls of 5, 20 and 100, all with the same number of training symbols, and answers the coursework's
    thought questions with measured figures. Takes about a quarter of an hour on two cores; finished
    networks are cached. The report goes to --out (default: ./meta-learn-questions).
    """
    from analysis.coursework.questions import study, study_recipes
    from analysis.coursework.questions_page import make_report

    with usage_errors():
        recipes = study_recipes(budget)
    out = out or (None if as_json else DEFAULT_OUT)
    prepare(out)
    every = range(seed, seed + seeds)

    def train(number: int, of: int, setting: Setting, recipe: Recipe) -> list[Learner]:
        if not quiet:
            say(f"{number} of {of}: {setting.name}")
        return train_with_progress(setting.process, recipe, "lstm", 32, every, quiet)

    with scoring_progress(quiet):
        measured = study(train, recipes, budget, every, streams)
    numbers = {"command": command_line()} | measured
    finish(make_report(numbers), out, as_json)
