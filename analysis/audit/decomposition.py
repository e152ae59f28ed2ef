"""Where the exact gap comes from, by position: RESET, the order of the draws, or the counts.

For the histories h with counts n, all equally probable: r_h = q_h(RESET), q~_h = q_h / (1 - r_h) over
the K symbols, G_n(k) = exp(mean of log q~_h(k)), Z_n = sum of G_n(k) <= 1, g_n = G_n / Z_n. Then exactly

    mean of KL(b_n || q_h) = mean of -log(1 - r_h)    leak: probability given to a RESET that cannot come
                           + -log Z_n                 order: the answer depends on the order of the draws
                           + KL(b_n || g_n)           counts: a wrong function of the counts

with b_n the Bayes predictive; order is also the mean of KL(g_n || q~_h). No term is negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autoregressive.scores import kl
from meta_learning.processes import Process, count_symbols


@dataclass(frozen=True)
class Exchangeable:
    """What a process says of draws whose order does not matter.

    log_predictive: counts (cells, K) -> log b_n(k) in nats, float64 (cells, K).
    log_probability: counts (cells, K) -> log probability of any one sequence with them (cells,).
    """

    log_predictive: Callable[[np.ndarray], np.ndarray]
    log_probability: Callable[[np.ndarray], np.ndarray]


def exchangeable(process: Process) -> Exchangeable:
    """The process by counts. Errors: ValueError where its beliefs are not a function of the counts."""
    K = process.num_symbols
    histories = np.array([[0, 1, 0], [0, 0, 1], [K - 1, 1, 1]])
    statistic = process.statistic(histories)
    if statistic is None or not np.array_equal(statistic, count_symbols(histories, K)):
        raise ValueError(
            "the exact gap needs a process whose answer is a function of the counts, such as "
            f"DirichletCategorical; got {type(process).__name__}"
        )

    def log_predictive(counts: np.ndarray) -> np.ndarray:
        rows, draws, _ = _along_sorted(process, counts)
        return rows[np.arange(len(counts)), draws]

    def log_probability(counts: np.ndarray) -> np.ndarray:
        rows, draws, symbols = _along_sorted(process, counts)
        own = np.take_along_axis(rows, symbols[..., None], -1)[..., 0]
        return np.where(np.arange(own.shape[1]) < draws[:, None], own, 0.0).sum(1)

    return Exchangeable(log_predictive, log_probability)


def _along_sorted(process: Process, counts: np.ndarray) -> tuple[np.ndarray, ...]:
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

    gap: mean of KL(Bayes || network). leak, order, counts: its parts. reset: mean probability of
    RESET. memoryless: KL(Bayes || prior mean).
    """

    gap: np.ndarray
    leak: np.ndarray
    order: np.ndarray
    counts: np.ndarray
    reset: np.ndarray
    memoryless: np.ndarray


def histories(counts: np.ndarray) -> np.ndarray:
    """The number of orders of each count vector, n! / prod n_k!: (cells, K) -> float64 (cells,)."""
    draws = counts.sum(-1)
    factorials = np.cumprod(np.append(1.0, np.arange(1, draws.max(initial=0) + 1)))
    # Rounded to the whole number that it is: a tree that can be walked has fewer than 2^53 orders.
    return np.rint(factorials[draws] / factorials[counts].prod(-1))


def probabilities(process: Process, counts: np.ndarray) -> np.ndarray:
    """The probability of each count vector among those with as many draws, its orders added up: for a
    Dirichlet prior the Dirichlet-multinomial. (cells, K) -> (cells,). Errors: as ``exchangeable``."""
    return histories(counts) * np.exp(exchangeable(process).log_probability(counts))


def by_counts(process: Process, counts: np.ndarray, sums: np.ndarray) -> Decomposition:
    """The terms of each count vector.

    counts: (cells, K). sums: float64 (cells, K+2), over the histories with those counts, of
    log q~_h(k), of -log(1 - r_h) and of r_h. Where a term is infinite so is the gap; what is left of
    it, order and counts where no symbol has probability in all orders, does not exist: NaN.
    Errors: as ``exchangeable``.
    """
    bayes = exchangeable(process)
    log_b, log_prior = (bayes.log_predictive(n) for n in (counts, np.zeros_like(counts[:1])))
    means = sums / histories(counts)[:, None]
    log_g, leak, reset = means[:, :-2], means[:, -2], means[:, -1]
    log_z = np.logaddexp.reduce(log_g, axis=-1)
    some = np.isfinite(log_z)  # else the answers of the orders have no outcome in common
    g = log_g - np.where(some, log_z, np.nan)[:, None]
    # Terms that are 0 in exact arithmetic come out at +-1e-16.
    return Decomposition(
        gap=leak + np.maximum(kl(log_b, log_g), 0.0),
        leak=leak,
        order=np.where(np.isinf(leak), np.nan, np.maximum(-log_z, 0.0)),
        counts=np.maximum(kl(log_b, g), 0.0),
        reset=reset,
        memoryless=np.maximum(kl(log_b, log_prior), 0.0),
    )


def by_position(process: Process, counts: np.ndarray, cells: Decomposition) -> Decomposition:
    """The mean of each term at each position, arrays (D,): count vectors of as many draws, counts
    (cells, K), weighed by their probability. Errors: as ``exchangeable``."""
    draws = counts.sum(-1)
    weights = probabilities(process, counts)
    return Decomposition(
        *(
            np.bincount(draws, weights * getattr(cells, name))
            for name in Decomposition.__annotations__
        )
    )
