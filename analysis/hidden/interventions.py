"""A causal check: what does one history's state do to another history's predictions?

A task B of T - 1 draws is run from the initial state (RESET alone before it). After n draws its
state is replaced by the state that another history A of n draws leads to, and B goes on: the same
symbols x_{n+1}, .., x_{T-1} are read by both. What is measured is KL(own || swapped) in nats over all
K + 1 outcomes, at the prediction that is read out of the swapped state itself (lag 0) and at every
later drawn place of the task.

- "same_counts": A is B's first n draws in another order, drawn uniformly among the other orders. Given
  the counts all orders are equally probable, so A is a typical such history. Bayes: exactly 0.
- "other_counts": A is the first n draws of another task with other counts.
- "other_counts_bayes": KL between the exact predictive after B and after A's counts, along the same
  symbols: what "other_counts" is for a network that is Bayes.
- "other_counts_h", "other_counts_c": as "other_counts", with only that part of the state replaced.

All kinds use the same tasks B: those whose first n draws are not all the same symbol. There are such
tasks for 2 <= n <= T - 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import numpy as np

from analysis.hidden.states import Vectors, part_names, predictions_from, states_along
from analysis.intervals import Estimate, estimates, quotient
from autoregressive.scores import kl
from meta_learning.learner import Learner
from meta_learning.processes import DirichletCategorical
from meta_learning.training import stream_length

MOST_PLACES = 20
_TRIES = 60


@dataclass(frozen=True)
class Interventions:
    """Effects of swaps in nats, by kind; intervals are over tasks.

    draws: the n at which states were swapped, (P,). mean: over places n, tasks and the drawn places
    that follow. by_draws: an estimate for each n. chosen: the n in the middle, and by_lag: the effect
    there 0, 1, .. symbols after the swap. ratio: the mean over that of "other_counts".
    """

    tasks: int
    draws: np.ndarray
    mean: dict[str, Estimate]
    ratio: dict[str, Estimate]
    by_draws: dict[str, list[Estimate]]
    chosen: int
    by_lag: dict[str, list[Estimate]]


def measure_interventions(
    learner: Learner, process: DirichletCategorical, key: jax.Array, tasks: int = 2_000
) -> Interventions | None:
    """Swaps on ``tasks`` tasks of ``process``; None where a task has no place for one (T < 4), or no
    two histories differ. An endless task is cut at 100 draws."""
    length = stream_length(process.T)
    span = length if math.isinf(process.T) else int(process.T) - 1
    if span < 3:
        return None
    key_tasks, key_choice = jax.random.split(key)
    # Whole streams, of which only the first task is kept: the program that draws them exists already.
    symbols = np.asarray(process.sample(key_tasks, tasks, length))[:, :span]
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key_choice)))
    draws = np.unique(np.linspace(2, span - 1, min(MOST_PLACES, span - 2)).round().astype(int))

    names = part_names(learner.model)
    own = states_along(learner, symbols)
    bayes = process.log_predictive(symbols)
    kinds: dict[str, list[str]] = {"same_counts": names, "other_counts": names}
    if len(names) > 1:
        kinds |= {f"other_counts_{part}": [part] for part in names}
    effects: dict[str, list[np.ndarray]] = {kind: [] for kind in [*kinds, "other_counts_bayes"]}
    usable = []
    for n in map(int, draws):
        ordered, has_order = other_order(rng, symbols[:, :n])
        partner, has_partner = other_counts(rng, symbols[:, :n], process.num_symbols)
        usable.append(has_order & has_partner)
        # Rows up to n do not depend on what follows: one length, one compiled program for all n.
        reordered = states_along(learner, np.concatenate([ordered, symbols[:, n:]], axis=1))
        for kind, swapped in kinds.items():
            state = tuple(
                own.parts[part][:, n]
                if part not in swapped
                else reordered.parts[part][:, n]
                if kind == "same_counts"
                else own.parts[part][partner, n]
                for part in names
            )
            log_q = predictions_after(learner, state, symbols, n)
            effects[kind].append(kl(own.log_q[:, n:], log_q))
        mixed = np.concatenate([symbols[partner, :n], symbols[:, n:]], axis=1)
        effects["other_counts_bayes"].append(kl(bayes, process.log_predictive(mixed))[:, n:])
    if not np.any(usable):
        return None
    return _summary(tasks, draws, effects, np.array(usable))


def predictions_after(learner: Learner, state: Vectors, symbols: np.ndarray, n: int) -> np.ndarray:
    """log q of the rows n, n + 1, .. of tasks (B, L) whose state after n draws is ``state``.
    Returns float64 (B, L - n, K+1), nats."""
    rest = np.zeros_like(symbols)
    rest[:, : symbols.shape[1] - n] = symbols[:, n:]
    return predictions_from(learner, state, rest)[:, : symbols.shape[1] - n]


def other_order(rng: np.random.Generator, histories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each history (B, n) in another order, uniform among those that differ, and whether there is
    one (B,)."""
    orders = histories.copy()
    can = (histories != histories[:, :1]).any(1)
    for _ in range(_TRIES):
        same = can & (orders == histories).all(1)
        if not same.any():
            break
        orders[same] = rng.permuted(orders[same], axis=1)
    return orders, (orders != histories).any(1)


def other_counts(
    rng: np.random.Generator, histories: np.ndarray, num_symbols: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each history (B, n) the index of one with other counts, and whether there is one (B,)."""
    counts = np.stack([(histories == k).sum(1) for k in range(num_symbols)], axis=-1)
    partner = np.arange(len(histories))
    for _ in range(_TRIES):
        same = (counts[partner] == counts).all(1)
        if not same.any():
            break
        partner[same] = rng.integers(0, len(histories), same.sum())
    return partner, (counts[partner] != counts).any(1)


def _summary(
    tasks: int, draws: np.ndarray, effects: dict[str, list[np.ndarray]], usable: np.ndarray
) -> Interventions:
    """effects: a list over n of (tasks, lags). usable: bool (P, tasks)."""
    weight = usable.astype(np.float64)
    values = {"n": weight.sum(0)}
    for kind, each in effects.items():
        values[kind] = (np.stack([e.mean(1) for e in each]) * weight).sum(0)
    others = [kind for kind in effects if kind != "other_counts"]
    means = estimates(
        values,
        {f"mean.{kind}": quotient(kind, "n") for kind in effects}
        | {f"ratio.{kind}": quotient(kind, "other_counts") for kind in others},
    )
    chosen = len(draws) // 2
    return Interventions(
        tasks=tasks,
        draws=draws,
        mean={kind: means[f"mean.{kind}"] for kind in effects},
        ratio={kind: means[f"ratio.{kind}"] for kind in others},
        by_draws={
            kind: _curve(np.stack([e.mean(1) for e in each]), weight)
            for kind, each in effects.items()
        },
        chosen=int(draws[chosen]),
        by_lag={
            kind: _curve(each[chosen].T, np.broadcast_to(weight[chosen], each[chosen].T.shape))
            for kind, each in effects.items()
        },
    )


def _curve(effect: np.ndarray, weight: np.ndarray) -> list[Estimate]:
    """Weighted means over tasks of each row, (points, tasks) both."""
    values: dict[str, np.ndarray] = {}
    for point, (row, w) in enumerate(zip(effect, weight, strict=True)):
        values |= {f"sum{point}": row * w, f"n{point}": w}
    statistics = {f"{p}": quotient(f"sum{p}", f"n{p}") for p in range(len(effect))}
    means = estimates(values, statistics)
    return [means[f"{p}"] for p in range(len(effect))]
