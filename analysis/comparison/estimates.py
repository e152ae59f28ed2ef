"""Every reported number of a comparison with its interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from analysis.comparison.between import least
from analysis.comparison.compare import Comparison
from analysis.comparison.metrics import METRICS
from analysis.comparison.scores import Scores
from analysis.intervals import (
    Estimate,
    OverSeeds,
    Statistic,
    estimates,
    student,
    student_log,
    student_probability,
    student_share,
)

# What intervals over seeds are taken of what, where it is not ``student``.
_OVER_SEEDS: dict[str, OverSeeds] = {
    "loss": student_log,
    "gap": student_log,
    "gap_test": student_log,
    "gap_closed": student_share,
    "gap_second": student_log,
    "share_first": student_probability,
    "leak": student_probability,
    "miss": student_probability,
    "reset_cost": student_log,
}


def quantity_of(name: str) -> str:
    """What an estimate is of: "gap" for ``gap.memoryless``, "leak" for ``leak``."""
    return name.rpartition(".")[0] or name


def estimate_all(comparison: Comparison) -> dict[str, Estimate]:
    """Every reported quantity with its interval, in nats a drawn symbol unless it is a share.

    Names: ``loss.P``, ``gap.P`` and ``M.P`` for every predictor P and every M of ``METRICS``,
    ``gap_test.P`` off the training prior, ``gap_closed``, ``leak``, ``miss``, ``reset_cost`` (the part
    of the network's gap that is about RESET), and the network's regrets: ``regret.oracle`` (its loss
    less the oracle's), ``regret.realised`` (its loss less Bayes's on the drawn paths, which can be
    negative) and ``regret.bayes``, the expectation of the latter: the gap where the streams follow
    Bayes's own prior, off it ``gap_test.network - gap_test.bayes``, and None for tasks of one fixed p.
    Where the process has a ``second`` exact predictor: ``gap_second.network``, KL from it, and
    ``share_first``, the network's place between it (0) and Bayes (1).
    Intervals over seeds of what cannot be below 0 are positive (``analysis.intervals``): all but those
    of the realised regret, of the expected one off the prior, and of metrics that are not ``positive``.
    """
    values: dict[str, np.ndarray] = {}
    statistics: dict[str, Statistic] = {}

    def add(name: str, array: np.ndarray) -> None:
        values[name] = array
        statistics[name] = lambda mean: mean[name]

    def both(field: str, name: str) -> np.ndarray:
        if name == "network":
            return np.stack([field_of(s, field) for s in comparison.networks])
        return field_of(comparison.references[name], field)

    for name in ["network", *comparison.references]:
        add(f"loss.{name}", both("loss", name))
        for metric in comparison.networks[0].metrics:
            add(f"{metric}.{name}", both(metric, name))
        if name == "oracle":  # it knows more than Bayes does: a gap between them says nothing
            continue
        add(f"gap.{name}", both("gap", name))
        if comparison.networks[0].gap_test is not None:
            add(f"gap_test.{name}", both("gap_test", name))
    add("leak", both("leak", "network"))
    add("miss", both("miss", "network"))
    add("reset_cost", both("reset_cost", "network"))
    statistics["gap_closed"] = lambda mean: share_closed(
        mean["gap.network"], mean["gap.memoryless"]
    )
    statistics["regret.oracle"] = lambda mean: mean["loss.network"] - mean["loss.oracle"]
    statistics["regret.bayes"] = _expected_regret(comparison)
    if (one := comparison.networks[0].between) is not None:
        all_between = [s.between for s in comparison.networks if s.between is not None]
        add("gap_second.network", np.stack([b.gap for b in all_between]))
        nodes = [f"slope.{node}" for node in range(one.slopes.shape[-1])]
        slopes = np.stack([b.slopes for b in all_between])
        values |= {name: slopes[..., node] for node, name in enumerate(nodes)}
        statistics["share_first"] = lambda mean: least(
            np.stack([mean[name] for name in nodes], axis=-1)
        )
    statistics["regret.realised"] = lambda mean: mean["loss.network"] - mean["loss.bayes"]
    return estimates(values, statistics, {n: _over_seeds(n, comparison) for n in statistics})


def _over_seeds(name: str, comparison: Comparison) -> OverSeeds:
    """The interval over seeds that fits this estimate."""
    quantity = quantity_of(name)
    if quantity in METRICS:
        return student_log if METRICS[quantity].positive else student
    if name == "regret.oracle" or (name == "regret.bayes" and not comparison.off_prior):
        return student_log
    return _OVER_SEEDS.get(quantity, student)


def _expected_regret(comparison: Comparison) -> Statistic:
    """Of the network against Bayes with the training prior. With c the distribution of the streams:
    E log(b / q) = KL(c || q) - KL(c || b), which is KL(b || q) only where c is b."""
    if comparison.networks[0].gap_test is not None:
        return lambda mean: mean["gap_test.network"] - mean["gap_test.bayes"]
    if comparison.off_prior:
        return lambda mean: math.nan
    return lambda mean: mean["gap.network"]


def share_closed(gap: ArrayLike, memoryless: ArrayLike) -> np.ndarray:
    """1 - gap / gap(memoryless); NaN where memoryless is Bayes."""
    below = np.asarray(memoryless)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 1e-12, 1 - np.asarray(gap) / below, np.nan)


def interval_kind(comparison: Comparison) -> str:
    """What the 95% intervals are over: "streams" for one seed, "seeds" for several."""
    return "seeds" if len(comparison.networks) > 1 else "streams"


def field_of(scores: Scores, name: str) -> np.ndarray:
    """A field of the scores, or one of their metrics."""
    return scores.metrics[name] if name in scores.metrics else getattr(scores, name)
