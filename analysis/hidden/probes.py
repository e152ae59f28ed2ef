"""Linear probes: what a linear map reads off the state.

A probe is a least-squares map from the state, with an intercept, in float64, fitted on one half of the
streams and scored on the other. Singular values below 1e-6 of the largest (the rounding of float32
states) count as zero; there is no other regularisation. R^2 is 1 - (sum of squared errors) / (sum of
squares about the held-out mean) over drawn places, with a 95% interval from a bootstrap of whole
held-out streams. R^2 of several columns together adds up both sums over the columns.

``explain_directions`` asks the other way round: how much of the variance of a leading direction of the
state is a function of the place within the task, how much more is linear in the coordinates of Bayes's
belief, and how much more follows the place in the stream.

Three references say what an R^2 is worth: the untrained network that training started from, the network
early in its training, and the place alone, which predicts a target by its mean at each place within the
task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Integer

from analysis.intervals import Estimate, Mean, Means, Statistic, estimates
from meta_learning.processes import Process

_SMALLEST_SINGULAR_VALUE = 1e-6
# What processes call the exact predictive among their coordinates.
PREDICTIVE = "posterior_mean"
# Symbols, and coordinates of states along them.
Fit = tuple[Integer[np.ndarray, "_ L"], Float64[np.ndarray, "_ L n"]]
# What is to be read off, or what was, by name.
Targets = Mapping[str, Float64[np.ndarray, "_ L _"]]
# Vectors along streams: what a probe maps from, and to.
From = Float64[np.ndarray, "B L D"]
To = Float64[np.ndarray, "B L n"]


class Score(NamedTuple):
    """R^2 on held-out streams: of all columns together, and of each; estimates of None where a target
    is constant."""

    r2: Estimate
    by_column: list[Estimate]


@dataclass(frozen=True)
class Readings:
    """A distribution that Bayes holds, and what a probe of the whole state reads of it, at drawn places
    of held-out streams.

    target: its name among the probes' targets. exact: (histories, n), rows sum to 1. read: network ->
    (histories, n).
    """

    target: str
    exact: Float64[np.ndarray, "histories n"]
    read: dict[str, Float64[np.ndarray, "histories n"]]


def probe_targets(
    process: Process, symbols: Integer[np.ndarray, "B L"]
) -> dict[str, Float64[np.ndarray, "B L _"]]:
    """What a state might hold before each place: name -> float64 (B, L, columns). symbols: int (B, L).

    The process's own ``coordinates``; "predictive", the exact probabilities of the next symbol, where
    they are not among these as "posterior_mean"; "place", within the task, from 1.
    """
    along = process.coordinates_along(symbols)
    # JAX sorts the keys of a dict: this is the process's own order, with the most telling first.
    names = process.coordinates(process.initial_belief(1))
    targets = {name: along[name] for name in names}
    if PREDICTIVE not in targets:
        rows = np.exp(process.log_predictive(symbols))[..., :-1]
        targets = targets | {"predictive": rows}
    place = places_in_task(process, np.shape(symbols)[-1])[:, None].astype(np.float64)
    return targets | {"place": np.broadcast_to(place, (*np.shape(symbols), 1))}


def places_in_task(process: Process, length: int) -> Int64[np.ndarray, " {length}"]:
    """The place within the task, from 1, of every place of a stream. int (length,)."""
    places = np.arange(length)
    T = process.task_length
    return 1 + (places if math.isinf(T) else places % int(T))


def linear_probe(
    x: From, y: To, held_out_x: Float64[np.ndarray, "others L D"]
) -> Float64[np.ndarray, "others L n"]:
    """Least squares from x (B, L, D) to y (B, L, n), at held_out_x (B', L, D): (B', L, n)."""
    mean_x, mean_y = x.mean((0, 1)), y.mean((0, 1))
    flat = (x - mean_x).reshape(math.prod(x.shape[:-1]), x.shape[-1])  # D may be 0
    weights, *_ = np.linalg.lstsq(
        flat, (y - mean_y).reshape(len(flat), y.shape[-1]), rcond=_SMALLEST_SINGULAR_VALUE
    )
    return (held_out_x - mean_x) @ weights + mean_y


def place_probe(y: To, place: Int64[np.ndarray, " L"]) -> Float64[np.ndarray, "1 L n"]:
    """The mean of y (B, L, n) at each place within the task (L,). Returns (1, L, n)."""
    _, at = np.unique(place, return_inverse=True)
    by_place = y.mean(0)
    sums = np.zeros((at.max() + 1, y.shape[-1]))
    np.add.at(sums, at, by_place)
    return (sums / np.bincount(at)[:, None])[at][None]


def r_squared(y: To, answer: Float64[np.ndarray, "#B L n"]) -> Score:
    """R^2 of an answer to y, both (B, L, n), with intervals over the streams, the first axis."""
    # Shifted by one of its own values, a constant has a variance of exactly 0.
    shift = y[0, 0]
    centred = y - shift
    values: dict[str, Float64[np.ndarray, " B"]] = {}
    for k in range(y.shape[-1]):
        values[f"error{k}"] = ((y - answer)[..., k] ** 2).mean(1)
        values[f"square{k}"] = (centred[..., k] ** 2).mean(1)
        values[f"mean{k}"] = centred[..., k].mean(1)

    every = range(y.shape[-1])
    scores = estimates(
        values, {"all": _r2_of(every)} | {f"{k}": _r2_of(range(k, k + 1)) for k in every}
    )
    return Score(scores["all"], [scores[f"{k}"] for k in every])


def _r2_of(columns: range) -> Statistic:
    """1 - errors / spread, both added up over columns; NaN where there is no spread."""

    def statistic(mean: Means) -> Mean:
        error = sum(mean[f"error{k}"] for k in columns)
        spread = sum(mean[f"square{k}"] - mean[f"mean{k}"] ** 2 for k in columns)
        with np.errstate(invalid="ignore", divide="ignore"):
            return 1 - np.asarray(error) / np.where(np.asarray(spread) > 0, spread, np.nan)

    return statistic


def score(targets: Targets, answers: Targets) -> dict[str, Score]:
    """R^2 of the answer to every target: name -> score."""
    return {name: r_squared(y, answers[name]) for name, y in targets.items()}


def read_off(
    fit: Targets, x: From, held_out_x: Float64[np.ndarray, "others L D"]
) -> dict[str, Float64[np.ndarray, "others L _"]]:
    """What a linear probe, fitted from x (B, L, D) to every target of ``fit``, reads at ``held_out_x``
    (B', L, D)."""
    joint = np.concatenate(list(fit.values()), axis=-1)
    answers = linear_probe(x, joint, held_out_x)
    edges = np.cumsum([y.shape[-1] for y in fit.values()])[:-1]
    return dict(zip(fit, np.split(answers, edges, axis=-1), strict=True))


def find_readings(exact: Targets, answers: Mapping[str, Targets]) -> Readings | None:
    """Those of the first target whose rows are distributions that differ, and not all certain; None
    without one. exact: at drawn places of held-out streams. answers: network -> what is read there."""
    for name, values in exact.items():
        if values.shape[-1] < 2:
            continue
        rows = values.reshape(-1, values.shape[-1])
        sums = np.abs(rows.sum(1) - 1).max() < 1e-9 and rows.min() >= 0
        corners = (rows.max(1) > 1 - 1e-9).all()
        if sums and not corners and np.ptp(rows, axis=0).max() > 1e-9:
            read = {network: of[name].reshape(rows.shape) for network, of in answers.items()}
            return Readings(name, rows, read)
    return None


def explain_directions(process: Process, fit: Fit, held_out: Fit) -> dict[str, Score]:
    """R^2 of coordinates of the state under ever larger sets of causes, by name.

    fit, held_out: symbols int (B, L) and coordinates (B, L, n). "place": the mean at each place within
    the task. "belief": that, and least squares on the coordinates of Bayes's belief. "stream": as
    "belief", with the mean at each place of the stream instead of each place within the task.
    """
    causes, other_causes = (_belief(process, symbols) for symbols, _ in (fit, held_out))
    y, other_y = fit[1], held_out[1]
    length = y.shape[1]
    places = {"place": places_in_task(process, length), "stream": np.arange(length)}
    by_place = {k: (place_probe(causes, at), place_probe(y, at)) for k, at in places.items()}
    # Least squares beside a mean at each place: both sides less those means (Frisch and Waugh).
    answers = {"place": np.broadcast_to(by_place["place"][1], other_y.shape)}
    for name, (mean_x, mean_y) in zip(("belief", "stream"), by_place.values(), strict=True):
        answers[name] = linear_probe(causes - mean_x, y - mean_y, other_causes - mean_x) + mean_y
    return {name: r_squared(other_y, answer) for name, answer in answers.items()}


def _belief(
    process: Process, symbols: Integer[np.ndarray, "B L"]
) -> Float64[np.ndarray, "B L columns"]:
    """All coordinates of the belief, (B, L, columns)."""
    targets = probe_targets(process, symbols)
    return np.concatenate([v for name, v in targets.items() if name != "place"], axis=-1)
