"""Options and parameter types that commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from analysis.console import choose_device, log_to_stderr, one_line_errors

# The arguments that click passes to a command, of any type, and the command.
Given = Any
Command = Callable[..., None]


class Numbers(click.ParamType):
    """Comma-separated numbers. check: the function of ``meta_learning.processes`` that checks them, by
    its name, since the import is slow."""

    def __init__(self, name: str, check: str, example: str):
        self.name = name
        self.check = check
        self.example = example

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        from meta_learning import processes

        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"expected numbers with commas, like {self.example}; got {value!r}")
        try:
            return getattr(processes, self.check)(numbers)
        except ValueError as error:
            self.fail(f"{error}; for example {self.example}")


class TaskLength(click.ParamType):
    """T: a whole number >= 1 or inf."""

    name = "T"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        from meta_learning.processes import check_task_length

        try:
            number = float(str(value))
        except ValueError:
            self.fail(f"expected a whole number of 1 or more, or inf; got {value!r}")
        try:
            return check_task_length(number)
        except ValueError as error:
            self.fail(str(error))


class OutPath(click.Path):
    """Where a command writes. An empty text, which would be the working folder, is refused: it comes
    from a shell's variable that is not set."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        if not str(value).strip():
            self.fail("expected a path, got an empty text; the working folder is --out .")
        return super().convert(value, param, ctx)


class MemberOption(click.Option):
    """An option that names a member of a registry; its help also lists what --load added. registers: the
    kind of member, as in ``analysis.extensions``."""

    def __init__(self, *args: Given, registers: str, **kwargs: Given):
        super().__init__(*args, **kwargs)
        self.registers = registers

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from analysis.extensions import members

        record, added = super().get_help_record(ctx), members(self.registers)
        if record is None or not added:
            return record
        return record[0], f"{record[1]}  Loaded: {', '.join(added)}."


ALPHA = Numbers("alpha", "check_alpha", "10,1,1")
PROBABILITIES = Numbers("p", "check_probabilities", "1,0,0")
TASK_LENGTH = TaskLength()
OUT = OutPath(path_type=Path)


def shared_options(command: Command) -> Command:
    """--seed, --out, --device, --quiet, --json; errors become one line."""
    return shared_options_of(
        "Folder for the report.",
        "One JSON document on stdout, no report unless --out is given.",
    )(command)


def shared_options_of(out_help: str, json_help: str) -> Callable[[Command], Command]:
    """``shared_options`` for a command that makes something else than a report."""
    return functools.partial(_shared_options, out_help=out_help, json_help=json_help)


def _shared_options(command: Command, out_help: str, json_help: str) -> Command:
    @click.option(
        "--seed",
        default=0,
        show_default=True,
        type=click.IntRange(0, 2**30),
        help="First random seed.",
    )
    @click.option("--out", type=OUT, help=out_help)
    @click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "gpu"]),
        default="auto",
        show_default=True,
        help="Where networks run.",
    )
    @click.option("--quiet", is_flag=True, help="No progress; errors are still shown.")
    @click.option("--json", "as_json", is_flag=True, help=json_help)
    @functools.wraps(command)
    def wrapped(*args: Given, device: str, quiet: bool, **kwargs: Given) -> None:
        with one_line_errors():
            log_to_stderr(quiet)
            choose_device(device)
            command(*args, quiet=quiet, **kwargs)

    return wrapped


def recipe_option(command: Command) -> Command:
    """--recipe: how networks are trained."""
    return click.option(
        "--recipe",
        default="default",
        show_default=True,
        metavar="NAME",
        help="How to train: default or coursework.",
    )(command)


def targets_option(command: Command) -> Command:
    """--targets: what the loss of a training asks of a prediction."""
    return click.option(
        "--targets",
        metavar="WHAT",
        help="Train on symbols, or on oracle: the probabilities that they are drawn from.  [symbols]",
    )(command)


def seeds_option(text: str, default: int = 1) -> Callable[[Command], Command]:
    """--seeds: how many networks. text: its help."""
    return click.option(
        "--seeds", default=default, show_default=True, type=click.IntRange(1, 1000), help=text
    )


def streams_option(
    text: str = "Test streams.", default: int = 10_000, least: int = 2
) -> Callable[[Command], Command]:
    """--streams: how many are sampled. text: its help. least: the fewest that give an answer."""
    return click.option(
        "--streams", default=default, show_default=True, type=click.IntRange(least), help=text
    )


def cell_options(command: Command) -> Command:
    """--cell and --hidden: which network is trained."""
    hidden = click.option(
        "--hidden",
        default=32,
        show_default=True,
        type=click.IntRange(1, 4096),
        help="Hidden units.",
    )
    cell = click.option(
        "--cell",
        default="lstm",
        show_default=True,
        metavar="NAME",
        cls=MemberOption,
        registers="cell",
        help="lstm, gru, mingru, lru, mamba, transformer, transformer-rotary or -unplaced.",
    )
    return cell(hidden(command))


def worker_options(command: Command) -> Command:
    """--scheduler and --workers, which are tried out before the command begins. Errors: UsageError for
    both; those of ``analysis.workers.check``."""

    @click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Share the work among the workers of a Dask scheduler: tcp://HOST:8786.",
    )
    @click.option(
        "--workers",
        type=click.IntRange(1),
        help="Share it among so many processes of this machine.",
    )
    @functools.wraps(command)
    def wrapped(*args: Given, scheduler: str | None, workers: int | None, **kwargs: Given) -> None:
        if scheduler is not None and workers is not None:
            raise click.UsageError(
                "--scheduler has workers of its own; give it or --workers, not both"
            )
        if scheduler is not None or workers is not None:
            from analysis.workers import check

            check(scheduler, workers)
        command(*args, scheduler=scheduler, workers=workers, **kwargs)

    return wrapped
