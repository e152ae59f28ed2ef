"""Seconds to sample 10,000 test streams of every process, and to score them by every reference.

    python benchmarks/scoring.py --out benchmarks/results/scoring.json [--before FILE]

The first call compiles and is timed apart; then medians. With ``--before``, a document that this
program wrote on other code, each number comes with its ratio to the one there.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from document import write

from meta_learning import (
    ChangePoints,
    DirichletCategorical,
    FixedCategorical,
    HiddenMarkov,
    MarkovChain,
    Mixture,
    ladder,
)
from meta_learning.processes import Streams
from meta_learning.processes.places import stream_length

PROCESSES = (
    DirichletCategorical((10.0, 1.0, 1.0), 20),
    FixedCategorical((0.2, 0.3, 0.5), 20),
    ChangePoints(),
    MarkovChain(),
    Mixture(),
    HiddenMarkov(),
    HiddenMarkov(T=20),
)


def seconds(program: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Of the first call; the median and least of ``repeats`` more; and the median of processors' time,
    which other programs disturb less."""
    times, cpu = [], []
    for _ in range(repeats + 1):
        start, cpu_start = time.perf_counter(), time.process_time()
        jax.block_until_ready(program())
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    return {
        "first": times[0],
        "first_cpu": cpu[0],
        "median": statistics.median(times[1:]),
        "least": min(times[1:]),
        "cpu": statistics.median(cpu[1:]),
    }


def measure(process: Any, streams: int, repeats: int) -> dict[str, Any]:
    """Sampling, and every predictor of the ladder."""
    length = stream_length(process.task_length)

    def draw() -> Streams:
        return process.sample_with_latent(jax.random.key(0), streams, length)

    found = {"sample": seconds(draw, repeats)}
    drawn = Streams(*(np.asarray(a) for a in draw()))
    for name, reference in ladder(process, process).items():
        found[name] = seconds(lambda reference=reference: reference(drawn), repeats)
    return {"process": process.name, "T": process.settings().get("T"), "seconds": found}


def with_ratios(runs: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    """Adds to each time its ratio to the same one in ``before``, where that has it."""
    for run in runs:
        (other,) = [b for b in before if (b["process"], b["T"]) == (run["process"], run["T"])]
        for name, times in run["seconds"].items():
            if name in other["seconds"]:
                was = other["seconds"][name]
                times["ratios"] = {k: round(times[k] / was[k], 2) for k in was if k in times}


@click.command()
@click.option("--streams", default=10_000, show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--before", type=click.Path(path_type=Path), help="What was measured before.")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(streams: int, repeats: int, before: Path | None, out: Path | None) -> None:
    runs = [measure(process, streams, repeats) for process in PROCESSES]
    if before is not None:
        with_ratios(runs, json.loads(before.read_text())["runs"])
    write({"streams": streams, "runs": runs}, out)


if __name__ == "__main__":
    main()
