"""Is the future that a network implies calibrated? Its samples of a task's rest against the true rest.

After m draws of a task the network is rolled forward to the task's end R times: each symbol is sampled
from its own probabilities and fed back. If the implied future is the true one, the randomised rank of
the true count of a symbol among the R rolled counts is uniform on 0..R (Talts et al. 2018; Säilynoja et
al. 2022). Exact Bayes goes through the same code and must pass; memoryless must not.

The task's end is given, as Bayes knows it: symbols are drawn from the K probabilities without RESET's.
How often the network would have ended the task too early is reported apart, as the mean over rolls of
1 - prod(1 - r_t) with r_t its probability of RESET. That is exact by the chain rule, with no RESET
sampled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float64, Int64, Integer, PRNGKeyArray

from analysis.audit.future_counts import CountsDistance, counts_distribution
from analysis.audit.futures import Futures, machine_futures, network_futures
from analysis.audit.tree.size import choose_draws
from analysis.report.formats import finite
from autoregressive.scores import Places
from meta_learning.learner import Learner
from meta_learning.processes import DirichletCategorical, Process
from meta_learning.processes.machine import Machine
from meta_learning.references import REFERENCES

BINS = 20


@dataclass(frozen=True)
class Calibration:
    """Ranks of the true counts of a task's rest among those of rolled-forward futures.

    predictors: names, the network first. histories: the numbers m of draws before the rolls.
    ranks: int (predictors, histories, tasks, K) in 0..rolls. pit: the same as randomised values in
    (0, 1), (rank + v) / (rolls + 1) with v uniform. p_values: of Pearson's chi-square test of the ranks
    in 20 bins, over independent tasks, (predictors, histories, K). early_end: the probability of a
    RESET before the task's end, (predictors, histories). distances: of the rolled counts from their
    exact distribution, by predictor and history; None where that has too many values to list, and for
    processes other than DirichletCategorical.
    before: counts of the history, int (histories, tasks, K). observed: the true counts of the rest, int
    (histories, tasks, K). predicted: the network's rolled counts, int (histories, tasks, rolls, K).
    draws: D, of a task. past_tasks: how many tasks come before it in its stream.
    """

    predictors: tuple[str, ...]
    histories: tuple[int, ...]
    ranks: Int64[np.ndarray, "predictors histories tasks symbols"]
    pit: Float64[np.ndarray, "predictors histories tasks symbols"]
    p_values: Float64[np.ndarray, "predictors histories symbols"]
    early_end: Float64[np.ndarray, "predictors histories"]
    distances: list[list[CountsDistance | None]]
    before: Int64[np.ndarray, "histories tasks symbols"]
    observed: Int64[np.ndarray, "histories tasks symbols"]
    predicted: Integer[np.ndarray, "histories tasks rolls symbols"]
    draws: int
    past_tasks: int

    @property
    def tasks(self) -> int:
        """How many tasks were rolled."""
        return self.observed.shape[1]

    @property
    def rolls(self) -> int:
        """How many futures were rolled from each history."""
        return self.predicted.shape[2]

    @property
    def num_symbols(self) -> int:
        """K."""
        return self.observed.shape[2]

    def p_value(self, predictor: str) -> float:
        """Of the hypothesis that all of a predictor's ranks are uniform: the smallest p of all symbols
        and histories times their number (Bonferroni), at most 1."""
        own = self.p_values[self.predictors.index(predictor)]
        return min(1.0, float(own.min() * own.size))

    def document(self) -> dict[str, object]:
        """Plain JSON values; p-values are of uniform ranks, distances are in nats a future."""
        return {
            "tasks": self.tasks,
            "rolls": self.rolls,
            "past_tasks": self.past_tasks,
            "draws": self.draws,
            "histories": list(self.histories),
            "predictors": {
                name: {
                    "p_value": self.p_value(name),
                    "by_history": [
                        {
                            "draws_before": m,
                            "p_values": [float(p) for p in self.p_values[i, j]],
                            "early_end": float(self.early_end[i, j]),
                            "counts": _distance_document(self.distances[i][j]),
                        }
                        for j, m in enumerate(self.histories)
                    ],
                }
                for i, name in enumerate(self.predictors)
            },
        }


def _distance_document(counts: CountsDistance | None) -> dict[str, object] | None:
    if counts is None:
        return None
    return {
        "p_value": finite(counts.p_value),
        "distance": counts.distance.document(),
        "cells": counts.cells,
    }


def measure_calibration(
    learner: Learner,
    process: Process,
    *,
    key: PRNGKeyArray,
    tasks: int = 1_000,
    rolls: int = 99,
    histories: Sequence[int] | None = None,
    draws: int | None = None,
    past_tasks: int = 0,
    others: Mapping[str, Machine] | None = None,
) -> Calibration:
    """Rolls a network forward from sampled histories of ``process``, and exact machines likewise.

    tasks: how many, each in a stream of its own after ``past_tasks`` earlier tasks. rolls: R, one less
    than a multiple of 20. histories: numbers of draws before the rolls; None takes 0, a quarter and a
    half of the task. draws: D, as for ``exact_gap``: rolls end there. others: the machines, by name;
    None takes Bayes and memoryless.
    Errors: ValueError for T=1, another K than the network's, histories outside 0..D-1, past tasks
    where T is infinite, fewer than 100 tasks, other rolls, or logits that are not finite.
    """
    draws = choose_draws(learner.model, process, draws)
    histories = _histories(histories, draws)
    _check(process, tasks, rolls, past_tasks)
    K, T = process.num_symbols, process.task_length
    past = past_tasks * int(T) if past_tasks else 0
    key_tasks, key_rolls, key_ties = jax.random.split(key, 3)
    length = draws if math.isinf(T) else past + int(T)
    streams = np.asarray(process.sample(key_tasks, tasks, length))[:, : past + draws]
    task = np.eye(K, dtype=np.int64)[streams[:, past:]]
    before = np.stack([task[:, :m].sum(1) for m in histories])
    observed = np.stack([task[:, m:].sum(1) for m in histories])
    exact = [
        counts_distribution(process.alpha, n, draws - m)
        if isinstance(process, DirichletCategorical)
        else None
        for n, m in zip(before, histories, strict=True)
    ]

    if others is None:
        others = {"bayes": process, "memoryless": REFERENCES["memoryless"](process)}
    futures: dict[str, Futures] = {"network": network_futures(learner, rolls)}
    futures |= {name: machine_futures(machine, rolls, draws) for name, machine in others.items()}
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key_ties)))
    ranks, early, distances, predicted = [], [], [], []
    for index, (name, sample) in enumerate(futures.items()):
        key_here = jax.random.fold_in(key_rolls, index)
        for j, m in enumerate(histories):
            key_now = jax.random.fold_in(key_here, m)
            counts, ends = sample(key_now, streams, past + m, draws - m)
            ranks.append(_ranks(rng, counts, observed[j]))
            early.append(ends)
            distribution = exact[j]
            distances.append(None if distribution is None else distribution.distance(counts))
            if name == "network":
                predicted.append(counts)
    shape = (len(futures), len(histories))
    rank = np.array(ranks).reshape(*shape, tasks, K)
    return Calibration(
        predictors=tuple(futures),
        histories=histories,
        ranks=rank,
        pit=(rank + rng.random(rank.shape)) / (rolls + 1),
        p_values=uniform_p_values(np.moveaxis(rank, -2, -1), rolls),
        early_end=np.array(early).reshape(shape),
        distances=[distances[i : i + shape[1]] for i in range(0, len(distances), shape[1])],
        before=before,
        observed=observed,
        predicted=np.stack(predicted),
        draws=draws,
        past_tasks=past_tasks,
    )


def uniform_p_values(ranks: Integer[np.ndarray, "*places tasks"], rolls: int) -> Places:
    """P-values of Pearson's chi-square test that ranks are uniform on 0..rolls: (..., tasks) -> (...).

    The 20 bins hold equally many ranks: rolls + 1 must be a multiple of 20. Tasks must be independent.
    """
    from scipy.stats import chi2

    tasks = ranks.shape[-1]
    bins = ranks * BINS // (rolls + 1)
    seen = (bins[..., None] == np.arange(BINS)).sum(-2)
    statistic = ((seen - tasks / BINS) ** 2).sum(-1) * BINS / tasks
    return chi2.sf(statistic, BINS - 1)


def _ranks(
    rng: np.random.Generator,
    predicted: Integer[np.ndarray, "tasks rolls symbols"],
    observed: Integer[np.ndarray, "tasks symbols"],
) -> Int64[np.ndarray, "tasks symbols"]:
    """Ranks of the observed counts (tasks, K) among the predicted (tasks, rolls, K), ties broken at
    random: int (tasks, K) in 0..rolls."""
    below = (predicted < observed[:, None]).sum(1)
    ties = (predicted == observed[:, None]).sum(1)
    return below + rng.integers(0, ties + 1)


def _histories(histories: Sequence[int] | None, draws: int) -> tuple[int, ...]:
    if histories is None:
        return tuple(sorted({0, round(draws / 4), round(draws / 2)} - {draws}))
    if not histories or not all(0 <= m < draws for m in histories):
        raise ValueError(
            f"histories must hold numbers of draws from 0 to {draws - 1}, before the task's last "
            f"draw; got {list(histories)}"
        )
    return tuple(sorted(set(histories)))


def _check(process: Process, tasks: int, rolls: int, past_tasks: int) -> None:
    if tasks < 5 * BINS:
        raise ValueError(f"expected {5 * BINS} or more tasks; got {tasks}")
    if rolls < BINS - 1 or (rolls + 1) % BINS:
        raise ValueError(f"rolls must be one less than a multiple of {BINS}, as 99; got {rolls}")
    if past_tasks < 0 or (past_tasks and math.isinf(process.task_length)):
        raise ValueError(
            f"past tasks must be 0 or more, and 0 where T is infinite; got {past_tasks}"
        )
