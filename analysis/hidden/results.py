"""What a hidden state holds as numbers: the JSON document, labelled arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from analysis.hidden.dimensions import Dimensions
from analysis.hidden.examine import Hidden
from analysis.hidden.interventions import Interventions
from analysis.hidden.jacobian import StepJacobian
from analysis.hidden.probes import Score
from analysis.hidden.simulation import NoSimulation, Simulation
from analysis.intervals import BOUNDS, Estimate
from analysis.report.formats import finite
from analysis.report.report import Document
from meta_learning.processes import DirichletCategorical, json_task_length

if TYPE_CHECKING:
    import xarray


def document(hidden: Hidden) -> Document:
    """The JSON document of ``meta-learn hidden --json``; None stands for what does not exist."""
    process, settings = hidden.process, hidden.settings
    recipe = settings.get("recipe", {})
    known = {"alpha": list(process.alpha)} if isinstance(process, DirichletCategorical) else {}
    return {
        **known,
        "process": {"name": process.name, **process.settings()},
        "T": json_task_length(process.task_length),
        "cell": settings["cell"],
        "hidden": settings["hidden"],
        "recipe": recipe.get("name"),
        "iterations": recipe.get("iterations"),
        "seed": settings.get("seed", 0),
        "test": {"streams": hidden.streams, "held_out": hidden.held_out, "length": hidden.length},
        "interval": "streams",
        "spectrum": {name: _dimensions_document(s) for name, s in hidden.dimensions.items()},
        "directions": {
            space: _by_both_names(
                {cause: [e.document() for e in score.by_column] for cause, score in causes.items()},
                {"belief": "counts"} if known else {},
            )
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
        "early": hidden.early,
        "carried_through_reset": {
            "variance": {k: e.document() for k, e in hidden.carry_over.variance.items()},
            "kl": hidden.carry_over.kl.document(),
        },
        "swaps": None
        if hidden.interventions is None
        else _interventions_document(hidden.interventions),
        "simulation": simulation_document(hidden.simulation),
        "jacobian": [_jacobian_document(j) for j in hidden.jacobians],
    }


def _by_both_names(numbers: Document, names: Mapping[str, str]) -> Document:
    """Numbers by their names, and again by the second names that some have: for dirichlet-categorical
    "belief" is "counts", too."""
    return numbers | {names[k]: v for k, v in numbers.items() if k in names}


def _curve_document(curve: list[Estimate]) -> Document:
    return {"mean": [e.mean for e in curve], "ci95": [e.ci95 for e in curve]}


def _score_document(score: Score) -> Document:
    out = score.r2.document()
    if len(score.by_column) > 1:
        out["by_symbol"] = [e.document() for e in score.by_column]
    return out


def _dimensions_document(dimensions: Dimensions) -> Document:
    return {
        "eigenvalues": dimensions.eigenvalues.tolist(),
        "for_99_percent": {k: s.needed.document() for k, s in dimensions.shares.items()},
        "whole": {k: finite(s.whole) for k, s in dimensions.shares.items()},
        "share": {k: [finite(v) for v in s.share] for k, s in dimensions.shares.items()},
    }


def _interventions_document(effects: Interventions) -> Document:
    kinds = {kind: kind.replace("counts", "belief") for kind in effects.mean}
    kinds = {kind: name for kind, name in kinds.items() if name != kind}
    ratio = {k: e.document() for k, e in effects.ratio.items()}
    numbers = {
        "tasks": effects.tasks,
        "pairs": effects.pairs,
        "kl": {kind: e.document() for kind, e in effects.mean.items()},
        "ratio_to_other_belief": _by_both_names(ratio, kinds),
        "draws": effects.draws.tolist(),
        "kl_by_draws": {k: _curve_document(v) for k, v in effects.by_draws.items()},
        "chosen_draws": effects.chosen,
        "kl_by_lag": {k: _curve_document(v) for k, v in effects.by_lag.items()},
    }
    if effects.noun == "counts":
        numbers["ratio_to_other_counts"] = ratio
    for name in ("kl", "kl_by_draws", "kl_by_lag"):
        numbers[name] = _by_both_names(numbers[name], kinds)
    return numbers


def simulation_document(simulation: Simulation | NoSimulation) -> Document:
    """The numbers of a simulation, or why there is none."""
    if isinstance(simulation, NoSimulation):
        return {"none": simulation.reason}
    return {
        "fitted": simulation.fitted,
        "held_out": simulation.held_out,
        "draws": simulation.draws.tolist(),
        **{
            way: {
                name: {f"kl_{of}": e.document() for of, e in kls.items()}
                for name, kls in networks.items()
            }
            for way, networks in simulation.mean.items()
        },
        "identity": {
            name: {f"kl_{of}": e.document() for of, e in kls.items()}
            for name, kls in simulation.identity.items()
        },
        "by_draws": {
            way: {f"kl_{of}": _curve_document(curve) for of, curve in curves.items()}
            for way, curves in simulation.by_draws.items()
        },
    }


def _jacobian_document(jacobian: StepJacobian) -> Document:
    return {
        "symbol": jacobian.symbol,
        "spectral_radius": jacobian.spectral_radius,
        "gain": jacobian.gain,
        "eigenvalues": [[float(v.real), float(v.imag)] for v in jacobian.eigenvalues],
        "timescales": [finite(t) for t in jacobian.timescales],
    }


def to_datatree(hidden: Hidden) -> xarray.DataTree:
    """Labelled arrays, as ArviZ opens them: groups trajectories, spectrum_*, probes, readings,
    simulation, swaps and jacobian, each where there is such a result."""
    import xarray as xr

    shown = hidden.trajectories
    by_counts = isinstance(hidden.process, DirichletCategorical)
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
                shown.shade[0] if shown.shade[0] != "counts" else "belief": (
                    ("stream", "place", "column"),
                    shown.shade[1],
                ),
            },
            {"symbol": symbols},
        )
    }
    for space, dimensions in hidden.dimensions.items():
        shares = {
            f"share_{name}": ((f"first_{len(s.share)}",), s.share)
            for name, s in dimensions.shares.items()
        }
        names = {"belief": "counts"} if by_counts else {}
        explained_by = {
            f"explained_by_{names.get(cause, cause)}": (
                ("leading", "bound"),
                [e.bounds for e in score.by_column],
            )
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
    if (readings := hidden.readings) is not None:
        groups["readings"] = xr.Dataset(
            {"exact": (("history", "column"), readings.exact.astype(np.float32))}
            | {
                f"read_{name}": (("history", "column"), values.astype(np.float32))
                for name, values in readings.read.items()
            },
            attrs={"target": readings.target},
        )
    if isinstance(hidden.simulation, Simulation):
        groups["simulation"] = xr.Dataset(
            {
                f"{way}_kl_{of}": (("draws", "bound"), [e.bounds for e in curve])
                for way, curves in hidden.simulation.by_draws.items()
                for of, curve in curves.items()
            },
            {"draws": hidden.simulation.draws, "bound": list(BOUNDS)},
            {"units": "nats"},
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
    if hidden.jacobians:
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
