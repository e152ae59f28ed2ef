"""A comparison as numbers: the JSON document, the terminal's table, labelled arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from analysis.comparison.between import share_from_slopes
from analysis.comparison.compare import Comparison
from analysis.comparison.estimates import Values, field_of, interval_kind
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


# Variables of an xarray dataset: name -> (dims, values, attributes).
Variables = dict[str, Any]
_NATS, _PROBABILITY = "nats a drawn symbol", "1 (probability)"
# The units of what is measured, beside METRICS.
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


def attributes(quantity: str) -> dict[str, str]:
    """The attributes of a labelled array of this quantity: its unit, and the label of a metric."""
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
            **estimates["gap.network"].document(),
            "by_position": [finite(v) for v in by_position],
            "memoryless": estimates["gap.memoryless"].mean,
            "references": {n: estimates[f"gap.{n}"].mean for n in rungs},
        },
        "gap_closed": estimates["gap_closed"].document(),
        "regret": {
            kind: estimates[f"regret.{kind}"].document() for kind in ("oracle", "bayes", "realised")
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
            **estimates["gap_test.network"].document(),
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


def _between(comparison: Comparison, estimates: dict[str, Estimate]) -> Document:
    """The network's place between Bayes (share 1) and the second exact predictor (share 0)."""
    each = [s.between for s in comparison.networks if s.between is not None]
    gaps = np.mean([b.gap_by_position for b in each], axis=0)
    # One share for all seeds together: a seed alone may not have one.
    shares = share_from_slopes(np.mean([b.slopes_by_position for b in each], axis=0))
    return {
        "first": "bayes",
        "second": comparison.prior.second,
        "gap_second": {
            **estimates["gap_second.network"].document(),
            "by_position": [finite(v) for v in gaps],
        },
        "share_first": {
            **estimates["share_first"].document(),
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

    def of_networks(field: str) -> Values:
        return np.stack([field_of(s, field) for s in networks])

    def of_references(field: str) -> Values:
        return np.stack([field_of(s, field) for s in references.values()])

    def scores(lead: str, stack: Callable[[str], Values]) -> Variables:
        fields = ["loss", "gap", "leak", "miss", "reset_cost"]
        fields += ["gap_test"] if networks[0].gap_test is not None else []
        fields += networks[0].metrics
        out = {f: ((lead, "stream"), stack(f), attributes(f)) for f in fields}
        for f in ("gap_by_position", "gap_by_position_se", "loss_by_position"):
            out[f] = ((lead, "position"), stack(f), attributes(f))
        return out

    between: Variables = {}
    if each := [s.between for s in networks if s.between is not None]:
        slopes = np.stack([b.slopes_by_position for b in each])
        arrays = {
            "gap_second": (("seed", "stream"), np.stack([b.gap for b in each])),
            "gap_second_by_position": (
                ("seed", "position"),
                np.stack([b.gap_by_position for b in each]),
            ),
            "share_first": (
                ("seed",),
                np.stack([share_from_slopes(b.slopes.mean(0)) for b in each]),
            ),
            "share_first_by_position": (("seed", "position"), share_from_slopes(slopes)),
        }
        between = {name: (*array, attributes(name)) for name, array in arrays.items()}
    coords = {"stream": np.arange(comparison.streams), "position": np.arange(1, positions + 1)}
    groups = {
        "network": Group(scores("seed", of_networks) | between, {**seeds, **coords}),
        "references": Group(scores("predictor", of_references), {**ladder, **coords}),
        "example": _example_group(comparison, drawn),
    }
    if learners and learners[0].history:
        curves: Variables = {
            k: (("seed", "point"), np.stack([x.history[k] for x in learners]), attributes(k))
            for k in ("train_loss", "held_out_loss", "held_out_gap")
        }
        curves["bayes_loss"] = (
            ("seed",),
            np.stack([np.ravel(x.history["bayes_loss"])[0] for x in learners]),
            attributes("bayes_loss"),
        )
        symbols = ("point", learners[0].history["symbols"], attributes("symbols"))
        groups["training"] = Group(curves, {**seeds, "symbols": symbols})
    return groups


def _example_group(comparison: Comparison, drawn: Bool[np.ndarray, " length"]) -> Group:
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
