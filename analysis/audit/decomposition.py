"""Where the exact gap comes from, by position: RESET, the order of the draws, or the counts.

For the histories h with counts n, all equally probable: r_h = q_h(RESET), q~_h = q_h / (1 - r_h) over
the K symbols, G_n(k) = exp(mean of log q~_h(k)), Z_n = sum of G_n(k) <= 1, g_n = G_n / Z_n. Then exactly

    mean of KL(b_n || q_h) = mean of -log(1 - r_h)    leak: probability given to a RESET that cannot come
                           + -log Z_n                 order: the answer depends on the order of the draws
                           + KL(b_n || g_n)           counts: a wrong function of the counts

with b_n the Bayes predictive; order is also the mean of KL(g_n || q~_h). No term is negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoregressive.scores import kl
from meta_learning.processes import DirichletCategorical, Process


@dataclass(frozen=True)
class Exchangeable:
    """What a process says of draws whose order does not matter.

    log_predictive: counts (cells, K) -> log b_n(k) in nats, float64 (cells, K).
    log_probability: counts (cells, K) -> log probability of any one sequence with them (cells,).
    """

    log_predictive: Callable[[np.ndarray], np.ndarray]
    log_probability: Callable[[np.ndarray], np.ndarray]


def exchangeable(process: Process) -> Exchangeable:
    """The process by counts. Errors: ValueError where its orders are not equally probable, or where
    that is not known here."""
    for kind, make in EXCHANGEABLE.items():
        if isinstance(process, kind):
            return make(process)
    raise ValueError(
        f"the exact gap needs a process whose answer is a function of the counts, one of "
        f"{', '.join(kind.__name__ for kind in EXCHANGEABLE)}; got {type(process).__name__}"
    )


def _dirichlet(process: DirichletCategorical) -> Exchangeable:
    alpha = np.asarray(process.alpha)
    total = math.fsum(alpha)

    def log_predictive(counts: np.ndarray) -> np.ndarray:
        weights = alpha + counts
        return np.log(weights) - np.log(weights.sum(-1, keepdims=True))

    def log_probability(counts: np.ndarray) -> np.ndarray:
        # Rising factorials as sums of logs: differences of log-gammas lose digits at large alpha.
        steps = np.arange(int(counts.sum(-1).max(initial=0)))
        rising = np.cumsum(np.log(np.append(alpha, total)[:, None] + steps), axis=1)
        rising = np.pad(rising, ((0, 0), (1, 0)))
        own = rising[np.arange(len(alpha)), counts].sum(-1)
        return own - rising[-1, counts.sum(-1)]

    return Exchangeable(log_predictive, log_probability)


EXCHANGEABLE: dict[type[Process], Callable[[Any], Exchangeable]] = {
    DirichletCategorical: _dirichlet,
}


@dataclass(frozen=True)
class Budget:
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


def by_counts(process: Process, counts: np.ndarray, sums: np.ndarray) -> Budget:
    """The terms of each count vector.

    counts: (cells, K). sums: float64 (cells, K+2), over the histories with those counts, of
    log q~_h(k), of -log(1 - r_h) and of r_h. Where a term is infinite so is the gap; what is left of
    it, order and counts where no symbol has probability in all orders, does not exist: NaN.
    Errors: as ``exchangeable``.
    """
    law = exchangeable(process)
    log_b, log_prior = law.log_predictive(counts), law.log_predictive(np.zeros_like(counts[:1]))
    means = sums / histories(counts)[:, None]
    log_g, leak, reset = means[:, :-2], means[:, -2], means[:, -1]
    log_z = np.logaddexp.reduce(log_g, axis=-1)
    some = np.isfinite(log_z)  # else the answers of the orders have no outcome in common
    g = log_g - np.where(some, log_z, np.nan)[:, None]
    # Terms that are 0 in exact arithmetic come out at +-1e-16.
    return Budget(
        gap=leak + np.maximum(kl(log_b, log_g), 0.0),
        leak=leak,
        order=np.where(np.isinf(leak), np.nan, np.maximum(-log_z, 0.0)),
        counts=np.maximum(kl(log_b, g), 0.0),
        reset=reset,
        memoryless=np.maximum(kl(log_b, log_prior), 0.0),
    )


def by_position(process: Process, counts: np.ndarray, cells: Budget) -> Budget:
    """The mean of each term at each position, arrays (D,): count vectors of as many draws, counts
    (cells, K), weighed by their probability. Errors: as ``exchangeable``."""
    draws = counts.sum(-1)
    weights = probabilities(process, counts)
    return Budget(
        *(np.bincount(draws, weights * getattr(cells, name)) for name in Budget.__annotations__)
    )
