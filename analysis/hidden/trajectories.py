"""Some held-out streams as paths through the leading directions of h, to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Integer

from analysis.hidden.dimensions import Principal, coordinates, prediction_basis
from analysis.hidden.probes import places_in_task, probe_targets
from analysis.hidden.states import States
from meta_learning.learner import Learner
from meta_learning.processes import Process, drawn_places, task_counts

_SHOWN_STREAMS = 200
# A figure shades states by at most so many columns.
_SHADES = 8


@dataclass(frozen=True)
class Trajectories:
    """Held-out streams in two leading directions of h, by variance and by what the prediction feels.

    by_variance, by_prediction: coordinates (streams, L, 2), the latter of unit variance. counts:
    before each place (streams, L, K). place: within the task, from 1, (L,). drawn: bool (L,).
    shade: the coordinate of the belief that a figure shades by, its name and (streams, L, columns).
    """

    by_variance: Float64[np.ndarray, "streams L 2"]
    by_prediction: Float64[np.ndarray, "streams L 2"]
    counts: Integer[np.ndarray, "streams L K"]
    place: Integer[np.ndarray, " L"]
    drawn: Bool[np.ndarray, " L"]
    shade: tuple[str, Float64[np.ndarray, "streams L columns"]]


def choose_trajectories(
    learner: Learner,
    process: Process,
    fitted: States,
    held_out: States,
    axes: Principal,
) -> Trajectories:
    """The first 200 held-out streams. fitted: states that the directions of what the prediction feels
    are found on. axes: principal components of h."""
    length = fitted.symbols.shape[1]
    drawn = drawn_places(length, process.task_length)
    felt = prediction_basis(learner, fitted.space("h")[:, drawn])
    shown = held_out.streams(slice(0, _SHOWN_STREAMS))
    h = shown.space("h")
    return Trajectories(
        _two(coordinates(h, axes, 2)),
        _two((h - felt.mean) @ felt.encode[:2].T),
        task_counts(shown.symbols, process.num_symbols, process.task_length),
        places_in_task(process, length),
        drawn,
        _shade(process, shown.symbols),
    )


def _two(values: Float64[np.ndarray, "streams L n"]) -> Float64[np.ndarray, "streams L 2"]:
    """The first two coordinates; the second is 0 where there is but one."""
    missing = max(0, 2 - values.shape[-1])
    return np.pad(values, ((0, 0), (0, 0), (0, missing)))[..., :2]


def _shade(
    process: Process, symbols: Integer[np.ndarray, "streams L"]
) -> tuple[str, Float64[np.ndarray, "streams L columns"]]:
    """The first coordinate of the belief, or the next where it has too many columns to show."""
    targets = {k: v for k, v in probe_targets(process, symbols).items() if k != "place"}
    name = next((k for k, v in targets.items() if v.shape[-1] <= _SHADES), next(iter(targets)))
    return name, targets[name]
