"""Where the exact gap comes from, by position: RESET, what differs where beliefs do not, or the rest.

For the histories h of one length that share a belief, weighed by p(h): r_h = q_h(RESET),
q~_h = q_h / (1 - r_h) over the K symbols, G(k) = exp(mean of log q~_h(k)), Z = sum of G(k) <= 1,
g = G / Z. Then exactly

    mean of KL(b || q_h) = mean of -log(1 - r_h)    leak: probability given to a RESET that cannot come
                         + -log Z                   same belief: answers differ where Bayes's do not
                         + KL(b || g)               rest: a wrong function of the belief

with b the Bayes predictive; the second is also the mean of KL(g || q~_h). No term is negative. Where the
belief is the counts, all orders of the same counts are equally probable: the second part is dependence
on the order of the draws, the third a wrong function of the counts. Where hardly any two histories share
a belief there is no second part, and the rest is the mean of KL(b || q~_h).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from analysis.audit.tree.belief_tree import LEAK, MEMORYLESS, RESET, SYMBOLS
from analysis.audit.tree.count_vectors import Counts
from autoregressive.scores import kl
from meta_learning.processes import Process, count_symbols

# Numbers of cells (count vectors, beliefs): one each, one a symbol.
OfCells = Float64[np.ndarray, " cells"]
OfSymbols = Float64[np.ndarray, "cells symbols"]
# A term of the gap: one a count vector, or one a position.
Term = Float64[np.ndarray, " rows"]


@dataclass(frozen=True)
class Exchangeable:
    """What a process says of draws whose order does not matter.

    log_predictive: counts (cells, K) -> log b_n(k) in nats, float64 (cells, K).
    log_probability: counts (cells, K) -> log probability of any one sequence with them (cells,).
    """

    log_predictive: Callable[[Counts], OfSymbols]
    log_probability: Callable[[Counts], OfCells]


def is_exchangeable(process: Process) -> bool:
    """Whether a process's beliefs are the counts: its statistic says so."""
    K = process.num_symbols
    histories = np.array([[0, 1, 0], [0, 0, 1], [K - 1, 1, 1]])
    statistic = process.statistic(histories)
    return statistic is not None and np.array_equal(statistic, count_symbols(histories, K))


def exchangeable(process: Process) -> Exchangeable:
    """The process by counts. Errors: ValueError where its beliefs are not a function of the counts."""
    if not is_exchangeable(process):
        raise ValueError(
            "expected a process whose answer is a function of the counts, such as "
            f"DirichletCategorical; got {type(process).__name__}"
        )

    def log_predictive(counts: Counts) -> OfSymbols:
        rows, draws, _ = _along_sorted(process, counts)
        return rows[np.arange(len(counts)), draws]

    def log_probability(counts: Counts) -> OfCells:
        rows, draws, symbols = _along_sorted(process, counts)
        own = np.take_along_axis(rows, symbols[..., None], -1)[..., 0]
        return np.where(np.arange(own.shape[1]) < draws[:, None], own, 0.0).sum(1)

    return Exchangeable(log_predictive, log_probability)


def _along_sorted(
    process: Process, counts: Counts
) -> tuple[
    Float64[np.ndarray, "cells n symbols"],
    Int64[np.ndarray, " cells"],
    Int64[np.ndarray, "cells n"],
]:
    """The exact machine along one history of each count vector, (cells, K), in the order of symbols:
    rows (cells, n, K), draws (cells,) and symbols (cells, n); what comes after a history is filled up.
    """
    draws = counts.sum(-1)
    places = np.arange(draws.max(initial=0) + 1)
    symbols = (places[:, None] >= np.cumsum(counts, axis=-1)[:, None]).sum(-1)
    symbols = np.minimum(symbols, process.num_symbols - 1)
    return process.log_predictive_along(symbols), draws, symbols


