"""How often 95% intervals over a few seeds hold what they are of: networks small enough to train by the
hundred, the gap of each of them exact.

    python benchmarks/seed_coverage.py --out benchmarks/results/seed-coverage.json

Groups of 3 and of 5 seeds are drawn at random from all networks of a setting. Each group gives two
intervals of the gap: Student's t on the logarithm, as every command takes it over seeds, and the t of
the gaps themselves. Counted are those that hold the geometric mean and the mean over all networks. The
share of the gap closed, with ``student_share`` and the plain t, holds 1 - either over memoryless's gap
exactly where those of the gap do: it is the gap on another scale.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from document import write

from analysis.audit.exact_gap import exact_gap
from analysis.intervals import student, student_log
from meta_learning.processes import DirichletCategorical
from meta_learning.recipes import make_recipe
from meta_learning.training import train

T, HIDDEN = 5, 8
ALPHAS = ((10.0, 1.0, 1.0), (1.3, 1.3, 1.3))
_TOGETHER = 50
_GROUPS = 20_000


def gaps(alpha: tuple[float, ...], iterations: int, seeds: int) -> np.ndarray:
    """The exact gap of each of ``seeds`` networks: (seeds,), nats a drawn symbol."""
    process = DirichletCategorical(alpha, T)
    recipe = make_recipe("coursework", iterations=iterations, batch_size=16, unroll=20)
    found: list[float] = []
    for start in range(0, seeds, _TOGETHER):
        some = range(start, min(start + _TOGETHER, seeds))
        found += [
            exact_gap(x, process).gap for x in train(process, recipe, seeds=some, hidden=HIDDEN)
        ]
    return np.array(found)


def coverage(each: np.ndarray, group: int) -> dict[str, Any]:
    """Shares of ``_GROUPS`` random groups of so many networks whose intervals hold either mean."""
    rng = np.random.default_rng(group)
    picks = np.array([rng.choice(len(each), group, replace=False) for _ in range(_GROUPS)])
    middles = {"geometric_mean": float(np.exp(np.log(each).mean())), "mean": float(each.mean())}
    out: dict[str, Any] = {"group": group}
    for name, interval in (("log_t", student_log), ("plain_t", student)):
        low, high = np.array([interval(values).ci95 for values in each[picks]], float).T
        held = {of: float(((low <= at) & (at <= high)).mean()) for of, at in middles.items()}
        out[name] = {
            "coverage": held,
            "below_zero": float((low < 0).mean()),
            "median_width": float(np.median(high - low)),
        }
    return out


def _of(alpha: tuple[float, ...], iterations: int, seeds: int) -> dict[str, Any]:
    start = time.perf_counter()
    each = gaps(alpha, iterations, seeds)
    logs = np.log(each)
    return {
        "alpha": list(alpha),
        "iterations": iterations,
        "seconds": time.perf_counter() - start,
        "gap": {
            "mean": float(each.mean()),
            "geometric_mean": float(np.exp(logs.mean())),
            "deviation_over_mean": float(each.std(ddof=1) / each.mean()),
            "deviation_of_log": float(logs.std(ddof=1)),
            "skewness_of_log": float((((logs - logs.mean()) / logs.std()) ** 3).mean()),
        },
        "groups": [coverage(each, n) for n in (3, 5) if n <= seeds],
    }


@click.command()
@click.option("--seeds", type=click.IntRange(3), default=200, show_default=True)
@click.option("--iterations", type=int, multiple=True, default=(200, 800), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(seeds: int, iterations: tuple[int, ...], out: Path | None) -> None:
    results = {
        "T": T,
        "network": {
            "cell": "lstm",
            "hidden": HIDDEN,
            "recipe": "coursework",
            "batch_size": 16,
            "unroll": 20,
        },
        "networks": seeds,
        "random_groups": _GROUPS,
        "settings": [_of(alpha, n, seeds) for alpha in ALPHAS for n in iterations],
    }
    write(results, out)


if __name__ == "__main__":
    main()
