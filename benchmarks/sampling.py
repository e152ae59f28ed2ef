"""Symbols a second: one compiled call against a NumPy loop that draws task by task.

    python benchmarks/sampling.py [--repeats 7] [--out FILE]

Both draw streams of alpha=(10,1,1), T=20 in one run, in turn; medians and their ratio.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import click
import jax
import numpy as np
from document import write

from meta_learning import DirichletCategorical

ALPHA, T, STREAMS, LENGTH = (10.0, 1.0, 1.0), 20, 10_000, 100
# The loop is slow: it draws fewer streams, and its rate does not depend on how many.
LOOP_STREAMS = 500


def numpy_loop(rng: np.random.Generator) -> np.ndarray:
    """The same streams, a task at a time, as a plain NumPy program draws them."""
    out = np.empty((LOOP_STREAMS, LENGTH), np.int32)
    for stream in out:
        for start in range(0, LENGTH, T):
            p = rng.dirichlet(ALPHA)
            stream[start : start + T - 1] = rng.choice(len(ALPHA), T - 1, p=p)
            stream[start + T - 1] = len(ALPHA)
    return out


@click.command()
@click.option("--repeats", default=7, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(repeats: int, out: Path | None) -> None:
    process = DirichletCategorical(ALPHA, T)
    rng = np.random.default_rng(0)
    rates: dict[str, list[float]] = {"compiled": [], "numpy_loop": []}
    jax.block_until_ready(process.sample(jax.random.key(0), STREAMS, LENGTH))
    for repeat in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(process.sample(jax.random.key(repeat), STREAMS, LENGTH))
        rates["compiled"].append(STREAMS * LENGTH / (time.perf_counter() - start))
        start = time.perf_counter()
        numpy_loop(rng)
        rates["numpy_loop"].append(LOOP_STREAMS * LENGTH / (time.perf_counter() - start))
    pairs = zip(rates["compiled"], rates["numpy_loop"], strict=True)
    write(
        {
            "cores": os.cpu_count(),
            "symbols_per_second": {
                k: {"median": round(statistics.median(v))} for k, v in rates.items()
            },
            "ratio_median": round(statistics.median(a / b for a, b in pairs), 2),
        },
        out,
    )


if __name__ == "__main__":
    main()
