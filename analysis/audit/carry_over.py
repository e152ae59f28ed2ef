"""What past tasks add to a network's gap through RESET, by Monte Carlo.

The exact gap starts from the network's initial state. In a stream the state before a task still holds
its past, which RESET should clear. Carry-over is the gap on a task after sampled past tasks less the
gap on the same task from the initial state, in nats a drawn symbol; it may be negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from analysis.intervals import Estimate, estimates
from autoregressive.scores import kl
from meta_learning.learner import Learner
from meta_learning.processes import Process

PAST_TASKS = 64
_CHUNK_SYMBOLS = 250_000


@dataclass(frozen=True)
class CarryOver:
    """Means over tasks with 95% intervals over them, in nats.

    mean: over all positions. by_position: one a drawn place. fresh: the gap from the initial state on
    the same tasks. past_tasks: how many come before the scored one. tasks: how many are scored.
    """

    mean: Estimate
    by_position: list[Estimate]
    fresh: Estimate
    past_tasks: int
    tasks: int


def carry_over(
    learner: Learner,
    process: Process,
    *,
    key: PRNGKeyArray,
    tasks: int = 2_000,
    past_tasks: int = PAST_TASKS,
) -> CarryOver:
    """Scores ``tasks`` independent tasks of ``process`` twice: after ``past_tasks`` sampled ones and
    from the initial state. Intervals: bootstrap over tasks of the paired differences.

    Errors: ValueError where T is 1 or infinite, K is not the network's, tasks < 2 or past_tasks < 1.
    """
    T = process.task_length
    if math.isinf(T) or T < 2:
        raise ValueError(
            "carry-over needs tasks with a draw and a RESET: T must be finite, 2 or more"
        )
    if learner.num_symbols != process.num_symbols:
        raise ValueError(
            f"the process has {process.num_symbols} symbols, the network was trained with "
            f"{learner.num_symbols}; they must agree"
        )
    if tasks < 2 or past_tasks < 1:
        raise ValueError(
            f"expected 2 or more tasks and 1 or more past ones; got {tasks}, {past_tasks}"
        )
    length = (past_tasks + 1) * int(T)
    rows = min(tasks, max(1, _CHUNK_SYMBOLS // length))
    after, fresh = [], []
    for index, start in enumerate(range(0, tasks, rows)):
        # Every chunk is drawn whole, so that one compiled program serves all.
        streams = np.asarray(process.sample(jax.random.fold_in(key, index), rows, length))
        streams = streams[: tasks - start]
        task = streams[:, -int(T) :]
        # Without the last row, of RESET: the gap is about drawn symbols.
        bayes = process.log_predictive(task)[:, :-1]
        after.append(kl(bayes, learner.log_predictive(streams)[:, -int(T) : -1]))
        fresh.append(kl(bayes, learner.log_predictive(task)[:, :-1]))
    with_past, from_start = np.concatenate(after), np.concatenate(fresh)
    with np.errstate(invalid="ignore"):  # NaN where both gaps are infinite
        change = with_past - from_start
    values = {str(n): change[:, n] for n in range(int(T) - 1)}
    values |= {"mean": change.mean(1), "fresh": from_start.mean(1)}
    means = estimates(values, {name: itemgetter(name) for name in values})
    return CarryOver(
        means["mean"],
        [means[str(n)] for n in range(int(T) - 1)],
        means["fresh"],
        past_tasks,
        tasks,
    )
