"""A comparison as numbers: the JSON document, the terminal's table, labelled arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
from analysis.report.formats import finite
from analysis.report.report import Document
from meta_learning.processes import drawn_places, json_task_length

if TYPE_CHECKING:
    import xarray

    from meta_learning.learner import Learner


# Variables of a labelled dataset: name -> dims, values and attributes.
Variables = dict[str, Any]
_NATS, _PROBABILITY = "nats a drawn symbol", "1 (probability)"
# What is measured of every predictor and network, beside METRICS, and what it is counted in.
UNITS = {
    "loss": _NATS,
    "gap": _NATS,
    "gap_test": _NATS,
    "gap_closed": "1 (share)",
    "gap_second": _NATS,
    "gap_second_by_position": _NATS,
    "share_first": "1 (share)",
    "share_first_by_position": "1 (share)",
    "regret": _NATS,
    "leak": _PROBABILITY,
    "miss": _PROBABILITY,
    "reset_cost": _NATS,
    "gap_by_position": _NATS,
    "gap_by_position_se": _NATS,
    "loss_by_position": _NATS,
    "train_loss": _NATS,
    "held_out_loss": _NATS,
    "held_out_gap": _NATS,
    "bayes_loss": _NATS,
    "symbols": "training symbols",
}
# What intervals over seeds are taken of what, where it is not ``student``.
_OVER_SEEDS: dict[str, OverSeeds] = {
    "loss": student_log,
    "gap": student_log,
    "gap_test": student_log,
    "gap_closed": student_share,
    "gap_second": student_log,
    "leak": student_probability,
    "miss": student_probability,
    "reset_cost": student_log,
}


def described(quantity: str) -> dict[str, str]:
    """The attributes of a labelled array of this quantity: its unit, and a metric's label."""
    if quantity in METRICS:
        metric = METRICS[quantity]
        return {"units": metric.unit, "long_name": metric.title}
    return {"units": UNITS[quantity]}


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
            return np.stack([_of(s, field) for s in comparison.networks])
        return _of(comparison.references[name], field)

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


def document(comparison: Comparison, estimates: dict[str, Estimate]) -> Document:
    """The JSON document of ``meta-learn compare --json``; None stands for what does not exist."""
    prior, settings = comparison.prior, comparison.settings
    by_position = np.mean([s.gap_by_position for s in comparison.networks], axis=0)
    names = [n.removeprefix("loss.") for n in estimates if n.startswith("loss.")]
    rungs = [n for n in names if n not in ("network", "oracle")]
    out = {
        "process": prior.name,
        **(prior.settings() | {"T": settings.get("train_T", json_task_length(prior.task_length))}),
        **{k: v for k, v in settings.items() if k != "train_T"},
        "seeds": comparison.seeds,
        "test": {
            **comparison.source.settings(),
            "streams": comparison.streams,
            "length": comparison.length,
        },
        "loss": {name: estimates[f"loss.{name}"].mean for name in names},
        "loss_ci95": {name: estimates[f"loss.{name}"].ci95 for name in names},
        "gap": {
            "mean": estimates["gap.network"].mean,
            "ci95": estimates["gap.network"].ci95,
            "by_position": [finite(v) for v in by_position],
            "memoryless": estimates["gap.memoryless"].mean,
            "references": {n: estimates[f"gap.{n}"].mean for n in rungs},
        },
        "gap_closed": {"mean": estimates["gap_closed"].mean, "ci95": estimates["gap_closed"].ci95},
        "regret": {
            kind: {
                "mean": estimates[f"regret.{kind}"].mean,
                "ci95": estimates[f"regret.{kind}"].ci95,
            }
            for kind in ("oracle", "bayes", "realised")
        },
        "reset": {
            "leak": estimates["leak"].mean,
            "leak_ci95": estimates["leak"].ci95,
            "miss": estimates["miss"].mean,
            "miss_ci95": estimates["miss"].ci95,
            "cost": estimates["reset_cost"].mean,
            "cost_ci95": estimates["reset_cost"].ci95,
        },
        "interval": interval_kind(comparison),
    }
    if "gap_test.network" in estimates:
        out["gap_test"] = {
            "mean": estimates["gap_test.network"].mean,
            "ci95": estimates["gap_test.network"].ci95,
            "references": {n: estimates[f"gap_test.{n}"].mean for n in rungs},
        }
    if "share_first" in estimates:
        out["between"] = _between(comparison, estimates)
    for metric in comparison.networks[0].metrics:
        if metric in out or metric in UNITS:
            raise ValueError(
                f"a metric cannot be called {metric}: the results have another {metric}"
            )
        out[metric] = {name: estimates[f"{metric}.{name}"].mean for name in names}
        out[f"{metric}_ci95"] = {name: estimates[f"{metric}.{name}"].ci95 for name in names}
    return out


