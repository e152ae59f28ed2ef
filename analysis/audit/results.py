"""An audit as labelled arrays, as ArviZ opens them: groups with dims seed, stream, position, symbol.

A network's probabilities are no draws from a posterior, so they have groups of their own. The counts of
its rolled-forward futures are draws from its predictive distribution: ``posterior_predictive``, beside
``observed_data``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Integer, Shaped

from analysis.audit.calibration import Calibration
from analysis.audit.carry_over import CarryOver
from analysis.audit.decomposition import Decomposition
from analysis.audit.future_counts import CountsDistance
from analysis.audit.gap import ExactGap
from analysis.audit.tree.belief_classes import Classes
from analysis.audit.tree.count_vectors import Counts
from analysis.audit.worst_histories import History, WorstHistories
from analysis.intervals import BOUNDS

if TYPE_CHECKING:
    import xarray

_NATS = {"units": "nats"}
# A variable of a dataset: its dims and values. Coordinates by name.
Variable = tuple[tuple[str, ...], Shaped[np.ndarray, "..."]]
Coords = dict[str, list[int] | list[str] | Shaped[np.ndarray, " _"]]


def to_datatree(
    exact: ExactGap,
    *,
    seed: int = 0,
    carry_over: CarryOver | None = None,
    worst: WorstHistories | None = None,
    calibration: Calibration | None = None,
) -> xarray.DataTree:
    """The parts of an audit of one network; ``analysis.report.publish.write_netcdf`` writes it.

    Groups: exact_gap and exact_gap_by_counts, or exact_gap_by_belief where the belief is not the counts,
    in nats (neither where histories share no beliefs); carry_over; worst_histories; calibration (ranks
    of ``calibration``), posterior_predictive (its rolled counts; a draw is a roll), observed_data (the
    true counts) and constant_data (the counts before).
    """
    import xarray as xr

    groups = {"exact_gap": _exact_dataset(exact)}
    if exact.counts is not None:
        groups["exact_gap_by_counts"] = _by_counts_dataset(exact, exact.counts)
    elif exact.classes is not None:
        groups["exact_gap_by_belief"] = _by_belief_dataset(exact, exact.classes)
    if carry_over is not None:
        groups["carry_over"] = _carry_over_dataset(carry_over)
    if worst is not None:
        groups["worst_histories"] = _worst_dataset(worst)
    if calibration is not None:
        groups["calibration"] = calibration_dataset(calibration)
    groups = {name: group.expand_dims(seed=[seed]) for name, group in groups.items()}
    if calibration is not None:
        groups |= _counts_datasets(calibration)
    return xr.DataTree.from_dict(groups)


def _terms(exact: ExactGap, of: Decomposition | None, dim: str) -> dict[str, Variable]:
    found = {name: getattr(of, name) for name in Decomposition.__annotations__}
    if exact.counts is not None:
        found |= {"order": found["same_belief"], "counts": found["rest"]}
    return {name: ((dim,), values) for name, values in found.items() if values is not None}


def _exact_dataset(exact: ExactGap) -> xarray.Dataset:
    import xarray as xr

    return xr.Dataset(
        _terms(exact, exact.decomposition, "position"),
        {"position": np.arange(1, len(exact.by_position) + 1)},
        {**_NATS, "reset": "reset is a probability", "histories": exact.nodes},
    )


def _by_belief_dataset(exact: ExactGap, classes: Classes) -> xarray.Dataset:
    import xarray as xr

    examples = [" ".join(map(str, row)) for rows in classes.example for row in rows.tolist()]
    own = {
        "example": (("cell",), np.array(examples)),
        "histories": (("cell",), classes.histories),
        "probability": (("cell",), exact.probability),
        "bayes": (("cell", "symbol"), np.exp(classes.log_predictive)),
    }
    symbols = _symbols(classes.log_predictive.shape[1])
    coords = {"symbol": symbols, "position": ("cell", classes.draws + 1)}
    return xr.Dataset(own | _terms(exact, exact.cells, "cell"), coords, _NATS)


def _by_counts_dataset(exact: ExactGap, counts: Counts) -> xarray.Dataset:
    import xarray as xr

    terms = _terms(exact, exact.cells, "cell")
    terms["counts_term"] = terms.pop("counts")
    own = {
        "counts": (("cell", "symbol"), counts),
        "probability": (("cell",), exact.probability),
    }
    coords = {"symbol": _symbols(counts.shape[1]), "position": ("cell", counts.sum(-1) + 1)}
    return xr.Dataset(own | terms, coords, _NATS)


def _carry_over_dataset(carry_over: CarryOver) -> xarray.Dataset:
    import xarray as xr

    return xr.Dataset(
        {
            "change": (("position", "bound"), [e.bounds for e in carry_over.by_position]),
            "mean_change": (("bound",), carry_over.mean.bounds),
            "fresh_gap": (("bound",), carry_over.fresh.bounds),
        },
        {"position": np.arange(1, len(carry_over.by_position) + 1), "bound": list(BOUNDS)},
        {**_NATS, "past_tasks": carry_over.past_tasks, "tasks": carry_over.tasks},
    )


def _worst_dataset(worst: WorstHistories) -> xarray.Dataset:
    import xarray as xr

    lists = [worst.by_gap, worst.by_weight]
    dims = ("by", "place")

    def each(value: Callable[[History], object]) -> list[list[object]]:
        return [[value(history) for history in some] for some in lists]

    def text_of(history: History) -> str:
        return " ".join(map(str, history.symbols))

    K = len(worst.by_gap[0].bayes) - 1
    return xr.Dataset(
        {
            "symbols": (dims, np.array(each(text_of))),
            "probability": (dims, each(lambda h: h.probability)),
            "gap": (dims, each(lambda h: h.gap)),
            "bayes": ((*dims, "outcome"), each(lambda h: h.bayes)),
            "network": ((*dims, "outcome"), each(lambda h: h.network)),
        },
        {
            "by": ["gap", "weight"],
            "place": np.arange(1, len(worst.by_gap) + 1),
            "outcome": [*_symbols(K), "RESET"],
        },
        {**_NATS, "longest": worst.longest},
    )


def calibration_dataset(calibration: Calibration) -> xarray.Dataset:
    """Ranks of the true counts among the rolls, with their tests. ``pit``: ranks as values in (0, 1)."""
    import xarray as xr

    by = ("predictor", "history")
    distance = [[_distance(d) for d in row] for row in calibration.distances]
    p_value = [[math.nan if d is None else d.p_value for d in row] for row in calibration.distances]
    return xr.Dataset(
        {
            "rank": ((*by, "stream", "symbol"), calibration.ranks),
            "pit": ((*by, "stream", "symbol"), calibration.pit),
            "p_value": ((*by, "symbol"), calibration.p_values),
            "early_end": (by, calibration.early_end),
            "counts_p_value": (by, p_value),
            "counts_distance": ((*by, "bound"), distance),
        },
        {
            "predictor": list(calibration.predictors),
            **_coords(calibration),
            "bound": list(BOUNDS),
        },
        {
            "rolls": calibration.rolls,
            "draws": calibration.draws,
            "past_tasks": calibration.past_tasks,
        },
    )


def _counts_datasets(calibration: Calibration) -> dict[str, xarray.Dataset]:
    import xarray as xr

    def dataset(
        name: str,
        counts: Integer[np.ndarray, "..."],
        dims: tuple[str, ...],
        coords: Coords | None = None,
    ) -> xarray.Dataset:
        own = _coords(calibration) | (coords or {})
        return xr.Dataset({name: (dims, counts.astype(np.int32))}, own)

    dims = ("history", "stream", "symbol")
    rolls = np.moveaxis(calibration.predicted, 2, 0)[None]
    return {
        "posterior_predictive": dataset(
            "count",
            rolls,
            ("chain", "draw", *dims),
            {"chain": [0], "draw": np.arange(calibration.rolls)},
        ),
        "observed_data": dataset("count", calibration.observed, dims),
        "constant_data": dataset("count_before", calibration.before, dims),
    }


def _coords(calibration: Calibration) -> Coords:
    return {
        "history": list(calibration.histories),
        "stream": np.arange(calibration.tasks),
        "symbol": _symbols(calibration.num_symbols),
    }


def _symbols(number: int) -> list[str]:
    return [*map(str, range(number))]


def _distance(counts: CountsDistance | None) -> list[float]:
    return [math.nan] * len(BOUNDS) if counts is None else counts.distance.bounds
