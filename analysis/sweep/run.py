"""A sweep as a command runs it: one bar over the whole grid, and one line at its end."""

from __future__ import annotations

import time
from collections.abc import Sequence

from analysis.progress import meter, say
from analysis.sweep.grid import Grid
from analysis.sweep.sweep import Sweep, iterations, sweep
from autoregressive.errors import counted

# Small points come first, and each compiles: the first seconds say little about the rest.
_MEASURE_S = 15.0


def sweep_with_progress(
    grid: Grid,
    *,
    seeds: Sequence[int],
    streams: int,
    seed: int,
    quiet: bool,
    scheduler: str | None = None,
    workers: int | None = None,
) -> Sweep:
    """``sweep`` with its results kept in the cache, and progress on stderr."""
    from rich.progress import TextColumn

    started = time.monotonic()
    points, total = len(grid.points), iterations(grid)
    with meter(
        "sweep",
        f"iterations at {points} points",
        quiet,
        TextColumn("{task.fields[points]}"),
        [TextColumn("{task.percentage:.0f}%")],
        measure_s=_MEASURE_S,
        points="",
    ) as show:
        swept = sweep(
            grid,
            seeds=seeds,
            streams=streams,
            seed=seed,
            keep=True,
            scheduler=scheduler,
            workers=workers,
            on_progress=lambda done, ended: show(done, total, points=f"{ended}/{points} points"),
        )
    if not quiet:
        say(
            f"sweep: {points} points of {counted(len(seeds), 'seed')}, "
            f"{points - swept.cached} measured in {time.monotonic() - started:.1f} s, {swept.cached} "
            "from the cache"
        )
    return swept
