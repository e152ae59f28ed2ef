"""Time and peak memory as the work grows, one axis at a time.

    python benchmarks/growth.py [--axis length] [--quick] [--out benchmarks/results/growth.json]

Each point runs in a process of its own: seconds are the median of up to five runs after a first one
that compiles, or that first one where it takes long; memory is the largest resident size of the
process, beside what it was before the work,
when everything was imported and the data was ready. It includes what compiling takes. Training is of
an LSTM by ``autoregressive.training``, streams drawn on the device included, in milliseconds a step;
scoring has random weights, whose cost is that of trained ones.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

# Seconds after which a point is not repeated, and those of a first run that is the only one.
_ENOUGH, _LONG = 3.0, 15.0
# Place-updates (batch x length x steps) of one run of a training point.
_WORK = 200_000

Work = Callable[[], Any]


def training(batch: int, length: int, hidden: int) -> tuple[Work, int]:
    """Steps of training on streams of three symbols, T=20, and how many."""
    import jax
    import jax.numpy as jnp

    from autoregressive.optimization import Optimization
    from autoregressive.training import make_program
    from meta_learning.learner import learner_model, make_trainer
    from meta_learning.processes import DirichletCategorical
    from meta_learning.recipes import Recipe

    steps = max(1, _WORK // (batch * length))
    model = learner_model(3, "lstm", hidden)
    recipe = Recipe("growth", steps, batch, length, Optimization(0.001))
    trainer = make_trainer(DirichletCategorical((10.0, 1.0, 1.0), 20), model, recipe)
    params = jax.tree.map(lambda leaf: leaf[None], model.init(jax.random.key(0)))
    program = make_program(trainer, steps)
    state, keys = program.place((trainer.init(params), jax.random.key(1)[None]))

    def work() -> None:
        jax.block_until_ready(program.run(state, None, keys, jnp.int32(0), jnp.int32(steps)))

    return work, steps


def streams(count: int) -> tuple[Work, int]:
    """A network and the references of alpha=(10,1,1), T=20, scored on streams of 100 symbols."""
    import jax

    from analysis.comparison.compare import compare
    from meta_learning.learner import Learner, learner_model
    from meta_learning.processes import DirichletCategorical

    process = DirichletCategorical((10.0, 1.0, 1.0), 20)
    model = learner_model(3)
    learner = Learner(model, model.init(jax.random.key(0)), 3, {})

    def work() -> None:
        compare(
            [learner.log_predictive],
            process,
            process,
            key=jax.random.key(2),
            streams=count,
            length=100,
        )

    return work, 1


def scored(count: int) -> tuple[Work, int]:
    """Random images under the packaged LSTM-32."""
    from autoregressive.images.image_set import ImageSet
    from autoregressive.pixels.network import evaluate
    from autoregressive.pixels.packaged import packaged_pixels

    packed = np.random.default_rng(0).integers(0, 256, (count, 98)).astype(np.uint8)
    network, images = packaged_pixels(), ImageSet("random", "test", packed)
    return lambda: evaluate(network, images), 1


def posteriors(missing: int, count: int) -> tuple[Work, int]:
    """A square of missing pixels in the middle of random strokes, under the packaged LSTM-32."""
    from analysis.images.inpainting import inpaint
    from autoregressive.images.masked import MaskedImages
    from autoregressive.pixels.packaged import packaged_pixels

    rng = np.random.default_rng(0)
    strokes = np.where(np.arange(784) % 9 < 3, 0.7, 0.05)
    masked = (rng.random((count, 784)) < strokes).astype(np.int8)
    masked[:, [r * 28 + c for r in range(12, 16) for c in range(12, 16)][:missing]] = -1
    network = packaged_pixels()
    return lambda: inpaint(network, MaskedImages(masked)), 1


class Axis(NamedTuple):
    """What grows. about: what the rest is. unit: of the time, a run's or a step's. values: the points;
    quick: those of --quick. make: the work of a point, and how many units it is."""

    label: str
    about: str
    unit: str
    values: tuple[int, ...]
    quick: tuple[int, ...]
    make: Callable[[int], tuple[Work, int]]


AXES: dict[str, Axis] = {
    "length": Axis(
        "symbols in a training stream",
        "a training step, batch 8, 32 units",
        "step",
        (100, 400, 1600, 6400, 20_000),
        (20, 40),
        lambda n: training(8, n, 32),
    ),
    "batch": Axis(
        "streams in a batch",
        "a training step, 100 symbols, 32 units",
        "step",
        (4, 16, 64, 256, 1024),
        (2, 4),
        lambda n: training(n, 100, 32),
    ),
    "width": Axis(
        "hidden units",
        "a training step, batch 64, 100 symbols",
        "step",
        (16, 32, 64, 128, 256, 512),
        (4, 8),
        lambda n: training(64, 100, n),
    ),
    "missing": Axis(
        "missing pixels",
        "posterior of one image",
        "run",
        (2, 4, 6, 8, 10, 12, 14),
        (1, 2),
        lambda n: posteriors(n, 1),
    ),
    "inpainted": Axis(
        "images with 4 missing pixels",
        "posteriors of images",
        "run",
        (500, 2_000, 10_000),
        (1, 2),
        lambda n: posteriors(4, n),
    ),
    "scored": Axis(
        "images",
        "likelihood of images",
        "run",
        (500, 2_000, 10_000, 40_000),
        (2, 4),
        scored,
    ),
    "streams": Axis(
        "test streams",
        "scoring a network and the references",
        "run",
        (2_500, 10_000, 40_000, 160_000),
        (10, 20),
        streams,
    ),
}


def measure(axis: str, value: int, repeats: int) -> dict[str, Any]:
    """One point, measured in this process."""
    from autoregressive.devices import take_cpu_for_two

    take_cpu_for_two()
    work, units = AXES[axis].make(value)
    before = _resident()
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    seconds = [first / units] if first > _LONG else []
    while not seconds or (
        first <= _LONG and len(seconds) < repeats and units * sum(seconds) < _ENOUGH
    ):
        start = time.perf_counter()
        work()
        seconds.append((time.perf_counter() - start) / units)
    return {
        "value": value,
        "seconds": {
            "median": statistics.median(seconds),
            "min": min(seconds),
            "max": max(seconds),
            "runs": len(seconds),
        },
        "memory_before_mib": before,
        "memory_peak_mib": _resident(),
    }


def _resident() -> float:
    """The largest resident size of this process so far, MiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 2 ** (20 if sys.platform == "darwin" else 10)


