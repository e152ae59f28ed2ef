"""Every reported number of a comparison with its interval."""

from __future__ import annotations

import math
from operator import itemgetter

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from analysis.comparison.between import share_from_slopes
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

# Numbers of streams, positions, seeds, ..
Values = Float64[np.ndarray, "..."]
# How intervals over seeds are made, where it is not by ``student``.
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
    """The quantity in the name of an estimate: "gap" of ``gap.memoryless``, "leak" of ``leak``."""
    return name.rpartition(".")[0] or name


def estimate_all(comparison: Comparison) -> dict[str, Estimate]:
    """Every reported quantity with its interval, by name; nats a drawn symbol unless stated.

    - ``loss.P`` and ``M.P`` for every predictor P and every M of ``METRICS``, the latter in its unit.
    - ``gap.P``, and off the training prior ``gap_test.P``, for every predictor P but the oracle.
    - ``gap_closed``, a share; ``leak`` and ``miss``, probabilities; ``reset_cost``, the part of the
      network's gap that is about RESET.
    - ``regret.oracle``: the network's loss less the oracle's. ``regret.realised``: its loss less Bayes's
      on the drawn paths, which can be negative. ``regret.bayes``: the expectation of the latter, which
      is the gap where the streams follow Bayes's own prior, ``gap_test.network - gap_test.bayes`` off
      it, and None for tasks of one fixed p.
    - Where the process has a ``second`` exact predictor: ``gap_second.network``, KL from it, and
      ``share_first``, the network's place between it (0) and Bayes (1).

    Intervals over seeds are positive (``analysis.intervals``), but for the realised regret, the
    expected one off the prior, and metrics that are not ``positive``.
    """
    values: dict[str, Values] = {}
    statistics: dict[str, Statistic] = {}
    first = comparison.networks[0]

    def add(name: str, array: Values) -> None:
        values[name] = array
        statistics[name] = itemgetter(name)

    def scores_of(predictor: str, field: str) -> Values:
        if predictor == "network":
            return np.stack([field_of(s, field) for s in comparison.networks])
        return field_of(comparison.references[predictor], field)

    for name in ["network", *comparison.references]:
        add(f"loss.{name}", scores_of(name, "loss"))
        for metric in first.metrics:
            add(f"{metric}.{name}", scores_of(name, metric))
        if name == "oracle":  # it knows more than Bayes does: a gap between them says nothing
            continue
        add(f"gap.{name}", scores_of(name, "gap"))
        if first.gap_test is not None:
            add(f"gap_test.{name}", scores_of(name, "gap_test"))
    for name in ("leak", "miss", "reset_cost"):
        add(name, scores_of("network", name))
    statistics["gap_closed"] = lambda mean: share_closed(
        mean["gap.network"], mean["gap.memoryless"]
    )
    statistics["regret.oracle"] = lambda mean: mean["loss.network"] - mean["loss.oracle"]
    statistics["regret.bayes"] = _expected_regret(comparison)
    if first.between is not None:
        all_between = [s.between for s in comparison.networks if s.between is not None]
        add("gap_second.network", np.stack([b.gap for b in all_between]))
        nodes = [f"slope.{node}" for node in range(first.between.slopes.shape[-1])]
        slopes = np.stack([b.slopes for b in all_between])
        values |= {name: slopes[..., node] for node, name in enumerate(nodes)}
        statistics["share_first"] = lambda mean: share_from_slopes(
            np.stack([mean[name] for name in nodes], axis=-1)
        )
    statistics["regret.realised"] = lambda mean: mean["loss.network"] - mean["loss.bayes"]
    return estimates(values, statistics, {n: _over_seeds(n, comparison) for n in statistics})


def _over_seeds(name: str, comparison: Comparison) -> OverSeeds:
    """How the interval over seeds of this estimate is made."""
    quantity = quantity_of(name)
    if quantity in METRICS:
        return student_log if METRICS[quantity].positive else student
    if name == "regret.oracle" or (name == "regret.bayes" and not comparison.off_prior):
        return student_log
    return _OVER_SEEDS.get(quantity, student)


def _expected_regret(comparison: Comparison) -> Statistic:
    """The expected regret of the network, q, against Bayes with the training prior, b. With c the
    distribution of the streams it is E log(b / q) = KL(c || q) - KL(c || b): KL(b || q) where c is b."""
    if comparison.networks[0].gap_test is not None:
        return lambda mean: mean["gap_test.network"] - mean["gap_test.bayes"]
    if comparison.off_prior:
        return lambda mean: math.nan
    return lambda mean: mean["gap.network"]


def share_closed(gap: ArrayLike, memoryless: ArrayLike) -> Values:
    """The share of the gap closed, 1 - gap / gap(memoryless); NaN where memoryless is Bayes.

    gap, memoryless: nats, of shapes that broadcast.
    """
    below = np.asarray(memoryless)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 1e-12, 1 - np.asarray(gap) / below, np.nan)


def interval_kind(comparison: Comparison) -> str:
    """What the 95% intervals are over: "streams" for one seed, "seeds" for several."""
    return "seeds" if len(comparison.networks) > 1 else "streams"


def field_of(scores: Scores, name: str) -> Values:
    """A field of the scores, or one of their metrics, by its name."""
    return scores.metrics[name] if name in scores.metrics else getattr(scores, name)
