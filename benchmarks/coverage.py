"""How often our own 95% intervals hold the exact gap: 1,000 independent Monte Carlo estimates at T=8.

    python benchmarks/coverage.py --out benchmarks/results/coverage.json

The default network for alpha=(10,1,1), trained at T=20, from the cache or trained first. An estimate
scores streams of one task each, as ``meta-learn compare`` does, and takes the same interval. Coverage
of the gap and of the share of the gap closed, at several numbers of streams an estimate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from document import write
from exact_gap import ALPHA, TRAINED_AT, network

from analysis.audit.exact_gap import exact_gap
from analysis.comparison.compare import compare
from analysis.intervals import Estimate, estimates
from meta_learning.processes import DirichletCategorical

NEEDED = ("bayes", "memoryless", "oracle")


def coverage(learner: Any, T: int, streams: int, repeats: int, truth: dict[str, float]) -> Any:
    """Of ``repeats`` intervals from ``streams`` tasks each: shares that hold the exact values."""
    process = DirichletCategorical(ALPHA, T)
    made: dict[str, list[Estimate]] = {name: [] for name in truth}
    for repeat in range(repeats):
        comparison = compare(
            [learner.log_predictive],
            process,
            process,
            key=jax.random.key(repeat),
            streams=streams,
            length=T,
            only=NEEDED,
        )
        found = estimates(
            {
                "gap": comparison.networks[0].gap,
                "memoryless": comparison.references["memoryless"].gap,
            },
            {
                "gap": lambda mean: mean["gap"],
                "gap_closed": lambda mean: 1 - mean["gap"] / mean["memoryless"],
            },
        )
        for name in truth:
            made[name].append(found[name])
    return {"streams": streams, **{n: _counted(made[n], exact) for n, exact in truth.items()}}


def _counted(made: list[Estimate], exact: float) -> dict[str, float]:
    means, low, high = np.array([[e.mean, e.low, e.high] for e in made], float).T
    held = (low <= exact) & (exact <= high)
    return {
        "exact": exact,
        "coverage": float(held.mean()),
        "standard_error": float(np.sqrt(held.mean() * (1 - held.mean()) / len(held))),
        "interval_below": float((high < exact).mean()),
        "interval_above": float((low > exact).mean()),
        "mean_of_estimates": float(means.mean()),
        "standard_error_of_that_mean": float(means.std(ddof=1) / np.sqrt(len(means))),
        "mean_width": float((high - low).mean()),
    }


@click.command()
@click.option("--T", "task_length", type=int, default=8, show_default=True)
@click.option("--streams", type=int, multiple=True, default=(1_000, 10_000), show_default=True)
@click.option("--repeats", type=int, default=1_000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(task_length: int, streams: tuple[int, ...], repeats: int, out: Path | None) -> None:
    learner = network()
    found = exact_gap(learner, DirichletCategorical(ALPHA, task_length))
    truth = {"gap": found.gap, "gap_closed": found.gap_closed}
    results = {
        "alpha": list(ALPHA),
        "T": task_length,
        "network": {k: learner.settings[k] for k in ("cell", "hidden", "recipe", "seed")},
        "trained_at_T": TRAINED_AT,
        "estimates": repeats,
        "by_streams": [coverage(learner, task_length, n, repeats, truth) for n in streams],
    }
    write(results, out)


if __name__ == "__main__":
    main()
