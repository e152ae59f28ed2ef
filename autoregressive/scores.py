"""Scores of log p(x_t | what is known), place by place: the same for every predictor.

A predictor's rows are log-probabilities (..., outcomes), nats; targets, int (...), are the outcomes
that came. The caller decides which places count and how they are averaged. Everything is float64.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

if TYPE_CHECKING:
    Places = np.ndarray
else:  # NumPy makes a scalar of one place without an axis
    Places = Float[np.ndarray, "*places"] | np.floating


def log_loss(
    log_q: Float[np.ndarray, "*places outcomes"], targets: Shaped[np.ndarray, "*places"]
) -> Places:
    """-log q of the targets, nats."""
    indices = np.asarray(targets, np.int64)[..., None]
    return -np.take_along_axis(log_q, indices, axis=-1)[..., 0]


def log_softmax(
    logits: Shaped[np.ndarray, "*places outcomes"],
) -> Float[np.ndarray, "*places outcomes"]:
    """Logits (..., outcomes) as log-probabilities over the last axis: every row sums to 1."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - _over(np.maximum, logits)[..., None]
    return shifted - np.log(_over(np.add, np.exp(shifted)))[..., None]


def logsumexp(log_p: Float[np.ndarray, "*places outcomes"]) -> Places:
    """log of the sum of exp over the last axis: (..., outcomes) -> (...); -inf where all are -inf."""
    top = _over(np.maximum, log_p)
    with np.errstate(invalid="ignore"):
        found = top + np.log(_over(np.add, np.exp(log_p - top[..., None])))
    return np.where(np.isneginf(top), top, found)


def kl(
    log_p: Float[np.ndarray, "*#places outcomes"], log_q: Float[np.ndarray, "*#places outcomes"]
) -> Places:
    """KL(p || q) over the last axis in nats, with 0 log 0 = 0; +inf where q is 0 and p is not."""
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):
        terms = p * (log_p - log_q)
    return _over(np.add, np.where(p > 0, terms, 0.0))


def brier(
    log_q: Float[np.ndarray, "*places outcomes"], targets: Shaped[np.ndarray, "*places"]
) -> Places:
    """The Brier score: half the squared distance of q from the target's one-hot vector.

    It is half of Brier's (1950) sum over outcomes, so that for two outcomes it is (p - x)^2.
    """
    q = np.exp(log_q)
    of_target = np.exp(-log_loss(log_q, targets))
    return 0.5 * (_over(np.add, q * q) - 2 * of_target + 1)


def _over(operation: np.ufunc, values: Float[np.ndarray, "*places outcomes"]) -> Places:
    """``operation.reduce`` over the last axis, one outcome after the other: for few outcomes NumPy is
    ten times as fast that way."""
    if values.shape[-1] > 32:
        return operation.reduce(values, axis=-1)
    return functools.reduce(operation, np.moveaxis(values, -1, 0))


class PlaceScores(NamedTuple):
    """Scores of one predictor: ``log_loss``, ``brier``, and the gap KL(reference || predictor), nats."""

    loss: Float[np.ndarray, "*places"]
    brier: Float[np.ndarray, "*places"]
    gap: Float[np.ndarray, "*places"]


def place_scores(
    log_q: Float[np.ndarray, "*places outcomes"],
    reference: Float[np.ndarray, "*places outcomes"],
    targets: Shaped[np.ndarray, "*places"],
) -> PlaceScores:
    """Scores at every place."""
    return PlaceScores(log_loss(log_q, targets), brier(log_q, targets), kl(reference, log_q))


@dataclass(frozen=True)
class Calibration:
    """Predicted probabilities of an event in ten equal bins of [0, 1].

    count: predictions in a bin. predicted: their mean. observed: the frequency of the event. The last
    two are NaN where a bin is empty.
    """

    count: Int[np.ndarray, "10"]
    predicted: Float[np.ndarray, "10"]
    observed: Float[np.ndarray, "10"]

    def rows(self) -> list[dict[str, float | int | None]]:
        """The bins as JSON values, None where a bin is empty."""
        bins = zip(self.count, self.predicted, self.observed, strict=True)
        return [
            {
                "pixels": int(n),
                "predicted": float(p) if n else None,
                "observed": float(o) if n else None,
            }
            for n, p, o in bins
        ]


def calibration(
    p: Float[np.ndarray, "*shape"], targets: Shaped[np.ndarray, "*shape"]
) -> Calibration:
    """Calibration of predicted probabilities p of an event. targets: 1 where it targets, else 0."""
    return calibration_from_sums(bin_sums(p, targets))


def bin_sums(
    p: Float[np.ndarray, "*shape"], targets: Shaped[np.ndarray, "*shape"]
) -> Float[np.ndarray, "3 10"]:
    """Of each of ten bins: how many predictions, the sum of p, and of targets; chunks can be added."""
    p = np.ravel(p).astype(np.float64)
    bins = np.minimum((p * 10).astype(int), 9)
    return np.stack([np.bincount(bins, w, minlength=10) for w in (None, p, np.ravel(targets))])


def calibration_from_sums(sums: Float[np.ndarray, "3 10"]) -> Calibration:
    """The calibration of what ``bin_sums`` gave."""
    count, predicted, observed = sums
    with np.errstate(invalid="ignore"):
        return Calibration(count.astype(int), predicted / count, observed / count)
