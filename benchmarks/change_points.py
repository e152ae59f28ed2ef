"""Seconds of the exact change-point predictor by the length of streams, beside plain NumPy.

    python benchmarks/change_points.py --out benchmarks/results/change-points.json

Both predict the same streams, in turn, in one process. The NumPy program is the recursion over run
lengths of Adams and MacKay (2007) in logarithms, all streams at once, and is judged by agreement.
Compiling is timed apart.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from document import write
from scipy.special import logsumexp

from meta_learning import ChangePoints

ALPHA, HAZARD = (1.0, 1.0, 1.0), 0.05
# The NumPy program is timed, and agreed with, up to this length.
NUMPY_UP_TO = 100


def adams_mackay(alpha: np.ndarray, hazard: float, symbols: np.ndarray) -> np.ndarray:
    """log p(x_t | x_<t) in nats. symbols: int (streams, L). Returns float64 (streams, L, K)."""
    streams, length = symbols.shape
    rows = np.empty((streams, length, len(alpha)))
    log_weight = np.zeros((streams, 1))  # of run lengths 0..t, shortest first
    counts = np.zeros((streams, 1, len(alpha)))
    for t in range(length):
        weights = alpha + counts
        log_p = np.log(weights) - np.log(weights.sum(-1, keepdims=True))
        rows[:, t] = logsumexp(log_weight[..., None] + log_p, axis=1)
        came = symbols[:, t, None] == np.arange(len(alpha))
        joint = log_weight + (log_p * came[:, None]).sum(-1)
        joint -= logsumexp(joint, axis=1, keepdims=True)
        changed = np.full((streams, 1), np.log(hazard))
        log_weight = np.concatenate([changed, np.log1p(-hazard) + joint], axis=1)
        counts = np.concatenate([np.zeros_like(counts[:, :1]), counts + came[:, None]], axis=1)
    return rows


class Times:
    """Seconds of calls: by the clock, and of processors, which other programs disturb less."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []

    def call(self, program: Callable[[], Any]) -> Any:
        start, cpu = time.perf_counter(), time.process_time()
        found = program()
        self.seconds.append(time.perf_counter() - start)
        self.cpu_seconds.append(time.process_time() - cpu)
        return found

    def document(self) -> dict[str, Any]:
        return {
            "seconds": statistics.median(self.seconds),
            "cpu_seconds": statistics.median(self.cpu_seconds),
            "seconds_each": self.seconds,
            "cpu_seconds_each": self.cpu_seconds,
        }


def measure(streams: int, length: int, repeats: int) -> dict[str, Any]:
    """Both programs at one length."""
    process = ChangePoints(ALPHA, HAZARD)
    symbols = np.asarray(process.sample(jax.random.key(0), streams, length))
    first, compiled, plain, apart = Times(), Times(), Times(), []
    rows = first.call(lambda: process.log_predictive(symbols))
    for _ in range(repeats):
        compiled.call(lambda: process.log_predictive(symbols))
        if length <= NUMPY_UP_TO:
            other = plain.call(lambda: adams_mackay(np.asarray(ALPHA), HAZARD, symbols))
            apart.append(float(np.abs(rows[..., :-1] - other).max()))
    found = {"length": length, **compiled.document(), "first_call_seconds": first.seconds[0]}
    found["microseconds_per_symbol"] = 1e6 * found["seconds"] / (streams * length)
    if apart:
        ratio = statistics.median(np.divide(plain.seconds, compiled.seconds).tolist())
        found["numpy"] = {
            **plain.document(),
            "seconds_over_compiled": ratio,
            "largest_difference_nats": max(apart),
        }
    return found


@click.command()
@click.option("--streams", default=10_000, show_default=True)
@click.option(
    "--length", "lengths", type=int, multiple=True, default=(50, 100, 200, 400), show_default=True
)
@click.option("--repeats", default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(streams: int, lengths: tuple[int, ...], repeats: int, out: Path | None) -> None:
    found = {
        "alpha": list(ALPHA),
        "hazard": HAZARD,
        "streams": streams,
        "cores": os.cpu_count(),
        "runs": [measure(streams, length, repeats) for length in lengths],
    }
    write(found, out)


if __name__ == "__main__":
    main()