@dataclass(frozen=True)
class Decomposition:
    """Terms of the gap in nats, float64, one a row: a row is a count vector or a position.

    gap: mean of KL(Bayes || network). leak, same_belief, rest: its parts; same_belief is None where
    histories share no beliefs. reset: mean probability of RESET. memoryless: KL(Bayes || its first
    answer).
    """

    gap: Term
    leak: Term
    same_belief: Term | None
    rest: Term
    reset: Term
    memoryless: Term


def histories(counts: Counts) -> OfCells:
    """The number of orders of each count vector, n! / prod n_k!: (cells, K) -> float64 (cells,)."""
    draws = counts.sum(-1)
    factorials = np.cumprod(np.append(1.0, np.arange(1, draws.max(initial=0) + 1)))
    # Rounded to the whole number that it is: a tree that can be walked has fewer than 2^53 orders.
    return np.rint(factorials[draws] / factorials[counts].prod(-1))


def probabilities(process: Process, counts: Counts) -> OfCells:
    """The probability of each count vector among those with as many draws, its orders added up: for a
    Dirichlet prior the Dirichlet-multinomial. (cells, K) -> (cells,). Errors: as ``exchangeable``."""
    return histories(counts) * np.exp(exchangeable(process).log_probability(counts))


def by_counts(
    process: Process, counts: Counts, sums: Float64[np.ndarray, "cells symbols+2"]
) -> Decomposition:
    """The terms of each count vector.

    counts: (cells, K). sums: float64 (cells, K+2), over the histories with those counts, of
    log q~_h(k), of -log(1 - r_h) and of r_h. Errors: as ``exchangeable``.
    """
    bayes = exchangeable(process)
    log_b, log_prior = (bayes.log_predictive(n) for n in (counts, np.zeros_like(counts[:1])))
    means = sums / histories(counts)[:, None]
    return by_belief(log_b, log_prior, means[:, :-2], means[:, -2], means[:, -1])


def by_belief(
    log_b: OfSymbols,
    log_prior: Float64[np.ndarray, "1 symbols"],
    log_g: OfSymbols,
    leak: OfCells,
    reset: OfCells,
) -> Decomposition:
    """The terms of each belief, from what is predicted with it, log_b (cells, K), and at first, (1, K),
    and from means over the histories that share it: of log q~_h(k) (cells, K), of -log(1 - r_h) and of
    r_h (cells,).

    Where a term is infinite so is the gap; what is left of it where no symbol has probability after all
    of a belief's histories does not exist: NaN.
    """
    log_z = np.logaddexp.reduce(log_g, axis=-1)
    some = np.isfinite(log_z)  # else the answers of the histories have no outcome in common
    g = log_g - np.where(some, log_z, np.nan)[:, None]
    # Terms that are 0 in exact arithmetic come out at +-1e-16.
    return Decomposition(
        gap=leak + np.maximum(kl(log_b, log_g), 0.0),
        leak=leak,
        same_belief=np.where(np.isinf(leak), np.nan, np.maximum(-log_z, 0.0)),
        rest=np.maximum(kl(log_b, g), 0.0),
        reset=reset,
        memoryless=np.maximum(kl(log_b, log_prior), 0.0),
    )


def by_position(
    draws: Int64[np.ndarray, " cells"], weights: OfCells, cells: Decomposition
) -> Decomposition:
    """The mean of each term at each position, arrays (D,), from those of cells of histories of ``draws``
    draws, int (cells,), with probabilities ``weights`` among histories as long."""

    def mean(name: str) -> Term:
        values = getattr(cells, name)
        # What has no weight counts for nothing, be it infinite.
        return np.bincount(draws, np.where(weights > 0, weights * values, 0.0))

    return Decomposition(*(mean(name) for name in Decomposition.__annotations__))


def by_length(sums: Float64[np.ndarray, "lengths columns"]) -> Decomposition:
    """The terms at each position where histories share no beliefs, from the sums of a
    ``belief_walk``, float64 (D, columns)."""
    leak, reset, symbols, memoryless = (
        sums[:, column] for column in (LEAK, RESET, SYMBOLS, MEMORYLESS)
    )
    rest = np.where(np.isinf(leak), np.nan, symbols)
    return Decomposition(leak + symbols, leak, None, rest, reset, memoryless)