def _between(comparison: Comparison, found: dict[str, Estimate]) -> dict[str, Any]:
    """The network's place between Bayes (share 1) and the second exact predictor (share 0)."""
    each = [s.between for s in comparison.networks if s.between is not None]
    gap, first = found["gap_second.network"], found["share_first"]
    gaps = np.mean([b.gap_by_position for b in each], axis=0)
    # One share for all seeds, as over more streams: seeds may not all have one.
    shares = least(np.mean([b.slopes_by_position for b in each], axis=0))
    return {
        "first": "bayes",
        "second": comparison.prior.second,
        "gap_second": {
            "mean": gap.mean,
            "ci95": gap.ci95,
            "by_position": [finite(v) for v in gaps],
        },
        "share_first": {
            "mean": first.mean,
            "ci95": first.ci95,
            "by_position": [finite(v) for v in shares],
        },
    }


def interval_kind(comparison: Comparison) -> str:
    """What the 95% intervals are over: "streams" for one seed, "seeds" for several."""
    return "seeds" if len(comparison.networks) > 1 else "streams"


def to_datatree(comparison: Comparison, learners: list[Learner]) -> xarray.DataTree:
    """Labelled arrays, as ArviZ opens them: groups and dims seed, predictor, stream, position,
    outcome. Network probabilities are not posterior draws, so they have groups of their own."""
    import xarray as xr

    networks, references = comparison.networks, comparison.references
    seeds = {"seed": comparison.seeds}
    drawn = drawn_places(comparison.length, comparison.prior.task_length)
    positions = len(networks[0].gap_by_position)
    ladder = {"predictor": list(references)}

    def of_networks(field: str) -> np.ndarray:
        return np.stack([_of(s, field) for s in networks])

    def of_references(field: str) -> np.ndarray:
        return np.stack([_of(s, field) for s in references.values()])

    def scores(lead: str, stack: Callable[[str], np.ndarray]) -> Variables:
        known = ("loss", "gap", "leak", "miss", "reset_cost", "gap_test", *networks[0].metrics)
        fields = [f for f in known if _of(networks[0], f) is not None]
        out = {f: ((lead, "stream"), stack(f), described(f)) for f in fields}
        for f in ("gap_by_position", "gap_by_position_se", "loss_by_position"):
            out[f] = ((lead, "position"), stack(f), described(f))
        return out

    of_networks_alone: dict[str, Any] = {}
    if each := [s.between for s in networks if s.between is not None]:
        slopes = np.stack([b.slopes_by_position for b in each])
        of_networks_alone = {
            "gap_second": (("seed", "stream"), np.stack([b.gap for b in each])),
            "gap_second_by_position": (
                ("seed", "position"),
                np.stack([b.gap_by_position for b in each]),
            ),
            "share_first": (("seed",), np.stack([least(b.slopes.mean(0)) for b in each])),
            "share_first_by_position": (("seed", "position"), least(slopes)),
        }
        of_networks_alone = {
            name: (*values, described(name)) for name, values in of_networks_alone.items()
        }
    coords = {"stream": np.arange(comparison.streams), "position": np.arange(1, positions + 1)}
    groups = {
        "network": xr.Dataset(scores("seed", of_networks) | of_networks_alone, {**seeds, **coords}),
        "references": xr.Dataset(scores("predictor", of_references), {**ladder, **coords}),
        "example": _example_dataset(comparison, drawn),
    }
    if learners and learners[0].history:
        curves: Variables = {
            k: (("seed", "point"), np.stack([x.history[k] for x in learners]), described(k))
            for k in ("train_loss", "held_out_loss", "held_out_gap")
        }
        curves["bayes_loss"] = (
            ("seed",),
            np.stack([np.ravel(x.history["bayes_loss"])[0] for x in learners]),
            described("bayes_loss"),
        )
        symbols = ("point", learners[0].history["symbols"], described("symbols"))
        groups["training"] = xr.Dataset(curves, {**seeds, "symbols": symbols})
    return xr.DataTree.from_dict(groups)


def _example_dataset(comparison: Comparison, drawn: np.ndarray) -> xarray.Dataset:
    import xarray as xr

    example = comparison.example
    outcomes = [*map(str, range(comparison.prior.num_symbols)), "RESET"]
    place = ("place", "outcome")
    band = {}
    if example.low is not None:
        band = {"posterior_low": example.low, "posterior_high": example.high}
    units = {"units": _PROBABILITY}
    return xr.Dataset(
        {
            "symbols": (("place",), example.symbols),
            "drawn": (("place",), drawn),
            "network": (place, example.network, units),
            "bayes": (place, example.bayes, units),
            "oracle": (place, example.oracle, units),
            **{name: (("place", "symbol"), values, units) for name, values in band.items()},
        },
        {"place": np.arange(comparison.length), "outcome": outcomes, "symbol": outcomes[:-1]},
    )


def _of(scores: Scores, name: str) -> np.ndarray:
    """A field of the scores, or one of their metrics."""
    return scores.metrics[name] if name in scores.metrics else getattr(scores, name)
