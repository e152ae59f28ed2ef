"""The board of architectures: how far from Bayes is which cell, where, and after how many symbols?

    python benchmarks/architectures.py --out docs/results/architectures.nc

Cells have as many parameters as LSTM-32, within 10%. A cell's learning rate is chosen once, on seeds
that no reported figure uses. The file is written anew after every square of the board, that is after
the seeds of one cell, process and number of symbols: a run that was stopped goes on after the last.
"""

from __future__ import annotations

import json
import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
import xarray as xr

from analysis.audit.exact_gap import exact_gap
from analysis.comparison.learners import compare_learners
from autoregressive.checkpoint import write_atomically
from autoregressive.versions import environment, versions
from meta_learning import processes as kinds
from meta_learning.learner import Learner, learner_model
from meta_learning.processes import Process
from meta_learning.recipes import make_recipe
from meta_learning.training import train

PROCESSES: dict[str, Process] = {
    "dirichlet": kinds.DirichletCategorical((10.0, 1.0, 1.0), 20),
    "markov-chain": kinds.MarkovChain(((5.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 5.0)), 20),
    "mess3": kinds.Mess3(),
    "rrxor": kinds.RandomRandomXor(),
    "change-points": kinds.ChangePoints((1.0, 1.0, 1.0), 0.05),
    "task-pool": kinds.TaskPool((1.0, 1.0, 1.0), 16, 0, 20),
}
CELLS = ("lstm", "gru", "mingru", "lru", "mamba", "transformer", "transformer-rotary")
REFERENCE, WITHIN = ("lstm", 32), 0.1
SYMBOLS, SEEDS = (1_600_000, 6_400_000), (0, 1, 2)
# What a cell's learning rate is chosen by.
RATES, RATE_SEED, RATE_SYMBOLS = (0.005, 0.01, 0.02, 0.04), 100, 1_600_000
RATE_PROCESSES = ("dirichlet", "mess3")
# Draws of a task without end whose histories are all walked.
DRAWS = 10


@cache
def parameters(num_symbols: int, cell: str, hidden: int) -> int:
    """How many a network has, read-out included."""
    init = learner_model(num_symbols, cell, hidden).init
    return sum(math.prod(leaf.shape) for leaf in jax.eval_shape(init, jax.random.key(0)).values())


@cache
def matched_width(num_symbols: int, cell: str) -> int:
    """The width with which a cell has as many parameters as the reference, within 10%: of those, one
    with several heads of attention before one with a single head; else the nearest."""
    wanted = parameters(num_symbols, *REFERENCE)
    # Wider cells have more: the first that has enough, and those after it that have not too many.
    hidden = (
        bisect_left(
            range(2, 256), (1 - WITHIN) * wanted, key=partial(parameters, num_symbols, cell)
        )
        + 2
    )
    ratios: dict[int, float] = {}
    while (ratio := parameters(num_symbols, cell, hidden) / wanted) <= 1 + WITHIN:
        ratios[hidden], hidden = ratio, hidden + 1

    def order(hidden: int) -> tuple[bool, float]:
        own = learner_model(num_symbols, cell, hidden).cell
        return getattr(own, "heads", 2) < 2, abs(ratios[hidden] - 1)

    return min(ratios, key=order)


def empty(symbols: Sequence[int], seeds: Sequence[int]) -> xr.Dataset:
    """A board with nothing on it. Gaps in nats a drawn symbol; seconds of one processor."""
    coords: dict[str, Sequence[Any]] = {
        "process": list(PROCESSES),
        "cell": list(CELLS),
        "symbols": list(symbols),
        "seed": list(seeds),
        "rate": list(RATES),
        "rate_process": list(RATE_PROCESSES),
    }
    square = ("process", "cell", "symbols")
    dims: dict[str, tuple[str, ...]] = {
        "gap": (*square, "seed"),
        "exact_gap": (*square, "seed"),
        "seconds": square,
        "memoryless": ("process",),
        "exact_memoryless": ("process",),
        "hidden": ("process", "cell"),
        "parameters": ("process", "cell"),
        "rate_gap": ("cell", "rate_process", "rate"),
        "learning_rate": ("cell",),
    }
    shapes = {name: [len(coords[d]) for d in of] for name, of in dims.items()}
    found = {name: (of, np.full(shapes[name], np.nan)) for name, of in dims.items()}
    return xr.Dataset(found, coords)


def load(path: Path | None, symbols: Sequence[int], seeds: Sequence[int]) -> xr.Dataset:
    """The board as far as it is done."""
    board = empty(symbols, seeds)
    if path is None or not path.exists():
        return board
    with xr.open_dataset(path, engine="h5netcdf") as found:
        kept = found.load()
    # What the file has stays, what is asked for is added.
    axes = {
        name: [*kept[name].values, *(v for v in board[name].values if v not in kept[name].values)]
        for name in board.coords
    }
    return kept.reindex(axes)


