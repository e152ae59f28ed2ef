"""``meta-learn sweep``: networks over a grid of settings, each as far from Bayes as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from analysis.commands.networks import key_and_value
from analysis.commands.options import (
    ALPHA,
    TASK_LENGTH,
    MemberOption,
    recipe_option,
    seeds_option,
    shared_options,
    streams_option,
    targets_option,
    worker_options,
)
from analysis.console import usage_errors
from analysis.output import finish, prepare

DEFAULT_OUT = Path("meta-learn-sweep")

_EXAMPLES = """\
Examples:

\b
  meta-learn sweep --alpha 10,1,1 --alpha 1,1,1 --T 5 --T 20 --iterations 2000
  meta-learn sweep --alpha 1,1 --T 9 --hidden 8 --hidden 32 --seeds 3 --out widths
  meta-learn sweep --alpha 1,1,1 --T 20 --cell lstm --cell gru --workers 2
  meta-learn sweep --process change-points --param hazard=0.02 --param hazard=0.1
"""


@click.command(epilog=_EXAMPLES)
@click.option(
    "--process",
    "processes",
    cls=MemberOption,
    registers="process",
    multiple=True,
    default=("dirichlet-categorical",),
    show_default=True,
    metavar="NAME",
    help="What makes the streams. *",
)
@click.option(
    "--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the process. *"
)
@click.option(
    "--alpha",
    "alphas",
    type=ALPHA,
    multiple=True,
    help="Prior of the tasks, one entry a symbol: 10,1,1. *",
)
@click.option(
    "--T",
    "task_lengths",
    type=TASK_LENGTH,
    multiple=True,
    help="Task length, RESET included; inf for no RESET. *",
)
@click.option(
    "--cell",
    "cells",
    cls=MemberOption,
    registers="cell",
    multiple=True,
    default=("lstm",),
    show_default=True,
    metavar="NAME",
    help="lstm, gru, mingru, lru, mamba, transformer, transformer-rotary or -unplaced. *",
)
@click.option(
    "--hidden",
    "widths",
    multiple=True,
    default=(32,),
    show_default=True,
    type=click.IntRange(1, 4096),
    help="Hidden units. *",
)
@click.option("--iterations", multiple=True, type=click.IntRange(1), help="Training iterations. *")
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=click.IntRange(1),
    help="Training symbols, instead of iterations. *  [6,400,000]",
)
@recipe_option
@click.option("--batch-size", type=click.IntRange(1), help="Streams an iteration.")
@click.option("--unroll", type=click.IntRange(1), help="Symbols a stream.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@targets_option
@seeds_option("Networks at each point of the grid, with seeds from --seed on.")
@streams_option("Test streams of each point.")
@shared_options
@worker_options
def sweep(
    processes: tuple[str, ...],
    params: tuple[str, ...],
    alphas: tuple[tuple[float, ...], ...],
    task_lengths: tuple[float, ...],
    cells: tuple[str, ...],
    widths: tuple[int, ...],
    iterations: tuple[int, ...],
    budgets: tuple[int, ...],
    recipe: str,
    batch_size: int | None,
    unroll: int | None,
    learning_rate: float | None,
    targets: str | None,
    seeds: int,
    streams: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    scheduler: str | None,
    workers: int | None,
) -> None:
    """How does the gap to Bayes depend on the process, the network and its training?

    Options marked * can be given again: the grid is every combination of their values. At each point
    of it --seeds networks are trained in one compiled program and compared with exact Bayes, as
    meta-learn compare does. What is done is kept in the cache: a sweep that was stopped, or that grew,
    measures only what is missing. The report goes to --out (default: ./meta-learn-sweep).
    """
    from analysis.sweep.grid import make_grid, make_recipes
    from analysis.sweep.page import make_report
    from analysis.sweep.run import sweep_with_progress

    with usage_errors():
        recipes = make_recipes(
            recipe,
            iterations=iterations,
            budgets=budgets,
            batch_size=batch_size,
            unroll=unroll,
            learning_rate=learning_rate,
            targets=targets,
        )
        parameters = _parameters(params, {"alpha": alphas, "T": task_lengths})
        grid = make_grid(processes, parameters, cells, widths, recipes)
    out = out or (None if as_json else DEFAULT_OUT)
    prepare(out)
    swept = sweep_with_progress(
        grid,
        seeds=range(seed, seed + seeds),
        streams=streams,
        seed=seed,
        quiet=quiet,
        scheduler=scheduler,
        workers=workers,
    )
    finish(make_report(swept, seed), out, as_json)


def _parameters(
    params: tuple[str, ...], own: Mapping[str, Sequence[object]]
) -> dict[str, list[object]]:
    """Parameters of processes and their values, in the order of alpha, T and --param.

    own: those with options of their own. Errors: ValueError.
    """
    given = {name: list(values) for name, values in own.items() if values}
    for text in params:
        name, value = key_and_value(text)
        if own.get(name):
            raise ValueError(f"give --{name} or --param {name}=.., not both")
        given.setdefault(name, []).append(value)
    return given
