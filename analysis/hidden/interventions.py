"""A causal check: what does one history's state do to another history's predictions?

A task B of T - 1 draws is run from the initial state, with RESET alone before it. After n draws its
state is replaced by the one that another history A of n draws leads to; the network then reads the
rest of B, x_{n+1} .. x_{T-1}. The effect is KL(own || swapped) in nats over all K + 1 outcomes, at the
prediction read out of the swapped state itself (lag 0) and at every later drawn place of the task.

Kinds, with "counts" for "belief" where the process is dirichlet-categorical:

- "same_belief": A leads to the same belief by other draws (``partners``). For Bayes exactly 0.
- "other_belief": A is the first n draws of another task, with another belief.
- "nearest_belief", where no two beliefs agree: A is the first n draws, unlike B's own, of the task
  with the nearest belief (``beliefs.nearest``).
- "other_belief_bayes", "nearest_belief_bayes": KL of the exact predictives after B and after A along
  the same symbols, which is the effect on a network that is Bayes. Infinite where A rules out a symbol
  that B does not.
- "other_belief_h", "other_belief_c": as "other_belief", but only that part of the state is replaced,
  where it is a tuple of vectors.

All kinds are measured on the same pairs of a task and an n, 2 <= n <= T - 2: those that have a history
A of every kind. For dirichlet-categorical these are the tasks whose first n draws are not all alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Bool, Float64, Integer, PRNGKeyArray

from analysis.hidden.names import belief_name
from analysis.hidden.partners import Partners, partners
from analysis.hidden.states import (
    Vectors,
    part_names,
    predictions_from,
    states_along,
    vector_model,
)
from analysis.intervals import Estimate, estimates, quotient
from autoregressive.scores import kl
from meta_learning.learner import Learner
from meta_learning.processes import Machine, Process
from meta_learning.processes.places import stream_length

MOST_PLACES = 20
# KL(own || swapped), nats, at the rows of each task from the swap on.
Effect = Float64[np.ndarray, "tasks _"]


@dataclass(frozen=True)
class Interventions:
    """Effects of swapped states in nats, by kind, with intervals over tasks.

    tasks: their number. noun: "counts" or "belief", as in the names of kinds. pairs: of a task and an
    n, that all kinds are measured on. draws: every n, (P,). mean: over n, tasks and the drawn places
    that follow. ratio: ``mean`` over that of ``other``. by_draws: an estimate for each n. chosen: the
    n in the middle. by_lag: the effect 0, 1, .. symbols after a swap at ``chosen``.
    """

    tasks: int
    noun: str
    pairs: int
    draws: Integer[np.ndarray, " P"]
    mean: dict[str, Estimate]
    ratio: dict[str, Estimate]
    by_draws: dict[str, list[Estimate]]
    chosen: int
    by_lag: dict[str, list[Estimate]]

    @property
    def other(self) -> str:
        """The kind that others are compared with."""
        return f"other_{self.noun}"


def measure_interventions(
    learner: Learner, process: Process, key: PRNGKeyArray, tasks: int = 2_000
) -> Interventions | None:
    """Swaps states on ``tasks`` tasks of ``process``. None where a task is too short (T < 4), or no two
    histories differ. An endless task is cut at 100 draws."""
    T = process.task_length
    length = stream_length(T)
    span = length if math.isinf(T) else int(T) - 1
    if span < 3:
        return None
    key_tasks, key_choice = jax.random.split(key)
    # Whole streams, though only the first task is kept: the program that draws them is compiled already.
    symbols = np.asarray(process.sample(key_tasks, tasks, length))[:, :span]
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key_choice)))
    draws = np.unique(np.linspace(2, span - 1, min(MOST_PLACES, span - 2)).round().astype(int))
    found = [partners(rng, process, symbols, n) for n in map(int, draws)]
    kinds = _kinds(found)
    usable = np.array([np.logical_and.reduce([f.has[kind] for kind in kinds]) for f in found])
    if not kinds or not usable.any():
        return None

    names, vectors = part_names(learner.model), vector_model(learner.model)
    own = states_along(learner, symbols)
    noun = belief_name(process)
    bayes = process.log_predictive(symbols)
    effects: dict[str, list[Effect]] = {}

    def add(kind: str, effect: Effect) -> None:
        effects.setdefault(f"{kind.replace('belief', noun)}", []).append(effect)

    def swap(history: Integer[np.ndarray, "B L"], n: int) -> Effect:
        """The effect of the whole state that the first n draws of each history lead to."""
        mixed = np.concatenate([history[:, :n], symbols[:, n:]], axis=1)
        # At full length, though rows up to n do not need it: one compiled program serves all n.
        along = states_along(learner, mixed)
        if vectors is None:
            return kl(own.log_q[:, n:], along.log_q[:, n:])
        state = tuple(along.parts[part][:, n] for part in names)
        return _effect(learner, own.log_q, state, symbols, n)

    for n, pairs in zip(map(int, draws), found, strict=True):
        for kind in kinds:
            if kind == "same_belief":
                add(kind, swap(pairs.same, n))
                continue
            partner = pairs.other if kind == "other_belief" else pairs.nearest
            if vectors is None:
                add(kind, swap(symbols[partner], n))
            else:
                another = tuple(own.parts[part][partner, n] for part in names)
                add(kind, _effect(learner, own.log_q, another, symbols, n))
                for part in names if kind == "other_belief" and len(names) > 1 else ():
                    mixed = tuple(
                        another[i] if name == part else own.parts[name][:, n]
                        for i, name in enumerate(names)
                    )
                    add(f"{kind}_{part}", _effect(learner, own.log_q, mixed, symbols, n))
            mixed_symbols = np.concatenate([symbols[partner, :n], symbols[:, n:]], axis=1)
            # The machine's own method: B may go on with what A rules out, which is no error here.
            after = Machine.log_predictive(process, mixed_symbols)
            add(f"{kind}_bayes", kl(bayes, after)[:, n:])
    return _summary(tasks, draws, effects, usable, noun)


def _kinds(found: list[Partners]) -> list[str]:
    """Kinds that some task has a history for; the nearest belief only where none is the same."""
    there = [kind for kind in found[0].has if any(f.has[kind].any() for f in found)]
    return [kind for kind in there if kind != "nearest_belief" or "same_belief" not in there]


def _effect(
    learner: Learner,
    own: Float64[np.ndarray, "B L outcomes"],
    state: Vectors,
    symbols: Integer[np.ndarray, "B L"],
    n: int,
) -> Effect:
    """KL(own || swapped), (tasks, rows from n on)."""
    return kl(own[:, n:], predictions_after(learner, state, symbols, n))


def predictions_after(
    learner: Learner, state: Vectors, symbols: Integer[np.ndarray, "B L"], n: int
) -> Float64[np.ndarray, "B R outcomes"]:
    """log q of the rows n, n + 1, .. of tasks (B, L) whose state after n draws is ``state``.
    Returns float64 (B, L - n, K+1), nats."""
    rest = np.zeros_like(symbols)
    rest[:, : symbols.shape[1] - n] = symbols[:, n:]
    return predictions_from(learner, state, rest)[:, : symbols.shape[1] - n]


def _summary(
    tasks: int,
    draws: Integer[np.ndarray, " P"],
    effects: dict[str, list[Effect]],
    usable: Bool[np.ndarray, "P tasks"],
    noun: str,
) -> Interventions:
    """effects: a list over n of (tasks, lags). usable: bool (P, tasks)."""
    weight = usable.astype(np.float64)
    values = {"n": weight.sum(0)}
    for kind, each in effects.items():
        values[kind] = _weigh(np.stack([e.mean(1) for e in each]), weight).sum(0)
    other = f"other_{noun}"
    others = [kind for kind in effects if kind != other and other in effects]
    means = estimates(
        values,
        {f"mean.{kind}": quotient(kind, "n") for kind in effects}
        | {f"ratio.{kind}": quotient(kind, other) for kind in others},
    )
    chosen = len(draws) // 2
    return Interventions(
        tasks=tasks,
        noun=noun,
        pairs=int(usable.sum()),
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


def _weigh(
    values: Float64[np.ndarray, "*shape"], weight: Float64[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """Values where the weight is 1, and 0 where it is 0, even of what is infinite."""
    return np.where(weight > 0, values, 0.0)


def _curve(
    effect: Float64[np.ndarray, "points tasks"], weight: Float64[np.ndarray, "points tasks"]
) -> list[Estimate]:
    """Weighted means over tasks of each row, (points, tasks) both."""
    values: dict[str, Float64[np.ndarray, " tasks"]] = {}
    for point, (row, w) in enumerate(zip(effect, weight, strict=True)):
        values |= {f"sum{point}": _weigh(row, w), f"n{point}": w}
    statistics = {f"{p}": quotient(f"sum{p}", f"n{p}") for p in range(len(effect))}
    means = estimates(values, statistics)
    return [means[f"{p}"] for p in range(len(effect))]
