"""``meta-learn experiments``: the coursework's four models on its three test streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.options import cell_options, shared_options
from analysis.console import arguments, command_line, prepare, print_results
from analysis.report.formats import no_share, percent

if TYPE_CHECKING:
    from analysis.comparison.compare import Comparison
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
@click.option("--recipe", default="default", show_default=True, metavar="NAME",
              help="How to train: default or coursework.")  # fmt: skip
@click.option("--budget", type=click.IntRange(1), help="Training symbols.  [6,400,000]")
@cell_options
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1, 1000),
              help="Networks of each model.")  # fmt: skip
@click.option("--streams", default=4_000, show_default=True, type=click.IntRange(2),
              help="Test streams of each kind.")  # fmt: skip
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
    from analysis.commands.networks import train_with_progress
    from analysis.comparison.results import document, estimate_all
    from analysis.coursework import experiments_page as pages
    from meta_learning.experiments import EXPERIMENTS
    from meta_learning.recipes import make_recipe

    if out is None and not as_json:
        out = DEFAULT_OUT
    prepare(out)
    made = make_recipe(recipe, budget=budget)
    learners: dict[str, list[Learner]] = {}
    comparisons: dict[str, dict[str, Comparison]] = {}
    found: dict[str, dict[str, Any]] = {}
    for name, process in EXPERIMENTS.items():
        if not quiet:
            click.echo(f"{name}: alpha={pages.show(process.alpha)}, T={process.T}", err=True)
        learners[name] = train_with_progress(
            process, made, cell, hidden, range(seed, seed + seeds), quiet
        )
        comparisons[name] = on_test_streams(learners[name], process, seed, streams)
        found[name] = {key: document(c, estimate_all(c)) for key, c in comparisons[name].items()}
    if out is not None:
        _write(out, comparisons, found, learners, seed)
    title = "The coursework's four models and three test streams"
    print_results(found, as_json, title, pages.tables(found), out)


def on_test_streams(
    learners: list[Learner], process: DirichletCategorical, seed: int, streams: int
) -> dict[str, Comparison]:
    """One model's networks on the three test streams at its own T, by the streams' names."""
    from analysis.comparison.learners import compare_learners
    from meta_learning.experiments import TEST_STREAMS

    return {
        key: compare_learners(learners, process, process, stream.make(process.T), seed, streams)
        for key, stream in TEST_STREAMS.items()
    }


def _write(
    out: Path,
    comparisons: dict[str, dict[str, Comparison]],
    found: dict[str, dict[str, Any]],
    learners: dict[str, list[Learner]],
    seed: int,
) -> None:
    from analysis.comparison.results import to_datatree
    from analysis.coursework import experiments_page as pages
    from analysis.report.publish import manifest, write_json, write_netcdf, write_page
    from meta_learning.experiments import OWN_STREAM

    for name, group in learners.items():
        for learner in group:
            learner.save(out / f"{name}-seed{learner.settings['seed']}.safetensors")
        for key, comparison in comparisons[name].items():
            write_netcdf(
                out / f"{name}-stream{key}.nc",
                to_datatree(comparison, group),
            )
    seeds = next(iter(comparisons.values()))["1"].seeds
    run = manifest(arguments(), seeds, test_seed=seed)
    write_json(out / "experiments.json", found)
    write_json(out / "manifest.json", run)
    own = {name: found[name][OWN_STREAM[name]] for name in found}
    shares = ", ".join(
        f"{name} {percent(numbers['gap_closed']['mean'], no_share(numbers))}"
        for name, numbers in own.items()
    )
    write_page(
        out,
        title="The coursework's four models and three test streams",
        lead=f"Share of the gap between a memoryless predictor and Bayes that is closed: {shares}.",
        tables=pages.tables(found),
        panels=pages.panels(comparisons, learners),
        command=command_line(),
        run=run,
    )
