"""Scores of log p(x_t | what is known), place by place: the same for every predictor.

A predictor's rows are log-probabilities (..., outcomes); what came is an int (...). Which places
count, and how they are averaged, is for whoever asks. Everything is float64.
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
    log_q: Float[np.ndarray, "*places outcomes"], came: Shaped[np.ndarray, "*places"]
) -> Places:
    """-log q of what came, in nats."""
    came = np.asarray(came, np.int64)
    return -np.take_along_axis(log_q, came[..., None], axis=-1)[..., 0]


def normalised(
    logits: Shaped[np.ndarray, "*places outcomes"],
) -> Float[np.ndarray, "*places outcomes"]:
    """Logits as log-probabilities over the last axis, so that every row sums to 1."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - _over(np.maximum, logits)[..., None]
    return shifted - np.log(_over(np.add, np.exp(shifted)))[..., None]


def log_sum(log_p: Float[np.ndarray, "*places outcomes"]) -> Places:
    """log of the sum of exp over the last axis; -inf where all are -inf."""
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
    log_q: Float[np.ndarray, "*places outcomes"], came: Shaped[np.ndarray, "*places"]
) -> Places:
    """Half the squared distance of q from what came.

    Half of Brier's (1950) sum over outcomes, so that for two outcomes it is (p - x)^2.
    """
    q = np.exp(log_q)
    of_came = np.exp(-log_loss(log_q, came))
    return 0.5 * (_over(np.add, q * q) - 2 * of_came + 1)


def _over(operation: np.ufunc, values: Float[np.ndarray, "*places outcomes"]) -> Places:
    """``operation.reduce`` over the last axis, outcome by outcome: for the few outcomes of a
    process NumPy is ten times as fast that way."""
    if values.shape[-1] > 32:
        return operation.reduce(values, axis=-1)
    return functools.reduce(operation, np.moveaxis(values, -1, 0))


class PlaceScores(NamedTuple):
    """Of one predictor: ``log_loss``, ``brier``, and the gap KL(reference || it)."""

    loss: Float[np.ndarray, "*places"]
    brier: Float[np.ndarray, "*places"]
    gap: Float[np.ndarray, "*places"]


def place_scores(
    log_q: Float[np.ndarray, "*places outcomes"],
    reference: Float[np.ndarray, "*places outcomes"],
    came: Shaped[np.ndarray, "*places"],
) -> PlaceScores:
    """Scores at every place."""
    return PlaceScores(log_loss(log_q, came), brier(log_q, came), kl(reference, log_q))


@dataclass(frozen=True)
class Calibration:
    """Predicted probabilities in ten equal bins: how many, their mean, how often it came.

    predicted and observed are NaN where a bin is empty.
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


def calibration(p: Float[np.ndarray, "*shape"], came: Shaped[np.ndarray, "*shape"]) -> Calibration:
    """Calibration of predicted probabilities p and whether it came (0 or 1)."""
    return from_sums(bin_sums(p, came))


def bin_sums(
    p: Float[np.ndarray, "*shape"], came: Shaped[np.ndarray, "*shape"]
) -> Float[np.ndarray, "3 10"]:
    """For each of ten bins: how many, the sum of p, how many came; adds up over chunks."""
    p = np.ravel(p).astype(np.float64)
    bins = np.minimum((p * 10).astype(int), 9)
    return np.stack([np.bincount(bins, w, minlength=10) for w in (None, p, np.ravel(came))])


def from_sums(sums: Float[np.ndarray, "3 10"]) -> Calibration:
    """The calibration that ``bin_sums`` amount to."""
    count, predicted, observed = sums
    with np.errstate(invalid="ignore"):
        return Calibration(count.astype(int), predicted / count, observed / count)
