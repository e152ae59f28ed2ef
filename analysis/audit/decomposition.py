"""The parts of the exact gap: leak to RESET, different answers to the same belief, and the rest.

Take the histories h of one length that share a belief, weighted by p(h). Let r_h = q_h(RESET),
q~_h = q_h / (1 - r_h) over the K symbols, G(k) = exp(mean of log q~_h(k)), Z = sum of G(k) <= 1 and
g = G / Z. Then exactly

    mean of KL(b || q_h) = mean of -log(1 - r_h)    leak: probability given to a RESET that cannot come
                         + -log Z                   same belief: answers differ where Bayes's do not
                         + KL(b || g)               rest: a wrong function of the belief

with b the Bayes predictive. The second term is also the mean of KL(g || q~_h). No term is negative.

Where the belief is the counts, all orders of the same counts are equally probable: the second term is
dependence on the order of the draws, the third a wrong function of the counts. Where hardly any two
histories share a belief there is no second term, and the rest is the mean of KL(b || q~_h).
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

# A cell is a count vector or a belief: one number each, or one a symbol.
OfCells = Float64[np.ndarray, " cells"]
OfSymbols = Float64[np.ndarray, "cells symbols"]
# A term of the gap: one number a cell, or a position.
Term = Float64[np.ndarray, " rows"]


@dataclass(frozen=True)
class Exchangeable:
    """A process whose belief is the counts, as functions of counts (cells, K).

    log_predictive: log b_n(k), nats, float64 (cells, K). log_probability: of any one sequence with
    these counts, nats (cells,).
    """

    log_predictive: Callable[[Counts], OfSymbols]
    log_probability: Callable[[Counts], OfCells]


def is_exchangeable(process: Process) -> bool:
    """Whether a process's belief is the counts, by its ``statistic``."""
    K = process.num_symbols
    histories = np.array([[0, 1, 0], [0, 0, 1], [K - 1, 1, 1]])
    statistic = process.statistic(histories)
    return statistic is not None and np.array_equal(statistic, count_symbols(histories, K))


def exchangeable(process: Process) -> Exchangeable:
    """The process as functions of counts. Errors: ValueError where its belief is not the counts."""
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
    """The exact machine along one history of each count vector, its symbols in ascending order.

    counts: (cells, K). Returns log predictives (cells, n, K), the length of each history (cells,) and
    the histories (cells, n), padded at their ends.
    """
    draws = counts.sum(-1)
    places = np.arange(draws.max(initial=0) + 1)
    symbols = (places[:, None] >= np.cumsum(counts, axis=-1)[:, None]).sum(-1)
    symbols = np.minimum(symbols, process.num_symbols - 1)
    return process.log_predictive_along(symbols), draws, symbols


@dataclass(frozen=True)
class Decomposition:
    """Terms of the gap in nats, float64, one a cell or a position.

    gap: mean of KL(Bayes || network). leak, same_belief, rest: its parts; same_belief is None where
    histories share no beliefs. reset: mean probability of RESET. memoryless: KL(Bayes || memoryless).
    """

    gap: Term
    leak: Term
    same_belief: Term | None
    rest: Term
    reset: Term
    memoryless: Term


def number_of_orders(counts: Counts) -> OfCells:
    """How many histories have each count vector, n! / prod n_k!: (cells, K) -> float64 (cells,)."""
    draws = counts.sum(-1)
    factorials = np.cumprod(np.append(1.0, np.arange(1, draws.max(initial=0) + 1)))
    # Exact after rounding: a tree that can be walked has fewer than 2^53 orders.
    return np.rint(factorials[draws] / factorials[counts].prod(-1))


def probabilities(process: Process, counts: Counts) -> OfCells:
    """The probability of each count vector among those of its number of draws, over all orders: for a
    Dirichlet prior the Dirichlet-multinomial. (cells, K) -> (cells,). Errors: as ``exchangeable``."""
    return number_of_orders(counts) * np.exp(exchangeable(process).log_probability(counts))


def by_counts(
    process: Process, counts: Counts, sums: Float64[np.ndarray, "cells symbols+2"]
) -> Decomposition:
    """The terms of each count vector.

    counts: (cells, K). sums: over the histories with these counts, of log q~_h(k), -log(1 - r_h) and
    r_h, float64 (cells, K+2). Errors: as ``exchangeable``.
    """
    bayes = exchangeable(process)
    log_b, log_prior = (bayes.log_predictive(n) for n in (counts, np.zeros_like(counts[:1])))
    means = sums / number_of_orders(counts)[:, None]
    return by_belief(log_b, log_prior, means[:, :-2], means[:, -2], means[:, -1])


def by_belief(
    log_b: OfSymbols,
    log_prior: Float64[np.ndarray, "1 symbols"],
    log_g: OfSymbols,
    leak: OfCells,
    reset: OfCells,
) -> Decomposition:
    """The terms of each belief.

    log_b: Bayes's log predictive with it, (cells, K). log_prior: the one before any draw, (1, K).
    log_g, leak, reset: means over the histories that share the belief, of log q~_h(k) (cells, K),
    -log(1 - r_h) and r_h (cells,). Where a term is infinite so is the gap; a term that then does not
    exist is NaN.
    """
    log_z = np.logaddexp.reduce(log_g, axis=-1)
    some = np.isfinite(log_z)  # else no outcome has probability after all of the histories
    g = log_g - np.where(some, log_z, np.nan)[:, None]
    # Rounding leaves terms that are 0 at +-1e-16.
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
    """The mean of each term at each position, arrays (D,), from the terms of ``cells``.

    draws: the length of a cell's histories, int (cells,). weights: its probability among histories of
    that length, (cells,).
    """

    def mean(name: str) -> Term:
        values = getattr(cells, name)
        # 0 times an infinite term is 0 here.
        return np.bincount(draws, np.where(weights > 0, weights * values, 0.0))

    return Decomposition(*(mean(name) for name in Decomposition.__annotations__))


def by_length(sums: Float64[np.ndarray, "lengths columns"]) -> Decomposition:
    """The terms at each position where histories share no beliefs. sums: of a ``BeliefWalk``, float64
    (D, columns)."""
    leak, reset, symbols, memoryless = (
        sums[:, column] for column in (LEAK, RESET, SYMBOLS, MEMORYLESS)
    )
    rest = np.where(np.isinf(leak), np.nan, symbols)
    return Decomposition(leak + symbols, leak, None, rest, reset, memoryless)
