"""A network between two exact predictors: how far from both, and the mixture that is nearest to it.

Beside the project's own share (``analysis.comparison.between``), along p^w p'^(1-w), stand the two of
Wurgaft et al. (2025): the relative distance, and the weight of a plain mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from analysis.comparison.between import share
from autoregressive.scores import kl, log_softmax

Rows = Float[np.ndarray, "*places symbols"]
# Weights at which the loss of a mixture is kept.
WEIGHTS = np.linspace(0.0, 1.0, 17)
# Halvings of an interval in which a weight lies.
_HALVINGS = 24


class Between(NamedTuple):
    """Where a network q lies between p and p'. first, second: KL(p || q) and KL(p' || q), nats a
    symbol. relative: 1/2 + (d(p', q) - d(p, q)) / 2 d(p, p'), d the mean of KL both ways, cut to 0 to
    1: 1 is p. weight: w of the m = w p + (1 - w) p' for which KL(q || m) is least. left: KL(m || q)
    there. share: w of the p^w p'^(1-w)."""

    first: float
    second: float
    relative: float
    weight: float
    left: float
    share: float


def measure(log_q: Rows, log_first: Rows, log_second: Rows) -> Between:
    """All of ``Between``, means over the rows. Log-probabilities (..., K), nats, without RESET."""
    log_q = log_softmax(log_q)
    to_first, to_second = _both_ways(log_q, log_first), _both_ways(log_q, log_second)
    apart = _both_ways(log_first, log_second)
    relative = np.clip((1 + (to_second - to_first) / apart) / 2, 0.0, 1.0)
    weight = mixing_weight(log_q, log_first, log_second)
    return Between(
        float(kl(log_first, log_q).mean()),
        float(kl(log_second, log_q).mean()),
        float(relative),
        weight,
        float(kl(_mixed(log_first, log_second, weight), log_q).mean()),
        share(log_q, log_first, log_second),
    )


def mixing_weight(log_q: Rows, log_first: Rows, log_second: Rows) -> float:
    """The w in [0, 1] for which the mean of KL(q || w p + (1 - w) p') is least.

    It is convex in w: the zero of its derivative, the mean of sum_k q_k (p'_k - p_k) / (w p_k +
    (1 - w) p'_k), or the nearer end.
    """
    q, p, other = (np.exp(rows) for rows in (log_q, log_first, log_second))

    def slope(w: float) -> float:
        return float((q * (other - p) / (w * p + (1 - w) * other)).sum(-1).mean())

    low, high = 0.0, 1.0
    if slope(low) >= 0:
        return low
    if slope(high) <= 0:
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return (low + high) / 2


def mixture_losses(
    log_q: Rows, log_first: Rows, log_second: Rows
) -> Float64[np.ndarray, " weights"]:
    """Means of KL(q || w p + (1 - w) p') at every w of ``WEIGHTS``, nats."""
    log_q = log_softmax(log_q)
    return np.array([kl(log_q, _mixed(log_first, log_second, w)).mean() for w in WEIGHTS])


def crossing(x: Sequence[float], y: Sequence[float], level: float) -> float | None:
    """The x at which y falls below ``level`` for good, linear between points: None where the last y
    is not below it, or no y is above."""
    above = [at for at, value in enumerate(y) if value >= level]
    if not above or above[-1] == len(y) - 1:
        return None
    at = above[-1]
    part = (y[at] - level) / (y[at] - y[at + 1])
    return x[at] + part * (x[at + 1] - x[at])


def exponent(x: Sequence[float], y: Sequence[float | None]) -> float | None:
    """The slope of log y by log x, by least squares over the pairs that have a y: None where there
    are fewer than two."""
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if b is not None]
    if len(pairs) < 2:
        return None
    log_x, log_y = np.log(np.array(pairs)).T
    centred = log_x - log_x.mean()
    return float(centred @ log_y / (centred @ centred))


def _both_ways(log_p: Rows, log_q: Rows) -> float:
    """The mean of KL(p || q) and KL(q || p), nats."""
    return float((kl(log_p, log_q) + kl(log_q, log_p)).mean() / 2)


def _mixed(log_first: Rows, log_second: Rows, w: float) -> Rows:
    """log (w p + (1 - w) p')."""
    with np.errstate(divide="ignore"):
        mixed: Rows = np.logaddexp(log_first + np.log(w), log_second + np.log1p(-w))
    return mixed
