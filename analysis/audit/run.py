"""A network's whole audit: all its parts, with progress on stderr for the longest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax

from analysis.audit.calibration import measure_calibration
from analysis.audit.carry_over import carry_over
from analysis.audit.exact_gap import cost, exact_gap
from analysis.audit.nuts import judge_posterior
from analysis.audit.page import Audit
from analysis.audit.tree.size import choose_draws
from analysis.audit.worst_histories import worst_histories
from analysis.comparison.off_prior import off_prior
from analysis.hidden.examine import examine
from analysis.progress import LONG_S, duration, meter, say
from autoregressive.cache import cache_folder
from meta_learning.learner import TEST, Learner
from meta_learning.processes import Process

# A walk that takes longer is announced.
_WORTH_SAYING_S = 5.0


def audit(
    learner: Learner,
    process: Process,
    *,
    seed: int,
    draws: int | None = None,
    tasks: int = 10_000,
    only_gap: bool = False,
    nuts: bool = False,
    quiet: bool = True,
    scheduler: str | None = None,
    workers: int | None = None,
) -> Audit:
    """Everything that ``meta-learn audit`` reports of ``learner`` on ``process``.

    seed: of the sampled parts. draws: how many to look at where T is infinite. tasks: sampled for the
    carry-over. only_gap: leaves out other test streams, the implied future and the hidden state. nuts:
    judges the exact posterior by NUTS, too. quiet: no progress on stderr. scheduler, workers: where the
    exact gap is computed (``analysis.workers``).
    Errors: those of the parts. What a stopped walk has done is kept in the cache.
    """
    shared = scheduler is not None or workers is not None
    with _progress(learner, process, draws, quiet, shared) as on_progress:
        exact = exact_gap(
            learner,
            process,
            draws=draws,
            folder=cache_folder(),
            on_progress=on_progress,
            scheduler=scheduler,
            workers=workers,
        )
    key = jax.random.fold_in(jax.random.key(seed), TEST)
    endless = math.isinf(process.task_length)
    return Audit(
        exact,
        None if endless else carry_over(learner, process, key=key, tasks=tasks),
        worst_histories(learner, process, draws=draws),
        None if only_gap else off_prior([learner.log_predictive], process, key=key),
        None if only_gap else measure_calibration(learner, process, key=key, draws=draws),
        None if only_gap else examine(learner, process, key=key),
        judge_posterior(process, key=key, draws=choose_draws(learner.model, process, draws))
        if nuts
        else None,
    )


@contextmanager
def _progress(
    learner: Learner, process: Process, draws: int | None, quiet: bool, shared: bool
) -> Iterator[Callable[[int, int], None]]:
    """Yields ``on_progress`` for the walk: says beforehand how long a long one takes, and shows a bar
    on a terminal. shared: whether it runs on workers."""
    from rich.progress import TextColumn

    told = False
    if not quiet:
        takes = cost(learner, process, draws=draws)
        if takes.seconds > _WORTH_SAYING_S:
            told = takes.seconds > LONG_S
            say(
                f"{takes.nodes:,} histories: about {duration(takes.seconds)}"
                f"{' in this process alone' if shared else ''}, "
                f"{takes.bytes / 1e6:,.0f} MB; a stopped run goes on where it was"
            )
    column = TextColumn("{task.percentage:.0f}% of all histories")
    # The line above has said how long it takes, unless workers share it: their pace shows only now.
    with meter("exact gap", "histories", quiet, column, line=shared or not told) as show:
        yield show
