"""How long work takes, on stderr: a bar on a terminal; elsewhere a line where it is long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, TaskID

# How long the pace is measured before the time of all the work is told.
_MEASURE_S = 2.0
# Work that takes no longer is not worth a line.
LONG_S = 60.0


class TimeLeft:
    """Says once, after the first seconds, how long work takes, where that is more than a minute.

    what, unit: of the line, "training: about 7 min for 16,000 iterations". say: takes the line. The
    pace is measured from the first report on, and anew after each report that nothing more was done:
    compiling does not count. measure_s: for how long; None takes two seconds.
    """

    def __init__(
        self,
        what: str,
        unit: str,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        measure_s: float | None = None,
    ):
        self.measure_s = measure_s
        self.what, self.unit, self.say, self.clock = what, unit, say, clock
        self._first: tuple[float, float] | None = None
        self._said = False

    def reached(self, done: float, total: float) -> None:
        """Takes a report: ``done`` of ``total`` is done."""
        now = self.clock()
        if self._first is None or done <= self._first[1]:
            self._first = (now, done)
            return
        started, before = self._first
        pace = (now - started) / (done - before)
        early = now - started < (self.measure_s or _MEASURE_S)
        if self._said or early or pace * (total - done) <= LONG_S:
            return
        self._said = True
        work = total - before
        self.say(f"{self.what}: about {duration(pace * work)} for {work:,.0f} {self.unit}")


def duration(seconds: float) -> str:
    """Whole seconds, minutes, or hours and minutes: "40 s", "7 min", "2 h 10 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{round(seconds / 86400)} days"
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{minutes} min"] if minutes else [])])


def say(line: str) -> None:
    """A line on stderr."""
    click.echo(line, err=True)


class Meter:
    """Takes reports of work: shows them in a bar, or says once how long all of it takes."""

    def __init__(self, bar: Progress, task: TaskID, left: TimeLeft | None):
        self._bar, self._task, self._left = bar, task, left

    @property
    def animated(self) -> bool:
        """Whether there is a bar."""
        return not self._bar.disable

    def __call__(self, done: float, total: float, **fields: Any) -> None:
        """Takes a report: ``done`` of ``total`` is done. fields: for the bar's other columns."""
        self._bar.update(self._task, total=total, completed=done, visible=True, **fields)
        if self._left is not None:
            self._left.reached(done, total)


@contextmanager
def meter(
    what: str,
    unit: str,
    quiet: bool,
    before: ProgressColumn | None = None,
    after: Sequence[ProgressColumn] = (),
    line: bool = True,
    measure_s: float | None = None,
    **fields: Any,
) -> Iterator[Meter]:
    """A meter of work. what, unit: "training" and "iterations".

    On a terminal, and in a notebook that has ipywidgets, a bar with the time left, with the columns
    ``before`` and ``after`` it and their ``fields``; it appears with the first report and vanishes at
    the end. Elsewhere a line where all of it takes more than a minute, unless ``line`` is False.
    Nothing with ``quiet``. measure_s: as for ``TimeLeft``, where the first seconds are unlike the rest.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        before or TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        *after,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not (console.is_terminal or _in_notebook(console)),
    )
    left = (
        TimeLeft(what, unit, say, measure_s=measure_s)
        if line and not quiet and bar.disable
        else None
    )
    with bar:
        yield Meter(bar, bar.add_task(what, total=None, visible=False, **fields), left)


def _in_notebook(console: Console) -> bool:
    """Whether a notebook can show a bar that moves: without ipywidgets rich would add lines for ever."""
    return console.is_jupyter and find_spec("ipywidgets") is not None


@contextmanager
def scoring_progress(quiet: bool) -> Iterator[None]:
    """Inside it every scoring of networks has a meter, which ends with its last report: a training
    that follows shows its own, and there is never a bar within a bar."""
    from autoregressive.pace import SCORING, listen

    with ExitStack() as bar:
        show: Meter | None = None

        def on_scored(done: float, total: float) -> None:
            nonlocal show
            if show is None:
                show = bar.enter_context(meter("scoring", "streams", quiet))
            show(done, total)
            if done >= total:
                bar.close()
                show = None

        with listen(SCORING, on_scored):
            yield