def apart(axis: str, value: int, repeats: int) -> dict[str, Any]:
    """One point, measured in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--axis",
        axis,
        "--point",
        str(value),
        "--repeats",
        str(repeats),
    ]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(found.stdout)


@click.command()
@click.option("--axis", "axes", multiple=True, type=click.Choice(list(AXES)), default=tuple(AXES))
@click.option("--point", type=int, help="Measure this value in this process, and print it.")
@click.option("--repeats", default=5, show_default=True)
@click.option("--quick", is_flag=True, help="Two small points an axis: does it run?")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    axes: tuple[str, ...], point: int | None, repeats: int, quick: bool, out: Path | None
) -> None:
    if point is not None:
        click.echo(json.dumps(measure(axes[0], point, repeats)))
        return
    from document import write

    found: dict[str, Any] = {}
    for name in axes:
        axis = AXES[name]
        points = []
        for value in axis.quick if quick else axis.values:
            points.append(apart(name, value, repeats))
            seconds, peak = points[-1]["seconds"]["median"], points[-1]["memory_peak_mib"]
            click.echo(
                f"{name} {value}: {1e3 * seconds:.3g} ms a {axis.unit}, {peak:.0f} MiB", err=True
            )
        found[name] = {
            "label": axis.label,
            "about": axis.about,
            "unit": axis.unit,
            "points": points,
        }
    write({"cores": os.cpu_count(), "axes": found}, out)


if __name__ == "__main__":
    main()
