"""Is the future that the default network implies calibrated? Repeated tests, and one of many tasks.

    python benchmarks/calibration.py --out benchmarks/results/calibration.json

The default network for alpha=(10,1,1), trained at T=20, from the cache or trained first. A calibrated
predictor's p-values are below 0.05 in 5% of the repeats at most.
"""

from __future__ import annotations

from pathlib import Path

import click
import jax
from document import write
from exact_gap import ALPHA, TRAINED_AT, network

from analysis.audit.calibration import measure_calibration
from meta_learning.processes import DirichletCategorical


@click.command()
@click.option("--repeats", default=20, show_default=True, help="Tests of 1,000 tasks.")
@click.option("--tasks", default=20_000, show_default=True, help="Tasks of the one long test.")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(repeats: int, tasks: int, out: Path | None) -> None:
    learner, process = network(), DirichletCategorical(ALPHA, TRAINED_AT)
    runs = [measure_calibration(learner, process, key=jax.random.key(n)) for n in range(repeats)]
    many = measure_calibration(learner, process, key=jax.random.key(0), tasks=tasks)
    results = {
        **process.settings(),
        "network": {k: learner.settings[k] for k in ("cell", "hidden", "recipe", "seed")},
        "repeats": repeats,
        "p_values": {name: [run.p_value(name) for run in runs] for name in many.predictors},
        "many_tasks": many.document(),
    }
    write(results, out)


if __name__ == "__main__":
    main()
