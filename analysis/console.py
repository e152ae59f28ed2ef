"""What every command does alike: device, errors as one line, progress, results on stdout."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from analysis.report.report import Report, Table
    from autoregressive.pixels.training import PixelPoint
    from meta_learning.learner import Learner
    from meta_learning.processes import Process
    from meta_learning.training import Point


def choose_device(device: str) -> None:
    """Pins JAX to a platform before it starts one, and lets it keep compiled programs in the cache
    folder, which belongs to the user, unless the environment names a folder for JAX. Errors:
    ClickException without a GPU."""
    import jax

    from autoregressive.cache import cache_folder

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.03)
    # Compiled programs that cannot be kept cost time, not the result: nothing to tell the user.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    else:
        jax.config.update("jax_default_matmul_precision", "highest")
    if device != "gpu":
        return
    try:
        jax.devices("gpu")
    except RuntimeError:
        raise click.ClickException(
            "no GPU that JAX can use; install with the extra [cuda13] on a machine that has one, "
            "or drop --device gpu"
        ) from None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A user's mistake or a machine's refusal becomes one line and exit code 1, never a traceback.

    META_LEARN_DEBUG=1 shows the traceback.
    """
    try:
        yield
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        if isinstance(error, click.exceptions.Exit) or os.environ.get("META_LEARN_DEBUG"):
            raise
        raise click.ClickException(_one_line(error)) from None


