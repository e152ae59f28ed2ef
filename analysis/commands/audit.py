"""``meta-learn audit``: where one network differs from Bayes, and what its state holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.networks import (
    NetworkOptions,
    find_networks,
    network_options,
    only_dirichlet,
)
from analysis.commands.options import TASK_LENGTH, shared_options, worker_options
from analysis.console import finish

if TYPE_CHECKING:
    from meta_learning.learner import Learner
    from meta_learning.processes import DirichletCategorical, Process

DEFAULT_OUT = Path("meta-learn-audit")

_EXAMPLES = """\
Examples:

\b
  meta-learn audit --experiment M1
  meta-learn audit --checkpoint meta-learn-report/network-seed0.safetensors
  meta-learn audit --checkpoint m2/network-seed0.safetensors --test-T 12
  meta-learn audit --experiment M2 --only-gap --workers 4
"""


@click.command(epilog=_EXAMPLES)
@network_options
@click.option("--test-T", "test_task_length", type=TASK_LENGTH,
              help="Task length of the audit.  [as trained]")  # fmt: skip
@click.option("--draws", type=click.IntRange(1), help="Draws to look at where T is inf.")
@click.option("--tasks", default=10_000, show_default=True, type=click.IntRange(2),
              help="Sampled tasks for the carry-over through RESET.")  # fmt: skip
@click.option(
    "--only-gap",
    is_flag=True,
    help="Leave out other test streams, the implied future and the hidden state.",
)
@shared_options
@worker_options
def audit(
    network: NetworkOptions,
    test_task_length: float | None,
    draws: int | None,
    tasks: int,
    only_gap: bool,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    scheduler: str | None,
    workers: int | None,
) -> None:
    """Where does a network differ from Bayes? Over all histories of a task, without sampling error.

    The gap KL(Bayes || network) after a RESET is the exact mean over every history of a task, split
    into leak to RESET, dependence on the order of the symbols, and a wrong function of their counts.
    What earlier tasks add to it through RESET is sampled. T=20 with three symbols has 581 million
    histories and takes minutes; a stopped run goes on where it was. Beside it: how far is it from
    Bayes on other test streams, is the future that it implies calibrated, and what does its hidden
    state hold (as the command hidden)? The report goes to --out (default: ./meta-learn-audit).
    """
    from analysis.audit.exact_gap import check
    from meta_learning.processes import DirichletCategorical

    def audited(process: Process) -> DirichletCategorical:
        process = only_dirichlet(process)
        T = process.T if test_task_length is None else test_task_length
        return DirichletCategorical(process.alpha, T)

    out = out or (None if as_json else DEFAULT_OUT)
    (learner,), process = find_networks(
        network,
        [seed],
        out,
        quiet,
        lambda model, process: check(model, audited(process), draws),
        instead="; use --test-T for the task length",
    )
    process = audited(process)
    _audit(learner, process, draws, tasks, only_gap, seed, out, quiet, as_json, scheduler, workers)


def _audit(
    learner: Learner, process: DirichletCategorical, draws: int | None, tasks: int, only_gap: bool,
    seed: int, out: Path | None, quiet: bool, as_json: bool,
    scheduler: str | None, workers: int | None,
) -> None:  # fmt: skip
    """Everything after the network is there."""
    import math

    import jax

    from analysis.audit import page as pages
    from analysis.audit.calibration import measure_calibration
    from analysis.audit.carry_over import carry_over
    from analysis.audit.exact_gap import exact_gap
    from analysis.audit.worst_histories import worst_histories
    from analysis.comparison.off_prior import off_prior
    from analysis.hidden.examine import examine
    from autoregressive.cache import cache_folder
    from meta_learning.learner import TEST

    shared = scheduler is not None or workers is not None
    with _progress(learner, process, draws, quiet, shared) as on_progress:
        exact = exact_gap(
            learner, process, draws=draws, folder=cache_folder(), on_progress=on_progress,
            scheduler=scheduler, workers=workers,
        )  # fmt: skip
    key = jax.random.fold_in(jax.random.key(seed), TEST)
    endless = math.isinf(process.T)
    measured = pages.Audit(
        exact,
        None if endless else carry_over(learner, process, key=key, tasks=tasks),
        worst_histories(learner, process, draws=draws),
        None if only_gap else off_prior([learner], process, key=key),
        None if only_gap else measure_calibration(learner, process, key=key, draws=draws),
        None if only_gap else examine(learner, process, key=key),
    )
    finish(pages.make_report(measured, learner, process, seed), out, as_json)


@contextmanager
def _progress(
    learner: Learner, process: DirichletCategorical, draws: int | None, quiet: bool, shared: bool
) -> Iterator[Callable[[int, int], None]]:
    """Says what a long walk takes before it starts, and shows a bar on a terminal."""
    from rich.progress import TextColumn

    from analysis.audit.exact_gap import cost
    from analysis.progress import LONG_S, duration, meter

    told = False
    if not quiet:
        takes = cost(learner, process, draws=draws)
        if takes.seconds > 5:
            told = takes.seconds > LONG_S
            click.echo(
                f"{takes.nodes:,} histories: about {duration(takes.seconds)}"
                f"{' in this process alone' if shared else ''}, "
                f"{takes.bytes / 1e6:,.0f} MB; a stopped run goes on where it was",
                err=True,
            )
    column = TextColumn("{task.percentage:.0f}% of all histories")
    # The line before has told it, but for workers, whose pace only the walk shows.
    with meter("exact gap", "histories", quiet, column, line=shared or not told) as show:
        yield show
