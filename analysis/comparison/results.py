"""A comparison as numbers: the JSON document, the terminal's table, labelled arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.comparison.between import least
from analysis.comparison.compare import Comparison
from analysis.comparison.estimates import field_of, interval_kind
from analysis.comparison.metrics import METRICS
from analysis.intervals import Estimate
from analysis.report import arrays
from analysis.report.arrays import Group, Groups
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


def described(quantity: str) -> dict[str, str]:
    """The attributes of a labelled array of this quantity: its unit, and a metric's label."""
    if quantity in METRICS:
        metric = METRICS[quantity]
        return {"units": metric.unit, "long_name": metric.title}
    return {"units": UNITS[quantity]}


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


def to_datatree(comparison: Comparison, learners: list[Learner]) -> xarray.DataTree:
    """``to_groups`` as ArviZ opens them."""
    return arrays.to_datatree(to_groups(comparison, learners))


def to_groups(comparison: Comparison, learners: list[Learner]) -> Groups:
    """Labelled arrays in groups: dims seed, predictor, stream, position, outcome. Network
    probabilities are not posterior draws, so they have groups of their own."""
    networks, references = comparison.networks, comparison.references
    seeds = {"seed": comparison.seeds}
    drawn = drawn_places(comparison.length, comparison.prior.task_length)
    positions = len(networks[0].gap_by_position)
    ladder = {"predictor": list(references)}

    def of_networks(field: str) -> np.ndarray:
        return np.stack([field_of(s, field) for s in networks])

    def of_references(field: str) -> np.ndarray:
        return np.stack([field_of(s, field) for s in references.values()])

    def scores(lead: str, stack: Callable[[str], np.ndarray]) -> Variables:
        known = ("loss", "gap", "leak", "miss", "reset_cost", "gap_test", *networks[0].metrics)
        fields = [f for f in known if field_of(networks[0], f) is not None]
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
        "network": Group(scores("seed", of_networks) | of_networks_alone, {**seeds, **coords}),
        "references": Group(scores("predictor", of_references), {**ladder, **coords}),
        "example": _example_group(comparison, drawn),
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
        groups["training"] = Group(curves, {**seeds, "symbols": symbols})
    return groups


def _example_group(comparison: Comparison, drawn: np.ndarray) -> Group:
    example = comparison.example
    outcomes = [*map(str, range(comparison.prior.num_symbols)), "RESET"]
    place = ("place", "outcome")
    band = {}
    if example.low is not None:
        band = {"posterior_low": example.low, "posterior_high": example.high}
    units = {"units": _PROBABILITY}
    return Group(
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
