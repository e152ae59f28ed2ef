"""Answers worked out by other means than the code under test: exact fractions, enumeration."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
from scipy.special import digamma, gammaln


def is_reset(place: int, T: float) -> bool:
    """Whether a place of a stream holds RESET: the T-th of every task."""
    return not math.isinf(T) and (place + 1) % int(T) == 0


def all_streams(K: int, T: float, length: int) -> np.ndarray:
    """Every stream of a length that T allows, one a row."""
    choices = [[K] if is_reset(t, T) else range(K) for t in range(length)]
    return np.array(list(itertools.product(*choices)))


@cache
def predictive(alpha: tuple[float, ...], counts: tuple[int, ...]) -> tuple[Fraction, ...]:
    """The rule of succession in exact fractions: (alpha_k + n_k) / sum(alpha + n)."""
    weights = [Fraction(a) + n for a, n in zip(alpha, counts, strict=True)]
    return tuple(w / sum(weights) for w in weights)


def log_predictive(alpha: tuple[float, ...], T: float, stream) -> np.ndarray:
    """Rows of log p(x_t | x_<t) along one stream, from exact fractions. (L, K+1)."""
    K = len(alpha)
    rows, counts = [], [0] * K
    for t, symbol in enumerate(stream):
        if is_reset(t, T):
            rows.append([-math.inf] * K + [0.0])
            counts = [0] * K
        else:
            rows.append([math.log(f) for f in predictive(alpha, tuple(counts))] + [-math.inf])
            counts[symbol] += 1
    return np.array(rows)


def count_vectors(n: int, K: int) -> list[tuple[int, ...]]:
    """Every way to share n draws among K symbols."""
    if K == 1:
        return [(n,)]
    return [(first, *rest) for first in range(n + 1) for rest in count_vectors(n - first, K - 1)]


def log_count_probability(alpha, counts) -> float:
    """log of the Dirichlet-multinomial probability of counts, any order."""
    alpha, counts = np.asarray(alpha), np.asarray(counts)
    n, total = counts.sum(), alpha.sum()
    ways = gammaln(n + 1) - gammaln(counts + 1).sum()
    rising = (gammaln(alpha + counts) - gammaln(alpha)).sum()
    return float(ways + rising - gammaln(total + n) + gammaln(total))


def prefixes(alpha, T: int):
    """All count vectors before the draws of one task.

    Returns (weights, places, streams): the weights of a mean over count vectors and draws, the
    place predicted, and for each a stream of one task whose past has those counts.
    """
    K = len(alpha)
    weights, places, streams = [], [], []
    for n in range(T - 1):
        for counts in count_vectors(n, K):
            weights.append(math.exp(log_count_probability(alpha, counts)) / (T - 1))
            places.append(n)
            past = [k for k, c in enumerate(counts) for _ in range(c)]
            streams.append(past + [0] * (T - 1 - n) + [K])
    return np.array(weights), np.array(places), np.array(streams)


def exact_losses(alpha, T: int, pseudo_count: float | None = None) -> tuple[float, float]:
    """(Bayes's loss, the excess over it of a predictor) in nats a draw, by enumeration of counts.

    The predictor adds ``pseudo_count`` to every count; None is the memoryless alpha / sum(alpha).
    """
    alpha = np.asarray(alpha, float)
    loss = excess = 0.0
    for n in range(T - 1):
        for counts in count_vectors(n, len(alpha)):
            weight = math.exp(log_count_probability(alpha, counts)) / (T - 1)
            bayes = (alpha + counts) / (alpha.sum() + n)
            guess = alpha if pseudo_count is None else np.asarray(counts) + pseudo_count
            guess = guess / guess.sum()
            loss -= weight * (bayes * np.log(bayes)).sum()
            excess += weight * (bayes * np.log(bayes / guess)).sum()
    return loss, excess


def oracle_loss(alpha) -> float:
    """The mean entropy of p ~ Dirichlet(alpha), in nats, in closed form."""
    alpha = np.asarray(alpha, float)
    mean = alpha / alpha.sum()
    return float(digamma(alpha.sum() + 1) - (mean * digamma(alpha + 1)).sum())
