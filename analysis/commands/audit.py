"""``meta-learn audit``: the exact gap of one network over all histories of a task, and its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.common import (
    TASK_LENGTH,
    arguments,
    command_line,
    interval,
    nats,
    percent,
    print_results,
    progress_bar,
    shared_options,
)
from analysis.commands.networks import (
    NetworkOptions,
    dirichlet_name,
    find_networks,
    network_name,
    network_options,
)

if TYPE_CHECKING:
    from analysis.carry_over import CarryOver
    from analysis.exact_gap import ExactGap
    from analysis.report import Panel, Table
    from analysis.worst_histories import WorstHistories
    from meta_learning.learner import Learner
    from meta_learning.process import DirichletCategorical

DEFAULT_OUT = Path("meta-learn-audit")

_EXAMPLES = """\
Examples:

\b
  meta-learn audit --experiment M1
  meta-learn audit --checkpoint meta-learn-report/network-seed0.safetensors
  meta-learn audit --checkpoint m2/network-seed0.safetensors --test-T 12
"""
_TERMS = {
    "leak": "leak: probability given to RESET",
    "order": "dependence on the order",
    "counts": "wrong function of the counts",
}


@click.command(epilog=_EXAMPLES)
@network_options
@click.option("--test-T", "test_task_length", type=TASK_LENGTH,
              help="Task length of the audit.  [as trained]")  # fmt: skip
@click.option("--draws", type=click.IntRange(1), help="Draws to look at where T is inf.")
@click.option("--tasks", default=10_000, show_default=True, type=click.IntRange(2),
              help="Sampled tasks for the carry-over through RESET.")  # fmt: skip
@shared_options
def audit(
    network: NetworkOptions,
    test_task_length: float | None,
    draws: int | None,
    tasks: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Where does a network differ from Bayes? Over all histories of a task, without sampling error.

    The gap KL(Bayes || network) after a RESET is the exact mean over every history of a task, split
    into leak to RESET, dependence on the order of the symbols, and a wrong function of their counts.
    What earlier tasks add to it through RESET is sampled. T=20 with three symbols has 581 million
    histories and takes minutes; a stopped run goes on where it was. The report goes to --out
    (default: ./meta-learn-audit).
    """
    from analysis.exact_gap import check
    from meta_learning.process import DirichletCategorical

    def audited(process: DirichletCategorical) -> DirichletCategorical:
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
    _audit(learner, process, draws, tasks, seed, out, quiet, as_json)


