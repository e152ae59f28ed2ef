"""A sweep as numbers: the JSON document, and labelled arrays with a dimension for each axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Shaped

from analysis.comparison.estimates import quantity_of, share_closed
from analysis.comparison.results import Variables, attributes
from analysis.intervals import BOUNDS
from analysis.report.report import Document
from analysis.sweep.grid import coordinate
from analysis.sweep.sweep import Result, Sweep
from meta_learning.processes.parameters import json_value

if TYPE_CHECKING:
    import xarray


def document(sweep: Sweep) -> Document:
    """The JSON document of ``meta-learn sweep --json``: every point as ``compare --json`` has it, the
    last axis fastest."""
    recipe = sweep.grid.recipe
    return {
        "axes": {name: [json_value(v) for v in values] for name, values in sweep.grid.axes.items()},
        "seeds": list(sweep.seeds),
        "interval": "seeds" if len(sweep.seeds) > 1 else "streams",
        "recipe": recipe.name,
        "batch_size": recipe.batch_size,
        "unroll": recipe.unroll,
        "targets": recipe.targets,
        "streams": sweep.streams,
        "points": [result.document for result in sweep.results],
    }


def to_datatree(sweep: Sweep) -> xarray.DataTree:
    """Labelled arrays. Every variable has a dim for each axis of the grid, NaN where a point lacks it.

    Groups: network (dim seed) and references (dim predictor), means over the test streams; intervals
    (dim bound), estimates with their 95% intervals; training (dims seed, point), held-out learning
    curves.
    """
    import xarray as xr

    axes = {name: coordinate(values) for name, values in sweep.grid.axes.items()}
    fields = sorted({name for result in sweep.results for name in result.arrays})
    groups: dict[str, Variables] = {"network": {}, "references": {}, "training": {}}
    predictors = _predictors(sweep.results)
    for field in fields:
        group, name = field.split("/")
        dims = next(r.dims[field] for r in sweep.results if field in r.dims)
        cells = [_place(r, field, dims, predictors) for r in sweep.results]
        values = _stack(cells, sweep.grid.shape)
        groups[group][name] = ((*axes, *dims), values, attributes(name))
    lengths = groups["training"].pop("symbols")
    others = tuple(range(len(axes) - 1))
    with np.errstate(invalid="ignore"):
        symbols = np.fmax.reduce(lengths[1], axis=others)
    coords = {
        "seed": list(sweep.seeds),
        "predictor": predictors,
        "position": np.arange(1, groups["network"]["gap_by_position"][1].shape[-1] + 1),
        "bound": list(BOUNDS),
    }
    groups["network"]["gap_closed"] = (
        (*axes, "seed"),
        _closed_by_seed(groups, predictors),
        attributes("gap_closed"),
    )
    groups["intervals"] = _intervals(sweep, tuple(axes))
    datasets = {}
    for name, variables in groups.items():
        used = {d for dims, *_ in variables.values() for d in dims}
        here = {d: values for d, values in coords.items() if d in used}
        datasets[name] = xr.Dataset(variables, axes | here)
    datasets["training"]["symbols"] = (("iterations", "point"), symbols, attributes("symbols"))
    datasets["training"] = datasets["training"].set_coords("symbols")
    for dataset in datasets.values():
        _describe(dataset, sweep)
    return xr.DataTree.from_dict(datasets)


def _predictors(results: Iterable[Result]) -> list[str]:
    """Names of all references, in the order of their first coming."""
    names: dict[str, None] = {}
    for result in results:
        names |= dict.fromkeys(n for n in result.document.get("loss", {}) if n != "network")
    return list(names)


def _place(
    result: Result, field: str, dims: list[str], predictors: list[str]
) -> Shaped[np.ndarray, "..."] | None:
    """One point's array, with its references in the places of the whole sweep's; None without it."""
    values = result.arrays.get(field)
    if values is None or "predictor" not in dims:
        return values
    own = _predictors([result])
    out = np.full((len(predictors), *values.shape[1:]), np.nan)
    out[[predictors.index(name) for name in own]] = values
    return out


def _stack(
    cells: Sequence[Shaped[np.ndarray, "..."] | None], shape: tuple[int, ...]
) -> Float64[np.ndarray, "..."]:
    """The arrays of all points as one (*shape, ...), NaN beyond the end of each."""
    there = [cell for cell in cells if cell is not None]
    sizes = np.max([cell.shape for cell in there], axis=0)
    out = np.full((len(cells), *sizes), np.nan)
    for n, cell in enumerate(cells):
        if cell is not None:
            out[n][tuple(map(slice, cell.shape))] = cell
    return out.reshape(*shape, *sizes)


def _closed_by_seed(
    groups: dict[str, Variables], predictors: list[str]
) -> Float64[np.ndarray, "*axes seeds"]:
    memoryless = groups["references"]["gap"][1][..., [predictors.index("memoryless")]]
    return share_closed(groups["network"]["gap"][1], memoryless)


def _intervals(sweep: Sweep, axes: tuple[str, ...]) -> Variables:
    """Every estimate; ``gap.network`` is called ``gap_network``."""
    names = {name: None for result in sweep.results for name in result.estimates}
    out: Variables = {}
    for name in names:
        each = [result.estimates.get(name) or [None] * len(BOUNDS) for result in sweep.results]
        values = np.array(each, float).reshape(*sweep.grid.shape, len(BOUNDS))
        about = attributes(quantity_of(name))
        out[name.replace(".", "_")] = ((*axes, "bound"), values, about)
    return out


def _describe(dataset: xarray.Dataset, sweep: Sweep) -> None:
    recipe = sweep.grid.recipe
    dataset.attrs |= {
        "interval": "95% over " + ("seeds" if len(sweep.seeds) > 1 else "streams"),
        "streams": sweep.streams,
        "recipe": recipe.name,
        "batch_size": recipe.batch_size,
        "unroll": recipe.unroll,
        "targets": recipe.targets,
    }