@contextmanager
def usage_errors() -> Iterator[None]:
    """Inside it, a ValueError is wrong usage: exit code 2."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f" {error.filename}" if error.filename else ""
        return (
            f"cannot read or write{where}: {error.strerror}; try another --out folder or free space"
        )
    return " ".join(str(error).split()) or type(error).__name__


def logging_to_stderr(quiet: bool) -> None:
    for package in ("autoregressive", "meta_learning", "analysis"):
        logger = logging.getLogger(package)
        logger.handlers = [_Echo()]
        logger.setLevel(logging.ERROR if quiet else logging.INFO)
        logger.propagate = False


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)


@contextmanager
def training_progress(
    label: str, quiet: bool, forecast: Callable[[], str] = lambda: ""
) -> Iterator[Callable[[Point], None]]:
    """A callback for ``train``: a bar on a terminal that ends in one summary line; off a terminal
    only that line, and before it how long a long training takes. Nothing is shown where nothing was
    trained. forecast: what is to be said before the first step, asked when training begins."""
    from rich.progress import TextColumn

    from analysis.progress import meter
    from autoregressive.pace import TRAINING, listening

    started = time.monotonic()
    last: list[Point] = []
    begun = False
    columns = (
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[loss]}"),
    )
    with meter(label, "iterations", quiet, after=columns, loss="") as show:

        def on_step(done: float, total: float) -> None:
            nonlocal begun
            if not begun:
                begun = True
                line = forecast()
                if line and not quiet:
                    click.echo(line, err=True)
            show(done, total)

        def on_point(point: Point) -> None:
            last[:] = [point]
            show(point.iteration, point.iterations, loss=_held_out(point))

        with listening(TRAINING, on_step):
            yield on_point
    if last and not quiet:
        click.echo(
            f"{label}: {last[0].iterations} iterations in {time.monotonic() - started:.1f} s"
            f"{_held_out(last[0], before=', ')}",
            err=True,
        )


def train_with_progress(
    process: Process,
    recipe: Any,
    cell: str,
    hidden: int,
    seeds: Sequence[int],
    quiet: bool,
) -> list[Learner]:
    """Learners from the cache or trained now, with a progress bar."""
    from autoregressive.cache import cache_folder
    from meta_learning.training import train

    many = f", {len(seeds)} seeds" if len(seeds) > 1 else ""

    def expected() -> str:
        from analysis.forecast import forecast

        return forecast(process, recipe, cell, hidden, len(seeds))

    with training_progress(f"training {cell}-{hidden}{many}", quiet, expected) as on_point:
        return train(
            process,
            recipe,
            seeds=seeds,
            cell=cell,
            hidden=hidden,
            folder=cache_folder(),
            on_point=on_point,
        )


def _held_out(point: Point, before: str = "") -> str:
    """The held-out loss, where tasks have drawn symbols at all."""
    if math.isnan(point.held_out_loss):
        return ""
    return f"{before}held-out loss {point.held_out_loss:.4f} nats a drawn symbol"


@contextmanager
def pixel_progress(quiet: bool) -> Iterator[Callable[[PixelPoint], None]]:
    """A bar with throughput and time left on a terminal; off one, a line for each curve point."""
    from rich.progress import TextColumn

    from analysis.progress import meter
    from autoregressive.pace import TRAINING, listening

    started = time.monotonic()
    before = TextColumn("step {task.completed:.0f}/{task.total:.0f}")
    last: list[PixelPoint] = []
    columns = [TextColumn("{task.fields[note]}")]
    with (
        meter("training", "steps", quiet, before, columns, note="") as show,
        listening(TRAINING, show),
    ):

        def on_point(point: PixelPoint) -> None:
            last[:] = [point]
            note = f"{point.images_per_second:.0f} images/s, loss {point.batch_loss:.4f}"
            show(point.step, point.steps, note=note)
            if point.test_loss is not None and not show.animated and not quiet:
                line = f"step {point.step}/{point.steps}: {note}, test {point.test_loss:.4f} nats"
                click.echo(line, err=True)

        yield on_point
    if last and not quiet:
        click.echo(
            f"trained {last[0].steps} steps in {time.monotonic() - started:.0f} s, "
            f"{last[0].images_per_second:.0f} images/s",
            err=True,
        )


def prepare(out: Path | None, run: str = "") -> None:
    """Makes the report's folder, once all arguments have been understood; what is written there from
    now on is of this run. run: as for ``report.folder.begin``. Errors: OSError."""
    if out is None:
        return
    from analysis.report import folder as report_folder
    from analysis.report.publish import check_folder

    check_folder(out)
    context = click.get_current_context(silent=True)
    if context is None:  # no command: there is no end of it either
        return
    inputs = [path for value in context.params.values() for path in _paths(value) if path != out]
    report_folder.begin(out, run, inputs)
    context.call_on_close(report_folder.leave)


def _paths(value: Any) -> list[Path]:
    """The paths in the value of an option."""
    if isinstance(value, tuple | list):
        return [path for one in value for path in _paths(one)]
    return [value] if isinstance(value, Path) else []


def print_json(value: Any) -> None:
    """One strict JSON document on stdout."""
    click.echo(json.dumps(value, indent=1, allow_nan=False))


def print_tables(title: str, tables: Sequence[Table], closing: str = "") -> None:
    """Tables on stdout, at most 80 columns wide off a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=80)
    console.print(title, style="bold", markup=False)
    for table in tables:
        shown = RichTable(
            title=table.title, box=box.SIMPLE_HEAD, title_justify="left", title_style="",
            pad_edge=False,
        )  # fmt: skip
        for n, name in enumerate(table.head):
            shown.add_column(name, justify="left" if n == 0 else "right", overflow="fold")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
        if table.note:
            console.print(table.note, style="dim", markup=False)
            console.print()
    if closing:
        console.print(closing, markup=False)


def finish(report: Report, out: Path | None, as_json: bool) -> None:
    """How every command ends: the report's folder, where there is one, and then on stdout one JSON
    document, or the tables and where the report is. Errors: OSError."""
    if out is not None:
        from analysis.report.publish import publish

        publish(report, out, arguments(), command_line())
    if as_json:
        print_json(report.document)
        return
    closing = report.lead if report.closing is None else report.closing
    print_tables(report.title, report.tables, closing)
    click.echo(f"Report: {out}/report.html")


def arguments() -> dict[str, Any]:
    """The arguments of the command that runs, as JSON values, for its manifest."""
    params = click.get_current_context().params
    return {k: v if v is None else _plain(v) for k, v in params.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value if isinstance(value, int | float) and math.isfinite(value) else str(value)


def command_line() -> str:
    """The command as it was typed, without the path of the program; a script that hands over to
    ``main`` is named."""
    import shlex

    name = Path(sys.argv[0]).name
    script = name.endswith(".py") and name != "__main__.py"
    return shlex.join([*(["python", name] if script else ["meta-learn"]), *sys.argv[1:]])