def _audit(
    learner: Learner, process: DirichletCategorical, draws: int | None, tasks: int, seed: int,
    out: Path | None, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Everything after the network is there."""
    import math

    import jax

    from analysis.carry_over import carry_over
    from analysis.exact_gap import exact_gap
    from analysis.report import manifest, write_json, write_page
    from analysis.worst_histories import worst_histories
    from autoregressive.cache import cache_folder
    from autoregressive.checkpoint import tensors_digest
    from meta_learning.learner import TEST

    with _progress(learner, process, draws, quiet) as on_progress:
        found = exact_gap(
            learner, process, draws=draws, folder=cache_folder(), on_progress=on_progress
        )
    carried = None
    if not math.isinf(process.T):
        key = jax.random.fold_in(jax.random.key(seed), TEST)
        carried = carry_over(learner, process, key=key, tasks=tasks)
    worst = worst_histories(learner, process, draws=draws)
    document = {
        **process.settings(),
        "cell": learner.settings["cell"],
        "hidden": learner.settings["hidden"],
        **found.document(),
        "carry_over": carried and {
            "mean": carried.mean.mean, "ci95": carried.mean.ci95,
            "past_tasks": carried.past_tasks, "tasks": carried.tasks,
        },
        "worst_histories": {
            "longest": worst.longest,
            "by_gap": [_history(h) for h in worst.by_gap],
            "by_weight": [_history(h) for h in worst.by_weight],
        },
    }  # fmt: skip
    tables = [_budget_table(found, carried), _worst_table(worst)]
    title = _title(learner, process)
    lead = _lead(found)
    if out is not None:
        made = manifest(
            arguments(), [seed], network_digest=tensors_digest(learner.params),
        )  # fmt: skip
        write_json(out / "audit.json", document)
        write_json(out / "manifest.json", made)
        learner.save(out / "network.safetensors")
        write_page(
            out, title=title, lead=lead, tables=tables, panels=[_panel(found, carried)],
            command=command_line(), run=made,
        )  # fmt: skip
    print_results(document, as_json, title, tables, out, lead)


def _title(learner: Learner, process: DirichletCategorical) -> str:
    network, prior = network_name(learner.settings), dirichlet_name(process.alpha)
    return f"{network} on {prior}, T={process.T}: all histories"


def _lead(found: ExactGap) -> str:
    largest = max(found.terms, key=lambda name: found.terms[name])
    closed = found.gap_closed
    share = "" if closed is None else f" and closes {percent(closed)} of memoryless's"
    return (
        f"Over all {found.nodes:,} histories of a task after a RESET the gap to Bayes is exactly "
        f"{nats(found.gap)} nats a symbol{share}. Its largest part: {_TERMS[largest]}, "
        f"{nats(found.terms[largest])}."
    )


def _budget_table(found: ExactGap, carried: CarryOver | None) -> Table:
    from analysis.report import Table

    def share(value: float) -> str:
        return percent(value / found.gap) if found.gap > 0 else "-"

    rows = [["gap KL(Bayes || network)", nats(found.gap), share(found.gap)]]
    rows += [[_TERMS[name], nats(value), share(value)] for name, value in found.terms.items()]
    rows.append(["gap of a memoryless predictor", nats(found.memoryless), ""])
    note = (
        "Nats a drawn symbol, exact to float32 rounding of the network: no sampling. The three parts "
        "sum to the gap."
    )
    if carried is not None:
        note += (
            f" Apart from it, sampled: after {carried.past_tasks} earlier tasks the gap changes by "
            f"{nats(carried.mean.mean)} (95% interval over {carried.tasks:,} tasks "
            f"{interval(carried.mean.ci95)})."
        )
    return Table("The exact gap and its parts", ["part", "nats", "share of the gap"], rows, note)


def _worst_table(worst: WorstHistories) -> Table:
    from analysis.report import Table

    rows = [
        ["".join(map(str, h.symbols)) or "(none)", f"{h.probability:.2e}", nats(h.gap)]
        for h in worst.by_gap
    ]
    return Table(
        "The worst histories, by their gap at the next draw",
        ["symbols since RESET", "probability", "gap, nats"],
        rows,
        f"Of all histories of up to {worst.longest} draws. Probability: of just these symbols.",
    )


def _history(history: Any) -> dict[str, Any]:
    return {
        "symbols": [int(s) for s in history.symbols],
        "probability": float(history.probability),
        "gap": float(history.gap),
        "bayes": [float(p) for p in history.bayes],
        "network": [float(p) for p in history.network],
    }


def _panel(found: ExactGap, carried: CarryOver | None) -> Panel:
    from analysis.audit_figures import error_budget
    from analysis.report import Panel

    return Panel(
        "error-budget",
        error_budget(found, carried),
        "Stacked parts of the exact gap by position within the task; beside them the carry-over.",
        "Where the error sits: the exact gap after a RESET by position, split into its three parts. "
        "Where there is a second panel, it shows what earlier tasks change, with 95% intervals.",
    )


@contextmanager
def _progress(
    learner: Learner, process: DirichletCategorical, draws: int | None, quiet: bool
) -> Iterator[Callable[[int, int], None]]:
    """Says what a long walk takes before it starts, and shows a bar on a terminal."""
    from rich.progress import TextColumn

    from analysis.exact_gap import cost

    if not quiet:
        takes = cost(learner, process, draws=draws)
        if takes.seconds > 5:
            click.echo(
                f"{takes.nodes:,} histories: about {takes.seconds:.0f} s, "
                f"{takes.bytes / 1e6:,.0f} MB; a stopped run goes on where it was",
                err=True,
            )
    with progress_bar(quiet, TextColumn("{task.percentage:.0f}% of all histories")) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, nodes: bar.update(task, completed=done, total=nodes)
