"""Where a predictor lies between two exact ones: the share w of the first.

Between p and p' lie m_w = p^w p'^(1-w) / Z(w), w in [0, 1]. The share of a predictor q is the w that
minimises the mean over histories of KL(q || m_w): the projection of q on an exponential family (Amari
2016). The derivative of the KL, E_m_w[r] - E_q[r] with r = log p - log p', grows with w. So there is one
minimum, and it can be found from means of derivatives over the histories.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Shaped

from autoregressive.scores import Places, log_softmax

# Where derivatives are computed; between them they are a polynomial through the nearest _POINTS.
NODES = np.linspace(0.0, 1.0, 33)
_POINTS = 6
# Probabilities below exp(-100) count as that, so that ratios stay finite.
_FLOOR = -100.0
# With mean derivatives below this the two predictors are equal, nats.
_EQUAL = 1e-12
# Log-probabilities of the symbols, nats.
Rows = Shaped[np.ndarray, "*places symbols"]


def share(log_q: Rows, log_first: Rows, log_second: Rows) -> float:
    """The share w in [0, 1] of ``log_first`` in ``log_q``, over all rows together; NaN where
    ``log_first`` and ``log_second`` agree everywhere.

    All are log-probabilities (..., K), nats, without RESET; they are normalised here.
    """
    slopes = derivatives(log_q, log_first, log_second)
    return float(share_from_slopes(slopes.reshape(-1, len(NODES)).mean(0)))


def derivatives(
    log_q: Rows, log_first: Rows, log_second: Rows
) -> Float64[np.ndarray, "*places nodes"]:
    """d KL(q || m_w) / dw of every row at w in ``NODES``, nats: (..., K) -> (..., nodes)."""
    log_p, log_other = (np.maximum(log_softmax(rows), _FLOOR) for rows in (log_first, log_second))
    ratio = log_p - log_other
    in_q = (np.exp(log_softmax(log_q)) * ratio).sum(-1)
    out = np.empty((*ratio.shape[:-1], len(NODES)))
    for node, w in enumerate(NODES):
        mixed = np.exp(log_softmax(log_other + w * ratio))
        out[..., node] = (mixed * ratio).sum(-1) - in_q
    return out


def share_from_slopes(
    slopes: Float64[np.ndarray, "*places nodes"],
) -> Float64[np.ndarray, "*places"]:
    """The w in [0, 1] at which the mean KL is least: where its derivative is 0, or the nearer end.

    slopes: mean ``derivatives``, (..., nodes). Returns (...), NaN where all are 0 or one is not finite.
    """
    slopes = np.asarray(slopes, np.float64)
    below = np.clip((slopes < 0).sum(-1) - 1, 0, len(NODES) - 2)
    first = np.clip(below - _POINTS // 2 + 1, 0, len(NODES) - _POINTS)
    places = first[..., None] + np.arange(_POINTS)
    near = np.take_along_axis(slopes, places, -1)
    step = NODES[1]
    low, high = below - first + 0.0, below - first + 1.0
    for _ in range(40):  # bisection, to 1e-12 of the interval
        middle = (low + high) / 2
        positive = _polynomial(near, middle) > 0
        low, high = np.where(positive, low, middle), np.where(positive, middle, high)
    inside = (first + low) * step
    nearest = np.where(slopes[..., 0] >= 0, 0.0, np.where(slopes[..., -1] <= 0, 1.0, inside))
    known = np.isfinite(slopes).all(-1) & (np.abs(slopes).max(-1) > _EQUAL)
    return np.where(known, nearest, np.nan)


def _polynomial(values: Float64[np.ndarray, "*places points"], at: Places) -> Places:
    """Lagrange's polynomial through ``values`` (..., _POINTS) at 0, 1, 2, .., taken ``at`` (...)."""
    total = np.zeros(np.shape(at))
    for k in range(_POINTS):
        weight = np.ones(np.shape(at))
        for other in range(_POINTS):
            if other != k:
                weight = weight * (at - other) / (k - other)
        total = total + weight * values[..., k]
    return total
