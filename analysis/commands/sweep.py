"""``meta-learn sweep``: networks over a grid of settings, each as far from Bayes as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.options import (
    ALPHA,
    TASK_LENGTH,
    MemberOption,
    shared_options,
    worker_options,
)
from analysis.console import finish, prepare, usage_errors

if TYPE_CHECKING:
    from analysis.sweep.grid import Grid
    from analysis.sweep.sweep import Sweep

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
@click.option("--process", "processes", cls=MemberOption, registers="process", multiple=True,
              default=("dirichlet-categorical",),
              show_default=True, metavar="NAME", help="What makes the streams. *")  # fmt: skip
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE",
              help="A parameter of the process. *")  # fmt: skip
@click.option("--alpha", "alphas", type=ALPHA, multiple=True,
              help="Prior of the tasks, one entry a symbol: 10,1,1. *")  # fmt: skip
@click.option("--T", "task_lengths", type=TASK_LENGTH, multiple=True,
              help="Task length, RESET included; inf for no RESET. *")  # fmt: skip
@click.option("--cell", "cells", cls=MemberOption, registers="cell", multiple=True,
              default=("lstm",), show_default=True, metavar="NAME",
              help="lstm, gru or transformer. *")  # fmt: skip
@click.option("--hidden", "widths", multiple=True, default=(32,), show_default=True,
              type=click.IntRange(1, 4096), help="Hidden units. *")  # fmt: skip
@click.option("--iterations", multiple=True, type=click.IntRange(1),
              help="Training iterations. *")  # fmt: skip
@click.option("--budget", "budgets", multiple=True, type=click.IntRange(1),
              help="Training symbols, instead of iterations. *  [6,400,000]")  # fmt: skip
@click.option("--recipe", default="default", show_default=True, metavar="NAME",
              help="How to train: default or coursework.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), help="Streams an iteration.")
@click.option("--unroll", type=click.IntRange(1), help="Symbols a stream.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1, 1000),
              help="Networks at each point of the grid, with seeds from --seed on.")  # fmt: skip
@click.option("--streams", default=10_000, show_default=True, type=click.IntRange(2),
              help="Test streams of each point.")  # fmt: skip
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
    from analysis.sweep.grid import make_grid
    from analysis.sweep.page import make_report

    with usage_errors():
        recipes = _recipes(recipe, iterations, budgets, batch_size, unroll, learning_rate)
        parameters = _parameters(params, {"alpha": alphas, "T": task_lengths})
        grid = make_grid(processes, parameters, cells, widths, recipes)
    out = out or (None if as_json else DEFAULT_OUT)
    prepare(out)
    every = range(seed, seed + seeds)
    swept = _run(grid, every, streams, seed, quiet, scheduler, workers)
    finish(make_report(swept, seed), out, as_json)


def _run(
    grid: Grid, seeds: range, streams: int, seed: int, quiet: bool,
    scheduler: str | None, workers: int | None,
) -> Sweep:  # fmt: skip
    """The sweep, with one bar over the whole grid and one line at its end."""
    from analysis.sweep.sweep import sweep as measure_all

    started = time.monotonic()
    with _progress(grid, quiet) as on_progress:
        found = measure_all(
            grid, seeds=seeds, streams=streams, seed=seed, keep=True,
            scheduler=scheduler, workers=workers, on_progress=on_progress,
        )  # fmt: skip
    if not quiet:
        points, anew = len(grid.points), len(grid.points) - found.found
        click.echo(
            f"sweep: {points} points of {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}, "
            f"{anew} measured in {time.monotonic() - started:.1f} s, {found.found} from the cache",
            err=True,
        )
    return found


@contextmanager
def _progress(grid: Grid, quiet: bool) -> Iterator[Callable[[float, int], None]]:
    from rich.progress import TextColumn

    from analysis.progress import meter
    from analysis.sweep.sweep import iterations

    points, total = len(grid.points), iterations(grid)
    with meter(
        "sweep", f"iterations at {points} points", quiet, TextColumn("{task.fields[points]}"),
        [TextColumn("{task.percentage:.0f}%")], measure_s=15.0, points="",
    ) as show:  # fmt: skip
        yield lambda done, ended: show(done, total, points=f"{ended}/{points} points")


def _recipes(
    name: str, iterations: tuple[int, ...], budgets: tuple[int, ...], batch_size: int | None,
    unroll: int | None, learning_rate: float | None,
) -> list[Any]:  # fmt: skip
    """A recipe for each length of training. Errors: ValueError."""
    from meta_learning.recipes import make_recipe

    if iterations and budgets:
        raise ValueError("give --iterations or --budget, not both")
    lengths: list[dict[str, int]] = [{"iterations": n} for n in iterations]
    lengths += [{"budget": n} for n in budgets]
    return [
        make_recipe(
            name, batch_size=batch_size, unroll=unroll, learning_rate=learning_rate, **length
        )
        for length in lengths or [{}]
    ]


def _parameters(params: tuple[str, ...], own: dict[str, Any]) -> dict[str, list[Any]]:
    """Parameters of processes and their values, in the order of alpha, T and --param.

    own: those with options of their own. Errors: ValueError.
    """
    from analysis.commands.networks import key_and_value

    given = {name: list(values) for name, values in own.items() if values}
    for text in params:
        name, value = key_and_value(text)
        if own.get(name):
            raise ValueError(f"give --{name} or --param {name}=.., not both")
        given.setdefault(name, []).append(value)
    return given
