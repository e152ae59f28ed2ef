"""Options that say which network a command is about: a saved one, or what to train on and how."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.options import (
    ALPHA,
    TASK_LENGTH,
    Command,
    Given,
    MemberOption,
    cell_options,
    recipe_option,
    targets_option,
)
from analysis.console import usage_errors
from analysis.output import prepare
from analysis.report.report import Document
from analysis.training_progress import train_with_progress

if TYPE_CHECKING:
    from autoregressive.model import Model
    from meta_learning.learner import Learner
    from meta_learning.processes import Process


@dataclass(frozen=True)
class ProcessOptions:
    """What ``process_options`` read from the command line."""

    process: str | None
    params: tuple[str, ...]
    alpha: tuple[float, ...] | None
    task_length: float | None
    experiment: str | None


@dataclass(frozen=True)
class NetworkOptions(ProcessOptions):
    """What ``network_options`` read from the command line."""

    checkpoint: Path | None
    recipe: str
    budget: int | None
    iterations: int | None
    batch_size: int | None
    unroll: int | None
    learning_rate: float | None
    targets: str | None
    cell: str
    hidden: int


def _process_flags(command: Command) -> Command:
    """Adds the options of ``ProcessOptions``."""
    for option in reversed(
        (
            click.option(
                "--process",
                metavar="NAME",
                cls=MemberOption,
                registers="process",
                help="What makes the streams.  [dirichlet-categorical]",
            ),
            click.option(
                "--param",
                "params",
                multiple=True,
                metavar="KEY=VALUE",
                help="A parameter of the process; can be given again.",
            ),
            click.option(
                "--alpha", type=ALPHA, help="Prior of the tasks, one entry a symbol: 10,1,1."
            ),
            click.option(
                "--T",
                "task_length",
                type=TASK_LENGTH,
                help="Task length, RESET included; inf for no RESET.",
            ),
            click.option(
                "--experiment", metavar="M1..M4", help="The coursework's alpha and T by name."
            ),
        )
    ):
        command = option(command)
    return command


def process_options(command: Command) -> Command:
    """The options of ``ProcessOptions``, passed on as one argument ``chosen``."""

    @_process_flags
    @functools.wraps(command)
    def wrapped(**kwargs: Given) -> None:
        names = [field.name for field in fields(ProcessOptions)]
        chosen = ProcessOptions(**{name: kwargs.pop(name) for name in names})
        command(chosen=chosen, **kwargs)

    return wrapped


def network_options(command: Command) -> Command:
    """The options of ``NetworkOptions``, passed on as one argument ``network``."""

    @_process_flags
    @click.option(
        "--checkpoint",
        type=click.Path(path_type=Path),
        help="A saved network, instead of training one.",
    )
    @recipe_option
    @click.option("--budget", type=click.IntRange(1), help="Training symbols.  [6,400,000]")
    @click.option("--iterations", type=click.IntRange(1), help="Instead of a budget.")
    @click.option("--batch-size", type=click.IntRange(1), help="Streams an iteration.")
    @click.option("--unroll", type=click.IntRange(1), help="Symbols a stream.")
    @click.option("--learning-rate", type=float, help="Peak learning rate.")
    @targets_option
    @cell_options
    @functools.wraps(command)
    def wrapped(**kwargs: Given) -> None:
        names = [field.name for field in fields(NetworkOptions)]
        network = NetworkOptions(**{name: kwargs.pop(name) for name in names})
        command(network=network, **kwargs)

    return wrapped


def find_networks(
    network: NetworkOptions,
    seeds: Sequence[int],
    out: Path | None,
    quiet: bool,
    check: Callable[[Model, Process], object],
    instead: str = "",
    beside: Callable[[Process], object] | None = None,
) -> tuple[list[Learner], Process]:
    """The saved network, or one a seed from the cache or trained now, and the process of their training.

    check: called with model and process before anything is trained or written; raises what makes the
    command useless, which is wrong usage where it is a ValueError. instead: what errors advise where an
    option of training stands beside --checkpoint. beside: called with the process in a thread while a
    network is trained.
    Errors: those of ``check``; UsageError of options; CheckpointError.
    """
    from meta_learning.learner import Learner, learner_model

    if network.checkpoint is not None:
        training = {*(f.name for f in fields(NetworkOptions)), "seeds"} - {"checkpoint"}
        refuse_options(training, f"with --checkpoint, which has its own{instead}")
        learner = Learner.load(network.checkpoint)
        process = _process_of(learner, network.checkpoint)
        with usage_errors():
            check(learner.model, process)
        prepare(out)
        return [learner], process
    from analysis.contracts import check_cell
    from meta_learning.recipes import make_recipe

    with usage_errors():
        recipe = make_recipe(
            network.recipe,
            budget=network.budget,
            iterations=network.iterations,
            batch_size=network.batch_size,
            unroll=network.unroll,
            learning_rate=network.learning_rate,
            targets=network.targets,
        )
    process = chosen_process(network, "what to train on", ", --process, or --checkpoint")
    check_cell(network.cell)
    with usage_errors():
        check(learner_model(process.num_symbols, network.cell, network.hidden), process)
    prepare(out)
    work = None if beside is None else functools.partial(beside, process)
    learners = train_with_progress(
        process, recipe, network.cell, network.hidden, seeds, quiet, work
    )
    return learners, process


def refuse_options(names: Collection[str], why: str) -> None:
    """Errors: UsageError where one of these options is on the command line: "--x cannot be given" and
    ``why``."""
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in names and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} cannot be given {why}")


def chosen_process(options: ProcessOptions, what: str, other: str = " or --process") -> Process:
    """The process that options name. Errors: UsageError where they name none, or two.

    what, other: for errors; what the process is for, and what may be given instead.
    """
    from analysis.contracts import check_process
    from meta_learning.experiments import EXPERIMENTS
    from meta_learning.processes import DirichletCategorical, process_kind

    given = _parameters(options)
    if options.experiment is not None:
        if given or options.process is not None:
            raise click.UsageError("--experiment sets alpha and T; give it or --alpha and --T")
        name = options.experiment.upper()
        if name not in EXPERIMENTS:
            raise click.UsageError(
                f"unknown experiment {name!r}: expected one of {', '.join(EXPERIMENTS)}"
            )
        return EXPERIMENTS[name]
    if options.process is None and not {"alpha", "T"} <= given.keys():
        raise click.UsageError(
            f"say {what}: --alpha and --T (for example --alpha 10,1,1 --T 20), --experiment{other}"
        )
    with usage_errors():
        process = process_kind(options.process or DirichletCategorical.name).from_parameters(given)
    check_process(process)
    return process


def _parameters(options: ProcessOptions) -> Document:
    """The parameters in --alpha, --T and --param. Errors: UsageError where one is given twice."""
    given: Document = {"alpha": options.alpha, "T": options.task_length}
    given = {name: value for name, value in given.items() if value is not None}
    for text in options.params:
        name, value = key_and_value(text)
        if name in given:
            raise click.UsageError(f"the parameter {name} is given twice")
        given[name] = value
    return given


def key_and_value(text: str) -> tuple[str, str]:
    """The two sides of --param KEY=VALUE. Errors: UsageError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--param takes KEY=VALUE, for example hazard=0.05; got {text!r}")
    return name, value


def at_task_length(process: Process, T: float) -> Process:
    """The process at another T. Errors: UsageError where it has none."""
    if "T" not in process.parameters:
        raise click.UsageError(
            f"--test-T is for processes with a T; {process.name} has none, its tasks never end: use "
            "--draws"
        )
    with usage_errors():
        return process.replace({"T": T})


def _process_of(learner: Learner, path: Path) -> Process:
    """The process that a saved network was trained on. Errors: CheckpointError where it is not known."""
    from autoregressive.checkpoint import CheckpointError
    from autoregressive.registry import UnknownName
    from meta_learning.processes import DirichletCategorical, process_kind

    try:
        settings = dict(learner.settings["process"])
        kind = process_kind(settings.pop("name", DirichletCategorical.name))
        process = kind.from_settings(settings)
        if process.num_symbols != learner.num_symbols:
            raise ValueError(f"{process.title}, symbols {learner.num_symbols}")
        return process
    except UnknownName as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not say what it was trained on: {error}") from None
