"""Where results go: a report's folder, and stdout."""

from __future__ import annotations

import contextlib
import json
import math
import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from analysis.report.report import Json, Report, Table


def prepare(out: Path | None, run: str = "") -> None:
    """Sees that the report's folder can be written and begins its run; called once all arguments are
    understood. The first file that is written makes the folder. run: as for ``report.folder.begin``.
    Errors: OSError."""
    if out is None:
        return
    from analysis.report import folder

    folder.check(out)
    context = click.get_current_context(silent=True)
    if context is None:  # without a command there is nothing whose end could end the run
        return
    inputs = [path for value in context.params.values() for path in _paths(value) if path != out]
    folder.begin(out, run, inputs)
    context.call_on_close(folder.leave)


def expect_figures(out: Path | None) -> None:
    """A report with figures will be written: from here on a second process makes ready to draw them.
    Only where the command is the whole program."""
    from analysis import interrupts

    if out is None or not interrupts.whole_program():
        return
    from analysis.report import drawers

    # Beside what the command does first, which is to wait for compiled programs.
    threading.Thread(target=_import_matplotlib, daemon=True).start()
    drawers.begin()
    click.get_current_context().call_on_close(drawers.end)


def _import_matplotlib() -> None:
    with contextlib.suppress(Exception):  # the command's own import says what is wrong
        import matplotlib.backends.backend_agg
        import matplotlib.backends.backend_svg
        import matplotlib.figure  # noqa: F401


def finish(report: Report, out: Path | None, as_json: bool) -> None:
    """Ends a command: fills the report's folder, if there is one, and prints one JSON document, or
    the tables and where the report is. Errors: OSError."""
    if out is not None:
        from analysis.report.publish import publish

        publish(report, out, _arguments(), command_line())
    if as_json:
        print_json(report.document)
        return
    closing = report.closing
    if closing is None:
        closing = " ".join([report.lead, *report.findings])
    print_tables(report.title, report.tables, closing)
    click.echo(f"Report: {out}/report.html")


def print_json(value: Json) -> None:
    """One strict JSON document on stdout."""
    click.echo(json.dumps(value, indent=1, allow_nan=False))


def print_tables(title: str, tables: Sequence[Table], closing: str = "") -> None:
    """Prints tables; at most 80 columns wide where stdout is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=80)
    console.print(title, style="bold", markup=False)
    for table in tables:
        shown = RichTable(
            title=table.title,
            box=box.SIMPLE_HEAD,
            title_justify="left",
            title_style="",
            pad_edge=False,
        )
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


def command_line() -> str:
    """The command as it was typed, without the path of the program: "meta-learn compare ..", or
    "python script.py ..", where a script calls ``main``."""
    name = Path(sys.argv[0]).name
    script = name.endswith(".py") and name != "__main__.py"
    return shlex.join([*(["python", name] if script else ["meta-learn"]), *sys.argv[1:]])


def _arguments() -> dict[str, Json]:
    """The arguments of the command that runs, for its manifest."""
    return {name: _plain(value) for name, value in click.get_current_context().params.items()}


def _plain(value: object) -> Json:
    """An option's value as a JSON value: what JSON has no number or word for becomes a text."""
    if value is None:
        return None
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value if isinstance(value, int | float) and math.isfinite(value) else str(value)


def _paths(value: object) -> Iterator[Path]:
    """The paths in the value of an option."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _paths(one)
