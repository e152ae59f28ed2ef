"""Axes of a sweep's grid: every choice of values on some of them, and their words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from analysis.sweep.grid import NETWORK_AXES, text_of

if TYPE_CHECKING:
    import xarray

# A choice of one value on each of some axes.
Choice = dict[str, Any]


def choices(values: xarray.DataArray, names: Sequence[str]) -> Iterator[Choice]:
    """Every choice of one value on each of these axes, the last axis fastest."""
    for picked in product(*(values[name].values.tolist() for name in names)):
        yield dict(zip(names, picked, strict=True))


def name_of(choice: Choice, values: xarray.DataArray, between: str = ", ") -> str:
    """A choice in words, without axes that have one value only: "alpha=10,1,1, T=20"."""
    words = {"process": "{}", "cell": "{}", "hidden": "{} units", "iterations": "{} iterations"}
    return between.join(
        words.get(name, f"{name}={{}}").format(text_of(value))
        for name, value in choice.items()
        if values.sizes[name] > 1
    )


def split(values: xarray.DataArray) -> tuple[list[str], list[str]]:
    """Axes that change what is to be learnt, and those that change the network."""
    names = [str(d) for d in values.dims if d not in ("bound", "seed", "position", "point")]
    return [n for n in names if n not in NETWORK_AXES], [n for n in names if n in NETWORK_AXES]


def axis_title(name: str) -> str:
    """An axis of the grid in words, for labels and captions."""
    names = {
        "hidden": "hidden units",
        "iterations": "training iterations",
        "T": "T, task length with RESET",
        "pool": "tasks in the pool",
    }
    return names.get(name, name)
