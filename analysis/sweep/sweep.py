"""All points of a grid: networks are trained, scored as by ``compare``, and kept.

Every point is one task: its seeds are trained in one compiled program, and its result is small. A sweep
that was stopped goes on where it was, to the same bits: points that are done are found in the cache, and
the one in training goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from jaxtyping import Shaped

from analysis import extensions
from analysis.comparison.metrics import METRICS
from analysis.report.report import Document
from analysis.report.views import Viewed
from analysis.sweep.grid import Grid, Point
from analysis.workers import each_result
from autoregressive import checkpoint
from autoregressive.cache import cache_folder
from autoregressive.checkpoint import CheckpointError, settings_digest
from autoregressive.pace import TRAINING, listen
from autoregressive.resume import warn_if_unwritable
from autoregressive.training import TrainingDiverged
from autoregressive.versions import versions
from meta_learning import training

if TYPE_CHECKING:
    import xarray

log = logging.getLogger(__name__)

# By group and variable, "network/gap".
Arrays = dict[str, Shaped[np.ndarray, "..."]]
OnProgress = Callable[[float, int], None]


class Task(NamedTuple):
    """What is measured at one point. seeds: of the networks. streams, seed: number and seed of the test
    streams. keep: whether networks are found and kept in the cache."""

    point: Point
    seeds: tuple[int, ...]
    streams: int
    seed: int
    keep: bool


class Result(NamedTuple):
    """What was measured at one point.

    document: as ``compare --json`` has it; where training diverged only settings, and the error as
    ``failed``. estimates: mean, low and high by the names of ``estimates.estimate_all``. arrays: means
    over test streams by seed or predictor, and learning curves. dims: of each array.
    """

    document: Document
    estimates: dict[str, list[float | None]]
    arrays: Arrays
    dims: dict[str, list[str]]


@dataclass(frozen=True, repr=False)
class Sweep(Viewed):
    """results: one for each point of ``grid``, in its order. cached: how many were in the cache."""

    grid: Grid
    seeds: tuple[int, ...]
    streams: int
    results: list[Result]
    cached: int

    def __repr__(self) -> str:
        return f"<Sweep of {len(self.results)} points, seeds {list(self.seeds)}>"


def sweep(
    grid: Grid,
    *,
    seeds: Sequence[int] = (0,),
    streams: int = 10_000,
    seed: int = 0,
    keep: bool = False,
    scheduler: str | None = None,
    workers: int | None = None,
    on_progress: OnProgress = lambda iterations, points: None,
) -> Sweep:
    """Trains and scores ``len(seeds)`` networks at every point.

    streams: test streams of each point, drawn with the test key of ``seed``. keep: whether results are
    found and kept in ``cache_folder()``, and networks in that of the process that trains them.
    scheduler, workers: where else points are measured (``analysis.workers``). on_progress: called with
    the iterations done, of ``iterations(grid)``, and the points done.
    Errors: ValueError for fewer than 2 streams; TrainingDiverged where every point diverged; those of
    ``analysis.workers.run_tasks``.
    """
    if streams < 2:
        raise ValueError(f"an interval needs 2 or more test streams; got {streams}")
    folder = cache_folder() if keep else None
    tasks = [Task(point, tuple(seeds), streams, seed, keep) for point in grid.points]
    results = [_find(folder, task) for task in tasks]
    missing = [n for n, result in enumerate(results) if result is None]
    cached = len(tasks) - len(missing)
    ended = [n for n, result in enumerate(results) if result is not None]
    on_progress(_iterations(tasks, ended), len(ended))

    here = not missing or (scheduler is None and workers is None)
    measured = each_result(
        measure,
        [tasks[n] for n in missing],
        scheduler=None if here else scheduler,
        workers=None if here else workers,
        one_thread=False,  # the last digits of a training depend on the number of threads
    )

    def on_iterations(done: float, total: float) -> None:
        on_progress(_iterations(tasks, ended) + done, len(ended))

    with closing(measured), listen(TRAINING, on_iterations):
        for index, result in measured:
            number = missing[index]
            results[number] = result
            _keep(folder, tasks[number], result)
            ended.append(number)
            on_progress(_iterations(tasks, ended), len(ended))
    done = [result for result in results if result is not None]
    if all("failed" in result.document for result in done):
        raise TrainingDiverged(done[0].document["failed"])
    return Sweep(grid, tuple(seeds), streams, done, cached)


def iterations(grid: Grid) -> int:
    """Training iterations of one seed over the whole grid."""
    return sum(point.recipe.iterations for point in grid.points)


def measure(task: Task) -> Result:
    """Scores the networks of one point, from the cache or trained now. A training that diverges is a
    result, too, so that the rest of the grid goes on. Drops JAX's compiled programs."""
    from analysis.comparison.estimates import estimate_all
    from analysis.comparison.learners import compare_learners
    from analysis.comparison.results import document, to_datatree

    point = task.point
    try:
        learners = training.train(
            point.process,
            point.recipe,
            seeds=task.seeds,
            cell=point.cell,
            hidden=point.hidden,
            folder=cache_folder() if task.keep else None,
        )
    except TrainingDiverged as error:
        about = {
            "process": point.process.name,
            **point.process.settings(),
            "cell": point.cell,
            "hidden": point.hidden,
            "iterations": point.recipe.iterations,
        }
        return Result({**about, "failed": str(error)}, {}, {}, {})
    process = point.process
    comparison = compare_learners(learners, process, process, process, task.seed, task.streams)
    quantities = estimate_all(comparison)
    arrays, dims = _means(to_datatree(comparison, learners))
    # Points share hardly any compiled programs, and those of all points would fill the memory.
    jax.clear_caches()
    estimates = {name: [e.mean, e.low, e.high] for name, e in quantities.items()}
    return Result(document(comparison, quantities), estimates, arrays, dims)


