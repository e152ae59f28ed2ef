"""``meta-learn questions``: the coursework's thought questions, answered by measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.options import shared_options
from analysis.console import arguments, command_line, prepare, print_results, usage_errors

if TYPE_CHECKING:
    from meta_learning.recipes import Recipe

DEFAULT_OUT = Path("meta-learn-questions")
# Symbols of one training iteration, whatever the unroll.
_ITERATION = 400

_EXAMPLES = """\
Examples:

\b
  meta-learn questions
  meta-learn questions --seeds 1 --budget 400000 --streams 200
"""


@click.command(epilog=_EXAMPLES)
@click.option("--budget", default=3_200_000, show_default=True, type=click.IntRange(_ITERATION),
              help="Training symbols of every network.")  # fmt: skip
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 1000),
              help="Networks of every setting.")  # fmt: skip
@click.option("--streams", default=1_000, show_default=True, type=click.IntRange(2),
              help="Test streams of each kind.")  # fmt: skip
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
    from analysis.coursework.questions_page import answers
    from analysis.report.folder import finish
    from analysis.report.publish import manifest, write_json, write_page

    if out is None and not as_json:
        out = DEFAULT_OUT
    with usage_errors():
        recipes = study_recipes(budget)
    prepare(out)
    every = range(seed, seed + seeds)
    found = {"command": command_line()} | study(recipes, budget, every, streams, quiet)
    said = answers(found)
    title = "The thought questions, measured"
    tables = [table for answer in said for table in answer.tables]
    lead = " ".join(f"{answer.question} {answer.text}" for answer in said)
    if out is not None:
        run = manifest(arguments(), list(every), test_seed=seed)
        write_json(out / "questions.json", found)
        write_page(
            out,
            title=title,
            lead=lead,
            tables=tables,
            panels=[panel for answer in said for panel in answer.panels],
            command=command_line(),
            run=run,
        )
        finish(out, run)
    print_results(found, as_json, title, tables, out, lead)


def study_recipes(budget: int) -> list[Recipe]:
    """How each setting of the study is trained. Errors: ValueError for a budget below one iteration."""
    from meta_learning.experiments import STUDY
    from meta_learning.recipes import make_recipe

    return [
        make_recipe(budget=budget, unroll=s.unroll, batch_size=_ITERATION // s.unroll)
        for s in STUDY
    ]


def study(
    recipes: Sequence[Recipe], budget: int, seeds: Sequence[int], streams: int, quiet: bool
) -> dict[str, Any]:
    """The whole study as JSON values, without the command that asked for it: what is exact, and what
    is measured of networks of every setting, trained now or found in the cache."""
    import jax

    from analysis.commands.networks import train_with_progress
    from analysis.coursework.questions import exact, measured
    from autoregressive.versions import versions
    from meta_learning.experiments import STUDY
    from meta_learning.learner import TEST

    key = jax.random.fold_in(jax.random.key(seeds[0]), TEST)
    trainings = []
    for number, (setting, recipe) in enumerate(zip(STUDY, recipes, strict=True), 1):
        if not quiet:
            click.echo(f"{number} of {len(STUDY)}: {setting.name}", err=True)
        learners = train_with_progress(setting.process, recipe, "lstm", 32, seeds, quiet)
        trainings.append(measured(setting, learners, key=key, streams=streams))
    return {
        "seeds": list(seeds),
        "budget": budget,
        "streams": streams,
        "versions": versions(),
        "exact": exact(),
        "trainings": trainings,
    }
