"""Wall time against the number of workers: an exact gap, large posteriors and a sweep.

    python benchmarks/workers.py --repeats 3 --out benchmarks/results/workers.json

0 workers is this process alone. Seconds are of a whole call, starting the workers and their first use
of compiled programs included; those of this process are compiled before, which is said apart. Rounds
go over all numbers of workers, so that each meets the same load; values are compared bit by bit. The
network of the exact gap has random weights: its time does not depend on them.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from document import write

from analysis.audit.exact_gap import exact_gap
from analysis.images.inpainting import inpaint
from analysis.sweep.grid import make_grid
from analysis.sweep.results import document
from analysis.sweep.sweep import sweep
from autoregressive.images.masked import MaskedImages
from autoregressive.pixels.inpainting import cost
from autoregressive.pixels.packaged import packaged_pixels
from meta_learning.learner import Learner, learner_model
from meta_learning.processes import DirichletCategorical
from meta_learning.recipes import make_recipe

Measured = Callable[[int], bytes]


def walk(T: int) -> tuple[dict[str, Any], Measured]:
    """The exact gap of an LSTM-32."""
    process = DirichletCategorical((10.0, 1.0, 1.0), T)
    model = learner_model(3, "lstm", 32)
    learner = Learner(model, model.init(jax.random.key(0)), 3, {})

    def run(workers: int) -> bytes:
        return exact_gap(learner, process, workers=workers or None).by_position.tobytes()

    return {"work": "exact gap", "T": T, "histories": (3 ** (T - 1) - 1) // 2}, run


def posteriors(missing: int, images: int) -> tuple[dict[str, Any], Measured]:
    """A square of missing pixels in the middle of random strokes."""
    network = packaged_pixels()
    rng = np.random.default_rng(0)
    masked = (rng.random((images, 784)) < np.where(np.arange(784) % 9 < 3, 0.7, 0.05)).astype(int)
    places = [r * 28 + c for r in range(12, 16) for c in range(12, 16)][:missing]
    masked[:, places] = -1

    def run(workers: int) -> bytes:
        found = inpaint(network, MaskedImages(masked.astype(np.int8)), workers=workers or None)
        return np.concatenate([r.log_marginals for r in found.images]).tobytes()

    return {
        "work": "in-painting",
        "missing": missing,
        "images": images,
        "cell_steps": cost(masked),
    }, run


def trainings(iterations: int, streams: int) -> tuple[dict[str, Any], Measured]:
    """A sweep over two cells and two widths, nothing kept."""
    grid = make_grid(
        ["dirichlet-categorical"],
        {"alpha": ["10,1,1"], "T": ["20"]},
        ["lstm", "gru"],
        [16, 32],
        [make_recipe(iterations=iterations)],
    )

    def run(workers: int) -> bytes:
        found = sweep(grid, seeds=(0, 1), streams=streams, workers=workers or None)
        return json.dumps(document(found)).encode()

    return {
        "work": "sweep",
        "points": len(grid.points),
        "iterations": iterations,
        "streams": streams,
    }, run


def measure(
    about: dict[str, Any], run: Measured, numbers: tuple[int, ...], repeats: int
) -> dict[str, Any]:
    """Seconds of every number of workers, and whether all found the same bits."""
    start = time.perf_counter()
    expected = run(0)
    first = time.perf_counter() - start
    seconds: dict[int, list[float]] = {n: [] for n in numbers}
    same = True
    for _ in range(repeats):
        for n in numbers:
            start = time.perf_counter()
            found = run(n)
            seconds[n].append(time.perf_counter() - start)
            same = same and found == expected
    return {
        **about,
        "first_in_process": first,
        "seconds": seconds,
        "median": {n: statistics.median(values) for n, values in seconds.items()},
        "same_bits": same,
    }


@click.command()
@click.option("--workers", "numbers", type=int, multiple=True, default=(0, 1, 2, 4))
@click.option("--repeats", default=3, show_default=True)
@click.option("--T", "T", default=17, show_default=True, help="Of the exact gap.")
@click.option("--missing", default=12, show_default=True)
@click.option("--images", default=40, show_default=True)
@click.option(
    "--iterations", default=2_000, show_default=True, help="Of each network of the sweep."
)
@click.option("--streams", default=4_000, show_default=True, help="Test streams of the sweep.")
@click.option("--only", type=click.Choice(["gap", "in-painting", "sweep"]))
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    numbers: tuple[int, ...],
    repeats: int,
    T: int,
    missing: int,
    images: int,
    iterations: int,
    streams: int,
    only: str | None,
    out: Path | None,
) -> None:
    works = {
        "gap": lambda: walk(T),
        "in-painting": lambda: posteriors(missing, images),
        "sweep": lambda: trainings(iterations, streams),
    }
    with tempfile.TemporaryDirectory() as folder:
        # As the commands do: compiled programs are kept, so that each worker does not make its own.
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        load = os.getloadavg()
        runs = [
            measure(*work(), numbers, repeats)
            for name, work in works.items()
            if only in (None, name)
        ]
    results = {
        "cores": os.cpu_count(),
        "load_before": load,
        "load_after": os.getloadavg(),
        "runs": runs,
    }
    write(results, out)


if __name__ == "__main__":
    main()