def save(board: xr.Dataset, path: Path, settings: dict[str, Any]) -> None:
    """Beside, and then renamed."""
    board.attrs = {"units": "nats", "settings": json.dumps(settings)}
    write_atomically(path, bytes(board.to_netcdf(engine="h5netcdf")))


def train_networks(
    board: xr.Dataset, process: str, cell: str, symbols: int, seeds: Sequence[int], rate: float
) -> list[Learner]:
    """The networks of one square, trained together."""
    return train(
        PROCESSES[process],
        make_recipe("default", budget=symbols, learning_rate=rate),
        seeds=seeds,
        cell=cell,
        hidden=int(board["hidden"].sel(process=process, cell=cell)),
    )


def choose_rate(board: xr.Dataset, cell: str, symbols: int, streams: int) -> Iterator[str]:
    """Measures what of the cell's rates is not on the board yet, and puts down the best one: that with
    the least mean of log gap over processes."""
    for process, rate in product(RATE_PROCESSES, RATES):
        at = {"cell": cell, "rate_process": process, "rate": rate}
        if not np.isnan(board["rate_gap"].sel(at)):
            continue
        networks = train_networks(board, process, cell, symbols, [RATE_SEED], rate)
        board["rate_gap"].loc[at] = _gaps(networks, PROCESSES[process], streams)[0][0]
        yield f"{cell} {process} rate {rate}: {float(board['rate_gap'].sel(at)):.3g}"
    logs = np.log(board["rate_gap"].sel(cell=cell)).mean("rate_process")
    board["learning_rate"].loc[{"cell": cell}] = float(logs.idxmin("rate"))


def measure(board: xr.Dataset, process: str, cell: str, symbols: int, streams: int) -> str:
    """Trains and scores one square."""
    source, at = PROCESSES[process], {"process": process, "cell": cell, "symbols": symbols}
    seeds = [int(seed) for seed in board["seed"]]
    rate = float(board["learning_rate"].sel(cell=cell))
    start = time.process_time()
    networks = train_networks(board, process, cell, symbols, seeds, rate)
    seconds = (time.process_time() - start) / len(seeds)
    gaps, memoryless = _gaps(networks, source, streams)
    board["memoryless"].loc[{"process": process}] = memoryless
    if math.isinf(source.task_length):
        exact = [exact_gap(network, source, draws=DRAWS) for network in networks]
        board["exact_gap"].loc[at] = [found.gap for found in exact]
        board["exact_memoryless"].loc[{"process": process}] = exact[0].memoryless
    board["seconds"].loc[at] = seconds
    board["gap"].loc[at] = gaps  # last: with it the square counts as done
    closed = 1 - np.array(gaps) / memoryless
    return f"{process} {cell} {symbols:,}: {100 * closed.round(5)} % closed, {seconds:.0f} s a seed"


def _gaps(networks: list[Learner], process: Process, streams: int) -> tuple[list[float], float]:
    """Of each network, and the memoryless predictor's."""
    found = compare_learners(networks, process, process, process, 0, streams)
    gaps = [float(scores.gap.mean()) for scores in found.networks]
    return gaps, float(found.references["memoryless"].gap.mean())


@click.command(help=__doc__)
@click.option("--cell", "cells", multiple=True, type=click.Choice(CELLS), help="Only these.")
@click.option("--process", "only", multiple=True, type=click.Choice(list(PROCESSES)))
@click.option("--symbols", multiple=True, type=int, default=SYMBOLS, show_default=True)
@click.option("--seeds", default=len(SEEDS), show_default=True)
@click.option("--rate-symbols", default=RATE_SYMBOLS, show_default=True)
@click.option("--streams", default=4_000, show_default=True, help="Test streams.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The netCDF file.")
def main(
    cells: tuple[str, ...],
    only: tuple[str, ...],
    symbols: tuple[int, ...],
    seeds: int,
    rate_symbols: int,
    streams: int,
    out: Path,
) -> None:
    cells, only = cells or CELLS, only or tuple(PROCESSES)
    board = load(out, symbols, range(seeds))
    settings = {
        "processes": {name: {"name": p.name, **p.settings()} for name, p in PROCESSES.items()},
        "streams": streams,
        "rate_symbols": rate_symbols,
        "rate_seed": RATE_SEED,
        "draws": DRAWS,
        "versions": versions(),
        **environment(),
    }

    def keep(line: str) -> None:
        save(board, out, settings)
        jax.clear_caches()  # no two squares share a program
        click.echo(line)

    for (name, process), cell in product(PROCESSES.items(), CELLS):
        at = {"process": name, "cell": cell}
        board["hidden"].loc[at] = hidden = matched_width(process.num_symbols, cell)
        board["parameters"].loc[at] = parameters(process.num_symbols, cell, hidden)
    for cell in cells:
        for line in choose_rate(board, cell, rate_symbols, streams):
            keep(line)
    for many, name, cell in product(sorted(symbols), only, cells):
        at = {"process": name, "cell": cell, "symbols": many}
        if np.isnan(board["gap"].sel(at)).any():
            keep(measure(board, name, cell, many, streams))


if __name__ == "__main__":
    main()
