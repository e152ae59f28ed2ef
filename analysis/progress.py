"""How long work takes, said on stderr: in a bar on a terminal, off one in a line where it is long."""

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

# Measured for so long before it is said how long all of it takes, and said where that is longer.
_MEASURE_S = 2.0
LONG_S = 60.0


class TimeLeft:
    """Says once, after the first seconds, how long work takes, where that is more than a minute.

    what, unit: of the line, "training: about 7 min for 16,000 iterations". say: takes the line. What
    was done when the first report came, and what came before the last report of nothing done, such as
    compiling, is not measured.
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
        """``done`` of ``total`` is behind."""
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
    """Takes reports of work: shows them in a bar, or says once how long all takes."""

    def __init__(self, bar: Progress, task: TaskID, left: TimeLeft | None):
        self._bar, self._task, self._left = bar, task, left

    @property
    def animated(self) -> bool:
        """Whether there is a bar."""
        return not self._bar.disable

    def __call__(self, done: float, total: float, **fields: Any) -> None:
        """``done`` of ``total`` is behind. fields: what the bar's columns show beside it."""
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
    """A meter of work: ``what`` is done to how many of ``unit``.

    On a terminal, and in a notebook that has ipywidgets, a bar with the time left, between columns; it
    appears with the first report and is gone when it is done. Elsewhere a line where all takes more
    than a minute, unless ``line`` is False. Nothing with ``quiet``. measure_s: for how long the pace is
    measured, where the first seconds are not like the rest.
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
    """Inside it, every scoring of networks has a meter of its own, from its first report to its last.

    Trainings between two scorings have theirs: there is never a bar within a bar.
    """
    from autoregressive.pace import SCORING, listening

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

        with listening(SCORING, on_scored):
            yield
