"""An audit as labelled arrays, as ArviZ opens them: groups with dims seed, stream, position, symbol.

A network's probabilities are no draws from a posterior and have groups of their own. Its rolled-forward
counts are draws from its predictive distribution: ``posterior_predictive`` beside ``observed_data``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.audit.calibration import RolledForward
from analysis.audit.carry_over import CarryOver
from analysis.audit.decomposition import Budget
from analysis.audit.exact_gap import ExactGap
from analysis.audit.future_counts import CountsDistance
from analysis.audit.worst_histories import History, WorstHistories
from analysis.intervals import BOUNDS

if TYPE_CHECKING:
    import xarray

_NATS = {"units": "nats"}


def to_datatree(
    found: ExactGap,
    *,
    seed: int = 0,
    carried: CarryOver | None = None,
    worst: WorstHistories | None = None,
    rolled: RolledForward | None = None,
) -> xarray.DataTree:
    """The parts of an audit of one network; ``analysis.report.publish.write_netcdf`` writes it.

    Groups: exact_gap and exact_gap_by_counts, in nats; carry_over; worst_histories; calibration (ranks
    of ``rolled``), posterior_predictive (its rolled counts; a draw is a roll), observed_data (the counts
    that came) and constant_data (the counts before).
    """
    import xarray as xr

    groups = {
        "exact_gap": _exact_dataset(found),
        "exact_gap_by_counts": _by_counts_dataset(found),
    }
    if carried is not None:
        groups["carry_over"] = _carried_dataset(carried)
    if worst is not None:
        groups["worst_histories"] = _worst_dataset(worst)
    if rolled is not None:
        groups["calibration"] = calibration_dataset(rolled)
    groups = {name: group.expand_dims(seed=[seed]) for name, group in groups.items()}
    if rolled is not None:
        groups |= _counts_datasets(rolled)
    return xr.DataTree.from_dict(groups)


def _terms(budget: Budget, dim: str) -> dict[str, Any]:
    return {name: ((dim,), getattr(budget, name)) for name in Budget.__annotations__}


def _exact_dataset(found: ExactGap) -> xarray.Dataset:
    import xarray as xr

    return xr.Dataset(
        _terms(found.budget, "position"),
        {"position": np.arange(1, len(found.by_position) + 1)},
        {**_NATS, "reset": "reset is a probability", "histories": found.nodes},
    )


def _by_counts_dataset(found: ExactGap) -> xarray.Dataset:
    import xarray as xr

    terms = _terms(found.cells, "cell")
    terms["counts_term"] = terms.pop("counts")
    own = {
        "counts": (("cell", "symbol"), found.counts),
        "probability": (("cell",), found.probability),
    }
    position = found.counts.sum(-1) + 1
    coords = {"symbol": _symbols(found.counts.shape[1]), "position": ("cell", position)}
    return xr.Dataset(own | terms, coords, _NATS)


def _carried_dataset(carried: CarryOver) -> xarray.Dataset:
    import xarray as xr

    return xr.Dataset(
        {
            "change": (("position", "bound"), [e.bounds for e in carried.by_position]),
            "mean_change": (("bound",), carried.mean.bounds),
            "fresh_gap": (("bound",), carried.fresh.bounds),
        },
        {"position": np.arange(1, len(carried.by_position) + 1), "bound": list(BOUNDS)},
        {**_NATS, "past_tasks": carried.past_tasks, "tasks": carried.tasks},
    )


def _worst_dataset(worst: WorstHistories) -> xarray.Dataset:
    import xarray as xr

    lists = [worst.by_gap, worst.by_weight]
    dims = ("by", "place")

    def each(value: Any) -> list[list[Any]]:
        return [[value(history) for history in some] for some in lists]

    def written(history: History) -> str:
        return " ".join(map(str, history.symbols))

    K = len(worst.by_gap[0].bayes) - 1
    return xr.Dataset(
        {
            "symbols": (dims, np.array(each(written))),
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


def calibration_dataset(found: RolledForward) -> xarray.Dataset:
    """Ranks of what came among the rolls, with their tests. ``pit``: the ranks as values in (0, 1)."""
    import xarray as xr

    by = ("predictor", "history")
    distance = [[_distance(d) for d in row] for row in found.distances]
    p_value = [[math.nan if d is None else d.p_value for d in row] for row in found.distances]
    return xr.Dataset(
        {
            "rank": ((*by, "stream", "symbol"), found.ranks),
            "pit": ((*by, "stream", "symbol"), found.pit),
            "p_value": ((*by, "symbol"), found.p_values),
            "early_end": (by, found.early_end),
            "counts_p_value": (by, p_value),
            "counts_distance": ((*by, "bound"), distance),
        },
        {
            "predictor": list(found.predictors),
            **_of_rolls(found),
            "bound": list(BOUNDS),
        },
        {"rolls": found.rolls, "draws": found.draws, "past_tasks": found.past_tasks},
    )


def _counts_datasets(found: RolledForward) -> dict[str, xarray.Dataset]:
    import xarray as xr

    def dataset(name: str, counts: np.ndarray, dims: tuple[str, ...], **coords: Any) -> Any:
        return xr.Dataset({name: (dims, counts.astype(np.int32))}, _of_rolls(found) | coords)

    dims = ("history", "stream", "symbol")
    rolls = np.moveaxis(found.rolled, 2, 0)[None]
    return {
        "posterior_predictive": dataset(
            "count", rolls, ("chain", "draw", *dims), chain=[0], draw=np.arange(found.rolls)
        ),
        "observed_data": dataset("count", found.came, dims),
        "constant_data": dataset("count_before", found.before, dims),
    }


def _of_rolls(found: RolledForward) -> dict[str, Any]:
    return {
        "history": list(found.histories),
        "stream": np.arange(found.tasks),
        "symbol": _symbols(found.num_symbols),
    }


def _symbols(number: int) -> list[str]:
    return [*map(str, range(number))]


def _distance(found: CountsDistance | None) -> list[float]:
    return [math.nan] * len(BOUNDS) if found is None else found.distance.bounds
