"""Training as commands run it: networks from the cache or trained now, with progress on stderr."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

from analysis.forecast import forecast
from analysis.progress import meter, say

if TYPE_CHECKING:
    from autoregressive.pixels.training import PixelPoint
    from meta_learning.learner import Learner
    from meta_learning.processes import Process
    from meta_learning.recipes import Recipe
    from meta_learning.training import Point


def train_with_progress(
    process: Process,
    recipe: Recipe,
    cell: str,
    hidden: int,
    seeds: Sequence[int],
    quiet: bool,
    beside: Callable[[], object] | None = None,
) -> list[Learner]:
    """Networks, one a seed, from the cache or trained now.

    beside: called in a thread once a training runs, which leaves a core free for the most part; what
    it raises is lost.

    Says before a long training how long it may take, and after any training one summary line; on a
    terminal there is a bar. Nothing is said where all were in the cache.
    Errors: those of ``meta_learning.training.train``; MemoryError before a training that is too large.
    """
    from rich.progress import TextColumn

    from autoregressive.cache import cache_folder
    from autoregressive.pace import TRAINING, listen
    from meta_learning.training import train

    many = f", {len(seeds)} seeds" if len(seeds) > 1 else ""
    label = f"training {cell}-{hidden}{many}"
    started = time.monotonic()
    last: list[Point] = []
    begun = runs = False
    columns = (
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[loss]}"),
    )
    with meter(label, "iterations", quiet, after=columns, loss="") as show:

        def on_step(done: float, total: float) -> None:
            nonlocal begun, runs
            if not begun:
                begun = True
                line = forecast(process, recipe, cell, hidden, len(seeds))
                if line and not quiet:
                    say(line)
            # It is told of nothing done before it compiles, and again after that.
            if done and not runs and beside is not None:
                runs = True
                Thread(target=_try, args=(beside,), daemon=True).start()
            show(done, total)

        def on_point(point: Point) -> None:
            last[:] = [point]
            show(point.iteration, point.iterations, loss=_held_out(point))

        with listen(TRAINING, on_step):
            learners = train(
                process,
                recipe,
                seeds=seeds,
                cell=cell,
                hidden=hidden,
                folder=cache_folder(),
                on_point=on_point,
            )
    if last and not quiet:
        held_out = _held_out(last[0])
        say(
            f"{label}: {last[0].iterations} iterations in {time.monotonic() - started:.1f} s"
            f"{held_out and ', '}{held_out}"
        )
    return learners


def _try(work: Callable[[], object]) -> None:
    with suppress(Exception):
        work()


def _held_out(point: Point) -> str:
    """The held-out loss in words; empty where tasks have no drawn symbol."""
    if math.isnan(point.held_out_loss):
        return ""
    return f"held-out loss {point.held_out_loss:.4f} nats a drawn symbol"


@contextmanager
def pixel_progress(quiet: bool) -> Iterator[Callable[[PixelPoint], None]]:
    """Yields an ``on_point`` for ``train_pixels``: a bar with throughput and time left on a terminal;
    elsewhere a line for each curve point."""
    from rich.progress import TextColumn

    from autoregressive.pace import TRAINING, listen

    started = time.monotonic()
    before = TextColumn("step {task.completed:.0f}/{task.total:.0f}")
    last: list[PixelPoint] = []
    columns = [TextColumn("{task.fields[note]}")]
    with (
        meter("training", "steps", quiet, before, columns, note="") as show,
        listen(TRAINING, show),
    ):

        def on_point(point: PixelPoint) -> None:
            last[:] = [point]
            note = f"{point.images_per_second:.0f} images/s, loss {point.batch_loss:.4f}"
            show(point.step, point.steps, note=note)
            if point.test_loss is not None and not show.animated and not quiet:
                say(f"step {point.step}/{point.steps}: {note}, test {point.test_loss:.4f} nats")

        yield on_point
    if last and not quiet:
        say(
            f"trained {last[0].steps} steps in {time.monotonic() - started:.0f} s, "
            f"{last[0].images_per_second:.0f} images/s"
        )
