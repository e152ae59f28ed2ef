"""What a hidden state holds as numbers: the JSON document, labelled arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.comparison.results import finite
from analysis.hidden.dimensions import Dimensions
from analysis.hidden.examine import Hidden
from analysis.hidden.interventions import Interventions
from analysis.hidden.jacobian import StepJacobian
from analysis.hidden.probes import Score
from analysis.intervals import BOUNDS, Estimate
from meta_learning.processes import json_task_length

if TYPE_CHECKING:
    import xarray


def document(hidden: Hidden) -> dict[str, Any]:
    """The JSON document of ``meta-learn hidden --json``; None stands for what does not exist."""
    process, settings = hidden.process, hidden.settings
    recipe = settings.get("recipe", {})
    return {
        "alpha": list(process.alpha),
        "T": json_task_length(process.T),
        "cell": settings["cell"],
        "hidden": settings["hidden"],
        "recipe": recipe.get("name"),
        "iterations": recipe.get("iterations"),
        "seed": settings.get("seed", 0),
        "test": {"streams": hidden.streams, "held_out": hidden.held_out, "length": hidden.length},
        "interval": "streams",
        "spectrum": {name: _dimensions_document(s) for name, s in hidden.dimensions.items()},
        "directions": {
            space: {
                cause: [_estimate_document(e) for e in score.by_column]
                for cause, score in causes.items()
            }
            for space, causes in hidden.causes.items()
        },
        "probes": {
            target: {
                **{
                    name: {space: _score_document(of[target]) for space, of in spaces.items()}
                    for name, spaces in hidden.probes.items()
                },
                "place_only": _score_document(hidden.place_only[target]),
            }
            for target in hidden.place_only
        },
        "carried_through_reset": {
            "variance": {k: _estimate_document(e) for k, e in hidden.carry_over.variance.items()},
            "kl": _estimate_document(hidden.carry_over.kl),
        },
        "swaps": None
        if hidden.interventions is None
        else _interventions_document(hidden.interventions),
        "jacobian": [_jacobian_document(j) for j in hidden.jacobians],
    }


def _estimate_document(estimate: Estimate) -> dict[str, object]:
    return {"mean": estimate.mean, "ci95": estimate.ci95}


def _curve_document(curve: list[Estimate]) -> dict[str, object]:
    return {"mean": [e.mean for e in curve], "ci95": [e.ci95 for e in curve]}


def _score_document(score: Score) -> dict[str, object]:
    out = _estimate_document(score.r2)
    if len(score.by_column) > 1:
        out["by_symbol"] = [_estimate_document(e) for e in score.by_column]
    return out


def _dimensions_document(dimensions: Dimensions) -> dict[str, object]:
    return {
        "eigenvalues": dimensions.eigenvalues.tolist(),
        "for_99_percent": {k: _estimate_document(s.needed) for k, s in dimensions.shares.items()},
        "whole": {k: finite(s.whole) for k, s in dimensions.shares.items()},
        "share": {k: [finite(v) for v in s.share] for k, s in dimensions.shares.items()},
    }


def _interventions_document(effects: Interventions) -> dict[str, object]:
    return {
        "tasks": effects.tasks,
        "kl": {kind: _estimate_document(e) for kind, e in effects.mean.items()},
        "ratio_to_other_counts": {k: _estimate_document(e) for k, e in effects.ratio.items()},
        "draws": effects.draws.tolist(),
        "kl_by_draws": {k: _curve_document(v) for k, v in effects.by_draws.items()},
        "chosen_draws": effects.chosen,
        "kl_by_lag": {k: _curve_document(v) for k, v in effects.by_lag.items()},
    }


def _jacobian_document(jacobian: StepJacobian) -> dict[str, object]:
    return {
        "symbol": jacobian.symbol,
        "spectral_radius": jacobian.spectral_radius,
        "gain": jacobian.gain,
        "eigenvalues": [[float(v.real), float(v.imag)] for v in jacobian.eigenvalues],
        "timescales": [finite(t) for t in jacobian.timescales],
    }


def to_datatree(hidden: Hidden) -> xarray.DataTree:
    """Labelled arrays, as ArviZ opens them: groups trajectories, spectrum_*, probes, swaps, jacobian."""
    import xarray as xr

    shown = hidden.trajectories
    symbols = [*map(str, range(hidden.process.num_symbols))]
    groups = {
        "trajectories": xr.Dataset(
            {
                "by_variance": (
                    ("stream", "place", "direction"),
                    shown.by_variance.astype(np.float32),
                ),
                "by_prediction": (
                    ("stream", "place", "direction"),
                    shown.by_prediction.astype(np.float32),
                ),
                "counts": (("stream", "place", "symbol"), shown.counts.astype(np.int32)),
                "place_in_task": (("place",), shown.place),
                "drawn": (("place",), shown.drawn),
            },
            {"symbol": symbols},
        )
    }
    for space, dimensions in hidden.dimensions.items():
        shares = {
            f"share_{name}": ((f"first_{len(s.share)}",), s.share)
            for name, s in dimensions.shares.items()
        }
        explained_by = {
            f"explained_by_{cause}": (("leading", "bound"), [e.bounds for e in score.by_column])
            for cause, score in hidden.causes[space].items()
        }
        groups[f"spectrum_{space}"] = xr.Dataset(
            {"eigenvalue": (("direction",), dimensions.eigenvalues), **shares, **explained_by},
            {"bound": list(BOUNDS)},
        )
    groups["probes"] = xr.Dataset(
        {
            f"r2_{name}": (
                ("space", "target", "bound"),
                [[s.r2.bounds for s in of.values()] for of in spaces.values()],
            )
            for name, spaces in hidden.probes.items()
        }
        | {
            "r2_place_only": (
                ("target", "bound"),
                [s.r2.bounds for s in hidden.place_only.values()],
            )
        },
        {
            "space": list(hidden.dimensions),
            "target": list(hidden.place_only),
            "bound": list(BOUNDS),
        },
    )
    if hidden.interventions is not None:
        effects = hidden.interventions
        groups["swaps"] = xr.Dataset(
            {
                "kl_by_draws": (
                    ("kind", "draws", "bound"),
                    [[e.bounds for e in curve] for curve in effects.by_draws.values()],
                ),
                "kl_by_lag": (
                    ("kind", "lag", "bound"),
                    [[e.bounds for e in curve] for curve in effects.by_lag.values()],
                ),
            },
            {"kind": list(effects.by_draws), "draws": effects.draws, "bound": list(BOUNDS)},
            {"units": "nats", "lags_at_draws": effects.chosen},
        )
    eigenvalues = np.stack([j.eigenvalues for j in hidden.jacobians])
    groups["jacobian"] = xr.Dataset(
        {
            "eigenvalue_real": (("input", "direction"), eigenvalues.real),
            "eigenvalue_imaginary": (("input", "direction"), eigenvalues.imag),
            "gain": (("input",), [j.gain for j in hidden.jacobians]),
        },
        {"input": [*symbols, "RESET"]},
    )
    return xr.DataTree.from_dict(groups)
