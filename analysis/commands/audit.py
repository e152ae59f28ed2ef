"""``meta-learn audit``: where one network differs from Bayes, and what its state holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.networks import (
    NetworkOptions,
    at_task_length,
    find_networks,
    network_options,
)
from analysis.commands.options import TASK_LENGTH, shared_options, worker_options
from analysis.output import finish

if TYPE_CHECKING:
    from meta_learning.processes import Process

DEFAULT_OUT = Path("meta-learn-audit")

_EXAMPLES = """\
Examples:

\b
  meta-learn audit --experiment M1
  meta-learn audit --checkpoint meta-learn-report/network-seed0.safetensors
  meta-learn audit --checkpoint m2/network-seed0.safetensors --test-T 12
  meta-learn audit --process mess3 --draws 12
  meta-learn audit --process markov-chain --T 10 --only-gap
  meta-learn audit --experiment M2 --only-gap --workers 4
  meta-learn audit --experiment M1 --only-gap --nuts
"""


@click.command(epilog=_EXAMPLES)
@network_options
@click.option(
    "--test-T", "test_task_length", type=TASK_LENGTH, help="Task length of the audit.  [as trained]"
)
@click.option(
    "--draws",
    type=click.IntRange(1),
    help="Draws to look at where T is inf.  [at most 20, and 10 million histories]",
)
@click.option(
    "--tasks",
    default=10_000,
    show_default=True,
    type=click.IntRange(2),
    help="Sampled tasks for the carry-over through RESET.",
)
@click.option(
    "--only-gap",
    is_flag=True,
    help="Leave out other test streams, the implied future and the hidden state.",
)
@click.option(
    "--nuts", is_flag=True, help="Judge the exact posterior by NUTS, too: some seconds more."
)
@shared_options
@worker_options
def audit(
    network: NetworkOptions,
    test_task_length: float | None,
    draws: int | None,
    tasks: int,
    only_gap: bool,
    nuts: bool,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    scheduler: str | None,
    workers: int | None,
) -> None:
    """Where does a network differ from Bayes? Over all histories of a task, without sampling error.

    The gap KL(Bayes || network) after a RESET is the exact mean over every history that the process can
    make, split into leak to RESET, different answers to the same belief (as to the same counts in
    another order), and the rest: a wrong function of the belief. What earlier tasks add to it through
    RESET is sampled. T=20 with three symbols has 581 million histories and takes minutes; a stopped run
    goes on where it was. Where T is inf the first draws are looked at. Beside it: how far is it from
    Bayes on other test streams, is the future that it implies calibrated, and what does its hidden
    state hold (as the command hidden)? With --nuts the exact posterior itself is judged: by sampling
    the process's NumPyro model. The report goes to --out (default: ./meta-learn-audit).
    """
    from analysis.audit.nuts import posterior_of
    from analysis.audit.tree.size import check_draws

    def process_of(process: Process) -> Process:
        if nuts:
            posterior_of(process)  # an error where it has none
        return process if test_task_length is None else at_task_length(process, test_task_length)

    out = out or (None if as_json else DEFAULT_OUT)
    (learner,), process = find_networks(
        network,
        [seed],
        out,
        quiet,
        lambda model, process: check_draws(model, process_of(process), draws),
        instead="; use --test-T for the task length",
    )
    from analysis.audit.page import make_report
    from analysis.audit.run import audit as run

    process = process_of(process)
    result = run(
        learner,
        process,
        seed=seed,
        draws=draws,
        tasks=tasks,
        only_gap=only_gap,
        nuts=nuts,
        quiet=quiet,
        scheduler=scheduler,
        workers=workers,
    )
    finish(make_report(result, learner, process, seed), out, as_json)