def _means(tree: xarray.DataTree) -> tuple[Arrays, dict[str, list[str]]]:
    """Means over test streams of the arrays of ``compare``, and its learning curves, but for the
    training loss, whose points depend on which seeds are trained together; and their dims."""
    arrays, dims = {}, {}
    for group in ("network", "references", "training"):
        for name, values in tree[group].to_dataset().data_vars.items():
            if name == "train_loss":
                continue
            if "stream" in values.dims:
                values = values.mean("stream", skipna=False)
            arrays[f"{group}/{name}"] = np.asarray(values.values, np.float64)
            dims[f"{group}/{name}"] = [str(d) for d in values.dims]
    arrays["training/symbols"] = np.asarray(tree["training"]["symbols"].values, np.int64)
    dims["training/symbols"] = ["point"]
    return arrays, dims


def _iterations(tasks: list[Task], ended: list[int]) -> float:
    return sum(tasks[n].point.recipe.iterations for n in ended)


def _identity(task: Task) -> Document:
    """All that a result depends on."""
    point = task.point
    return {
        "kind": "sweep-point",
        "networks": [
            training.learner_settings(point.process, point.recipe, point.cell, point.hidden, seed)
            for seed in task.seeds
        ],
        "streams": task.streams,
        "metrics": sorted(METRICS),
        "test_seed": task.seed,
        "platform": jax.default_backend(),
        "versions": versions(),
    } | extensions.identity()


def _path(folder: Path, identity: Document) -> Path:
    return folder / "sweep" / f"{settings_digest(identity)}.safetensors"


def _find(folder: Path | None, task: Task) -> Result | None:
    """The kept result of a point; None where there is none."""
    if folder is None:
        return None
    identity = _identity(task)
    path = _path(folder, identity)
    if not path.exists():
        return None
    try:
        arrays, header = checkpoint.load(path)
        result = header.pop("result", None)
        if header != identity or result is None:
            raise CheckpointError(f"{path} is of another point")
        document, estimates, dims = json.loads(result)
    except CheckpointError as error:
        log.warning("measuring anew: %s", error)
        return None
    return Result(document, estimates, arrays, dims)


def _keep(folder: Path | None, task: Task, result: Result) -> None:
    if folder is None:
        return
    identity = _identity(task)
    # As one text: a header is written with sorted keys, but references must keep their order.
    text = json.dumps([result.document, result.estimates, result.dims], allow_nan=False)
    with warn_if_unwritable(folder):
        checkpoint.save(_path(folder, identity), result.arrays, identity | {"result": text})
