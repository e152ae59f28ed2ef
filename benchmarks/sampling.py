"""Symbols a second: one compiled call against a NumPy loop that draws task by task.

    python benchmarks/sampling.py

Both draw streams of alpha=(10,1,1), T=20 in one run, in turn; prints medians and their ratio.
"""

from __future__ import annotations

import json
import statistics
import time

import jax
import numpy as np

from meta_learning import DirichletCategorical

ALPHA, T, STREAMS, LENGTH, REPEATS = (10.0, 1.0, 1.0), 20, 10_000, 100, 7
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


def main() -> None:
    process = DirichletCategorical(ALPHA, T)
    rng = np.random.default_rng(0)
    rates: dict[str, list[float]] = {"compiled": [], "numpy_loop": []}
    jax.block_until_ready(process.sample(jax.random.key(0), STREAMS, LENGTH))
    for repeat in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(process.sample(jax.random.key(repeat), STREAMS, LENGTH))
        rates["compiled"].append(STREAMS * LENGTH / (time.perf_counter() - start))
        start = time.perf_counter()
        numpy_loop(rng)
        rates["numpy_loop"].append(LOOP_STREAMS * LENGTH / (time.perf_counter() - start))
    pairs = zip(rates["compiled"], rates["numpy_loop"], strict=True)
    print(
        json.dumps(
            {
                "symbols_per_second": {k: round(statistics.median(v)) for k, v in rates.items()},
                "ratio_median": round(statistics.median(a / b for a, b in pairs), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
