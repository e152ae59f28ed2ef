"""Seconds and values of the exact gap: alpha=(10,1,1), the default network trained at T=20.

    python benchmarks/exact_gap.py --T 12 --T 20 --out benchmarks/results/exact-gap.json

The network is taken from the cache or trained first, which is not timed. Nothing of an earlier walk is
gone on from. Compiling is timed. Beside them, untimed: what 2,000 sampled tasks say of the gap from
the initial state and of what is carried over RESET, with 95% intervals.

    python benchmarks/exact_gap.py --draws 13 --out benchmarks/results/exact-gap-processes.json

instead: nanoseconds a history of every process, K=3, beside those of Dirichlet on as many draws, one
after the other in turns so that what else the machine does falls on both; the least of five of each, and
the median of their ratios. Nothing is compiled in what is timed; the network has its initial weights.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import statistics
import time
from pathlib import Path
from typing import Any

import click
import jax
from document import write

from analysis.audit.carry_over import carry_over
from analysis.audit.exact_gap import cost, exact_gap
from autoregressive.cache import cache_folder
from meta_learning.learner import Learner, learner_model
from meta_learning.processes import (
    ChangePoints,
    DirichletCategorical,
    FixedCategorical,
    HiddenMarkov,
    MarkovChain,
    Mess3,
    Mixture,
    Process,
    TaskPool,
)
from meta_learning.recipes import make_recipe
from meta_learning.training import train

ALPHA, TRAINED_AT = (10.0, 1.0, 1.0), 20


def network() -> Learner:
    """The default recipe's LSTM-32, seed 0."""
    process = DirichletCategorical(ALPHA, TRAINED_AT)
    return train(process, make_recipe("default"), folder=cache_folder())[0]


def measure(learner: Learner, T: int, tasks: int = 2_000) -> dict[str, Any]:
    """One exact gap, from nothing compiled. tasks: sampled ones."""
    process = DirichletCategorical(ALPHA, T)
    jax.clear_caches()
    start = time.perf_counter()
    told = cost(learner, process)
    compiled = time.perf_counter()
    found = exact_gap(learner, process)
    end = time.perf_counter()
    carried = carry_over(learner, process, key=jax.random.key(0), tasks=tasks)
    return {
        "T": T,
        **found.document(),
        "seconds": {
            "whole": end - start,
            "cost_and_compiling": compiled - start,
            "told": told.seconds,
        },
        "histories_per_second": found.nodes / (end - compiled),
        "monte_carlo": {
            "tasks": carried.tasks,
            "gap": dataclasses.asdict(carried.fresh),
            "past_tasks": carried.past_tasks,
            "carry_over": dataclasses.asdict(carried.mean),
        },
        "bytes_told": told.bytes,
        "peak_resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def processes(draws: int) -> dict[str, Process]:
    """One of each that has three symbols, of tasks with so many draws."""
    T = draws + 1
    return {
        "mess3": Mess3(T=T),
        "markov-chain": MarkovChain((1.0, 1.0, 1.0), T),
        "hidden-markov": HiddenMarkov(T=T),
        "change-points": ChangePoints(),
        "fixed-categorical": FixedCategorical((0.2, 0.3, 0.5), T),
        "mixture": Mixture(T=T),
        "task-pool": TaskPool(T=T),
    }


def pace(learner: Learner, process: Process, draws: int) -> float:
    """Nanoseconds a history."""
    start = time.perf_counter()
    found = exact_gap(learner, process, draws=draws)
    return (time.perf_counter() - start) * 1e9 / found.nodes


def pair(learner: Learner, process: Process, draws: int, times: int = 5) -> dict[str, float]:
    """A process beside Dirichlet, in turns."""
    dirichlet = DirichletCategorical(ALPHA, draws + 1)
    turns = [
        (pace(learner, process, draws), pace(learner, dirichlet, draws)) for _ in range(times + 1)
    ][1:]
    own, beside = zip(*turns, strict=True)
    return {
        "ns_a_history": min(own),
        "dirichlet_ns_a_history": min(beside),
        "ratio": statistics.median(a / b for a, b in turns),
    }


@click.command()
@click.option("--T", "lengths", type=int, multiple=True, default=(12,), show_default=True)
@click.option("--draws", type=int, help="Every process on so many draws instead.")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(lengths: tuple[int, ...], draws: int | None, out: Path | None) -> None:
    if draws is not None:
        model = learner_model(3, "lstm", 32)
        initial = Learner(model, model.init(jax.random.key(0)), 3, {})
        paces = {name: pair(initial, p, draws) for name, p in processes(draws).items()}
        write({"draws": draws, "cell": "lstm", "hidden": 32, "processes": paces}, out)
        return
    learner = network()
    results = {
        "alpha": list(ALPHA),
        "network": {k: learner.settings[k] for k in ("cell", "hidden", "recipe", "seed")},
        "trained_at_T": TRAINED_AT,
        "cores": os.cpu_count(),
        "runs": [measure(learner, T) for T in lengths],
    }
    write(results, out)


if __name__ == "__main__":
    main()
