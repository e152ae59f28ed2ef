"""Means with 95% intervals, and what the intervals are over.

One seed: percentile bootstrap of whole streams (Efron 1979), "streams". Several seeds: Student t over
the seeds' own values on shared streams, "seeds". A number that cannot be below 0 (a gap, a KL, a loss,
a probability) has its t interval on the logarithm, so that it is positive, too, and suits values whose
spread goes with their size; a share of the gap closed has it on the logarithm of what is left open.
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
else:  # a number, or one of each resample
    Mean = Float[np.ndarray, "..."] | float
# A statistic of the means, by name; works on numbers and on arrays of resampled means alike.
Means = Mapping[str, Mean]
Statistic = Callable[[Means], Mean | float]
# Independent values, n >= 2, one a seed.
Each = Float[np.ndarray, " n"]
# From them their mean with its interval.
OverSeeds = Callable[[Each], "Estimate"]
# Logarithms beyond it, either way, are no numbers of float64.
_LARGEST_LOG = 700.0
# What an estimate holds, as a coordinate of labelled arrays.
BOUNDS = ("mean", "low", "high")


@dataclass(frozen=True)
class Estimate:
    """A value and its 95% interval; None where the quantity does not exist or is infinite."""

    mean: float | None
    low: float | None
    high: float | None

    @property
    def ci95(self) -> list[float | None]:
        """Low and high, as JSON has them."""
        return [self.low, self.high]

    @property
    def bounds(self) -> list[float]:
        """As ``BOUNDS`` names them; NaN stands for None."""
        return [math.nan if v is None else v for v in (self.mean, self.low, self.high)]


def estimates(
    values: Mapping[str, Shaped[np.ndarray, "*seeds streams"]],
    statistics: Mapping[str, Statistic],
    over_seeds: Mapping[str, OverSeeds] | None = None,
) -> dict[str, Estimate]:
    """Every statistic of the means of ``values``, with its interval.

    values: name -> (seeds, streams); (1, streams) or (streams,) for what all seeds share.
    statistics: name -> function of {name: mean}, in the unit of what it returns. One seed:
    percentiles of 2,000 bootstrap resamples of whole streams, the same ones for all values. Several:
    Student's t over the seeds' own statistics, streams held fixed, as ``over_seeds`` says: name ->
    ``student``, which is meant where a name is missing, ``student_log``, ``student_probability`` or
    ``student_share``.
    """
    over_seeds = over_seeds or {}
    arrays = {name: np.atleast_2d(v) for name, v in values.items()}
    seeds = max(len(v) for v in arrays.values())
    means = {name: v.mean(-1) for name, v in arrays.items()}
    if seeds > 1:
        each = {name: np.atleast_1d(statistic(means)) for name, statistic in statistics.items()}
        # What all seeds share has no spread over seeds, and so no interval over them.
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
    values: Shaped[np.ndarray, "streams quantities"], seed: int = 0
) -> Float64[np.ndarray, "resamples quantities"]:
    """Bootstrap means of whole rows (Efron 1979): values (streams, quantities) -> (2,000, quantities).
    Rows are drawn with replacement, n of n, by a generator of ``seed`` and n."""
    n = len(values)
    rng = np.random.default_rng([seed, n])
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


def quotient(above: str, below: str) -> Statistic:
    """The ratio of two means; NaN where the lower one is 0."""

    def statistic(mean: Means) -> Mean:
        lower = np.asarray(mean[below])
        return np.asarray(mean[above]) / np.where(lower > 0, lower, np.nan)

    return statistic


def student(each: Each) -> Estimate:
    """The mean of independent values (n,), n >= 2, with its 95% Student t interval, n - 1 degrees of
    freedom; None where a value is not finite."""
    if not np.isfinite(each).all():
        return Estimate(None, None, None)
    mean, half = float(each.mean()), _half(each)
    return Estimate(mean, mean - half, mean + half)


def student_log(each: Each) -> Estimate:
    """As ``student`` for numbers that cannot be below 0: the interval is Student's t on their
    logarithms, put back by exp, so it is positive and its middle is their geometric mean.

    The mean stays the arithmetic one. Where a value is 0 (or, by rounding or sampling, below it) there
    is no logarithm: the t interval of the values themselves, cut at 0; [0, 0] where all are 0.
    """
    if not np.isfinite(each).all() or (each <= 0).any():
        plain = student(each)
        if plain.low is None or plain.high is None:
            return plain
        return Estimate(plain.mean, max(plain.low, 0.0), max(plain.high, 0.0))
    mean = float(each.mean())
    if (each == each[0]).all():  # without the rounding of exp and log
        return Estimate(mean, float(each[0]), float(each[0]))
    logs = np.log(each)
    ends = logs.mean() + _half(logs) * np.array([-1.0, 1.0])
    low, high = np.exp(np.clip(ends, -_LARGEST_LOG, _LARGEST_LOG))
    return Estimate(mean, float(low), float(high))


def student_probability(each: Each) -> Estimate:
    """As ``student_log`` for numbers in 0 to 1: an interval that would go past 1 ends there."""
    estimate = student_log(each)
    if estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(estimate.mean, min(estimate.low, 1.0), min(estimate.high, 1.0))


def student_share(each: Each) -> Estimate:
    """As ``student`` for shares of the gap closed, numbers up to 1: 1 less ``student_log`` of what is
    left open. Where all seeds share the gap that is to be closed, it is the interval of their own gaps
    on another scale: 1 - gap / that."""
    left = student_log(1 - each)
    if left.mean is None or left.low is None or left.high is None:
        return left
    return Estimate(1 - left.mean, 1 - left.high, 1 - left.low)


def _half(each: Each) -> float:
    """Half of the 95% t interval of the mean."""
    from scipy.special import stdtrit  # Student's quantiles, without the rest of scipy.stats

    return float(stdtrit(len(each) - 1, 0.975) * each.std(ddof=1) / math.sqrt(len(each)))


def _without_interval(value: float) -> Estimate:
    return Estimate(float(value) if math.isfinite(value) else None, None, None)


def _percentiles(centre: Mean | float, draws: Mean | float) -> Estimate:
    if not math.isfinite(centre):
        return Estimate(None, None, None)
    if not np.isfinite(draws).all():  # some resamples leave nothing to divide by
        return Estimate(float(centre), None, None)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(centre), float(low), float(high))
