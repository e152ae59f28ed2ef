"""Means with 95% intervals, and what the intervals are over.

One seed: percentile bootstrap of whole streams (Efron 1979), "streams". Several seeds: Student's t over
the seeds' own values on shared streams, "seeds".

A number that cannot be below 0 (a gap, a KL, a loss, a probability) has its t interval on the
logarithm: the interval is then positive, too, and suits values whose spread grows with their size. A
share of the gap closed has its interval on the logarithm of the share that is left open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64, Shaped

_RESAMPLES = 2_000
if TYPE_CHECKING:
    Mean = np.ndarray
else:  # one number, or one a resample
    Mean = Float[np.ndarray, "..."] | float
# Means by name.
Means = Mapping[str, Mean]
# A function of means, of numbers and of arrays of resampled means alike.
Statistic = Callable[[Means], Mean | float]
# Independent values, one a seed, n >= 2.
Each = Float[np.ndarray, " n"]
# Their mean with its interval.
OverSeeds = Callable[[Each], "Estimate"]
# exp of more than this overflows in float64.
_LARGEST_LOG = 700.0
# What ``Estimate.bounds`` holds, as a coordinate of labelled arrays.
BOUNDS = ("mean", "low", "high")


@dataclass(frozen=True)
class Estimate:
    """A value and its 95% interval; None where the quantity does not exist or is infinite."""

    mean: float | None
    low: float | None
    high: float | None

    @property
    def ci95(self) -> list[float | None]:
        """Low and high."""
        return [self.low, self.high]

    def document(self) -> dict[str, object]:
        """Plain JSON values: the mean and its interval."""
        return {"mean": self.mean, "ci95": self.ci95}

    @property
    def bounds(self) -> list[float]:
        """Mean, low and high, as ``BOUNDS`` names them; NaN stands for None."""
        return [math.nan if v is None else v for v in (self.mean, self.low, self.high)]


def estimates(
    values: Mapping[str, Shaped[np.ndarray, "*seeds streams"]],
    statistics: Mapping[str, Statistic],
    over_seeds: Mapping[str, OverSeeds] | None = None,
) -> dict[str, Estimate]:
    """Every statistic of the means of ``values``, with its interval.

    values: name -> (seeds, streams); (1, streams) or (streams,) for what all seeds share.
    statistics: name -> function of {name: mean}; an estimate has the unit of what it returns.
    over_seeds: name -> ``student_log``, ``student_probability`` or ``student_share``; ``student`` where
    a name is missing.

    One seed: percentiles of 2,000 bootstrap resamples of whole streams, the same resamples for all
    values. Several seeds: Student's t over each seed's own statistics, streams held fixed.
    """
    over_seeds = over_seeds or {}
    arrays = {name: np.atleast_2d(v) for name, v in values.items()}
    seeds = max(len(v) for v in arrays.values())
    means = {name: v.mean(-1) for name, v in arrays.items()}
    if seeds > 1:
        each = {name: np.atleast_1d(statistic(means)) for name, statistic in statistics.items()}
        # What all seeds share has no spread over them, so no interval.
        return {
            name: over_seeds.get(name, student)(values)
            if len(values) > 1
            else _without_interval(values[0])
            for name, values in each.items()
        }
    draws = resampled_means(np.stack([v[0] for v in arrays.values()], axis=-1))
    resampled = dict(zip(arrays, draws.T, strict=True))
    centre = {name: v[0] for name, v in means.items()}
    return {
        name: _percentiles(statistic(centre), statistic(resampled))
        for name, statistic in statistics.items()
    }


def resampled_means(
    values: Shaped[np.ndarray, "streams quantities"],
) -> Float64[np.ndarray, "resamples quantities"]:
    """Bootstrap means of whole rows (Efron 1979): values (streams, quantities) -> (2,000, quantities).
    Each resample draws as many rows as there are, with replacement; their number alone seeds it."""
    n = len(values)
    rng = np.random.default_rng([0, n])
    out = np.empty((_RESAMPLES, values.shape[1]))
    # As numbers that BLAS multiplies.
    weights = np.empty((max(1, min(_RESAMPLES, 4_000_000 // n)), n))
    for start in range(0, _RESAMPLES, len(weights)):
        some = weights[: _RESAMPLES - start]
        for row in some:
            row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
        with np.errstate(invalid="ignore"):  # an infinite value leaves nothing finite
            out[start : start + len(some)] = some @ values / n
    return out


def quotient(numerator: str, denominator: str) -> Statistic:
    """The ratio of two means; NaN where the denominator is not above 0."""

    def statistic(mean: Means) -> Mean:
        below = np.asarray(mean[denominator])
        return np.asarray(mean[numerator]) / np.where(below > 0, below, np.nan)

    return statistic


def student(each: Each) -> Estimate:
    """The mean of independent values (n,), n >= 2, with its 95% Student t interval, n - 1 degrees of
    freedom; None where a value is not finite."""
    if not np.isfinite(each).all():
        return Estimate(None, None, None)
    mean, half = float(each.mean()), _half_width(each)
    return Estimate(mean, mean - half, mean + half)


def student_log(each: Each) -> Estimate:
    """As ``student`` for numbers that cannot be below 0: exp of Student's t interval of their
    logarithms, which is positive and has their geometric mean in its middle.

    The mean stays the arithmetic one. Where a value is 0 (or below, by rounding or sampling) it has no
    logarithm; the interval is then that of the values themselves, cut at 0.
    """
    if not np.isfinite(each).all() or (each <= 0).any():
        plain = student(each)
        if plain.low is None or plain.high is None:
            return plain
        return Estimate(plain.mean, max(plain.low, 0.0), max(plain.high, 0.0))
    mean = float(each.mean())
    if (each == each[0]).all():  # exact: exp and log would round
        return Estimate(mean, float(each[0]), float(each[0]))
    logs = np.log(each)
    ends = logs.mean() + _half_width(logs) * np.array([-1.0, 1.0])
    low, high = np.exp(np.clip(ends, -_LARGEST_LOG, _LARGEST_LOG))
    return Estimate(mean, float(low), float(high))


def student_probability(each: Each) -> Estimate:
    """As ``student_log`` for numbers in 0 to 1: the interval is cut at 1."""
    estimate = student_log(each)
    if estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(estimate.mean, min(estimate.low, 1.0), min(estimate.high, 1.0))


def student_share(each: Each) -> Estimate:
    """As ``student`` for shares of the gap closed, numbers up to 1: 1 less ``student_log`` of the
    shares left open. Where all seeds have the same memoryless gap this is the interval of their gaps,
    divided by that and taken from 1."""
    left = student_log(1 - each)
    if left.mean is None or left.low is None or left.high is None:
        return left
    return Estimate(1 - left.mean, 1 - left.high, 1 - left.low)


def _half_width(each: Each) -> float:
    """Half the width of the 95% t interval of the mean."""
    from scipy.special import stdtrit  # Student's quantiles, without the rest of scipy.stats

    return float(stdtrit(len(each) - 1, 0.975) * each.std(ddof=1) / math.sqrt(len(each)))


def _without_interval(value: float) -> Estimate:
    return Estimate(float(value) if math.isfinite(value) else None, None, None)


def _percentiles(centre: Mean | float, draws: Mean | float) -> Estimate:
    """centre: the statistic of the means; draws: that of each resample's."""
    if not math.isfinite(centre):
        return Estimate(None, None, None)
    if not np.isfinite(draws).all():  # some resamples leave nothing to divide by
        return Estimate(float(centre), None, None)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(centre), float(low), float(high))
