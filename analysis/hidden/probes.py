"""Linear probes: what can be read off the state by a straight line.

A probe is least squares in float64 from the state, with an intercept, fitted on one half of the
streams and scored on the other; singular values below 1e-6 of the largest (float32's rounding of the
states) count as zero, and there is no other regularisation. R^2 is 1 - (sum of squared errors) / (sum
of squares about the held-out mean), over drawn places, with a 95% interval from a bootstrap of whole
held-out streams. R^2 of several columns together adds up both sums over the columns.

A leading direction of the state is explained the other way round (``explain_directions``): how much of
its variance is a function of the place within the task, how much more is linear in the coordinates
of Bayes's belief, how much more follows the place in the stream.

Three references say what an R^2 is worth. The untrained network is the one that training started from,
the early one that after a small part of the training, both probed in the same way. The place alone
predicts a target by its mean at each place within the task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Integer

from analysis.intervals import Estimate, Mean, Means, Statistic, estimates
from meta_learning.processes import Process

_SMALLEST_SINGULAR_VALUE = 1e-6
# The coordinate that processes call the exact predictive by.
PREDICTIVE = "posterior_mean"
# Symbols, and coordinates of the states along them.
Fit = tuple[Integer[np.ndarray, "_ L"], Float64[np.ndarray, "_ L n"]]
# What is read off, by name.
Targets = Mapping[str, Float64[np.ndarray, "_ L _"]]
# Vectors along streams: what a probe is fitted from and to.
From = Float64[np.ndarray, "B L D"]
To = Float64[np.ndarray, "B L n"]


class Score(NamedTuple):
    """R^2 on held-out streams: of all columns together, and of each. None where a target is constant."""

    r2: Estimate
    by_column: list[Estimate]


def probe_targets(
    process: Process, symbols: Integer[np.ndarray, "B L"]
) -> dict[str, Float64[np.ndarray, "B L _"]]:
    """What a state might hold, before each place. symbols: int (B, L). Each float64 (B, L, columns).

    The process's own ``coordinates``; "predictive", the exact probabilities of the next symbol, where
    they are not among them as "posterior_mean"; "place", within the task, from 1.
    """
    found = process.coordinates_along(symbols)
    # Compiled functions sort names: here they stand as the process lists them, the foremost first.
    names = process.coordinates(process.initial_belief(1))
    targets = {name: found[name] for name in names}
    if PREDICTIVE not in targets:
        rows = np.exp(process.log_predictive(symbols))[..., :-1]
        # What is said of a symbol where RESET is certain is not looked at.
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
    """Least squares from x (B, L, D) to y (B, L, n); the answer at held_out_x (B', L, D)."""
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
    """R^2 of an answer to y (B, L, n), with intervals over the streams (first axis)."""
    # Counted from one of its values, a constant has a variance of exactly 0.
    shift = y[0, 0]
    centred = y - shift
    values: dict[str, np.ndarray] = {}
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


def probe(
    fit: Targets,
    held_out: Targets,
    x: From,
    held_out_x: Float64[np.ndarray, "others L D"],
) -> dict[str, Score]:
    """A linear probe from x to every target: name -> score."""
    answers = read_off(fit, x, held_out_x)
    return {name: r_squared(held_out[name], answers[name]) for name in fit}


def read_off(
    fit: Targets, x: From, held_out_x: Float64[np.ndarray, "others L D"]
) -> dict[str, Float64[np.ndarray, "others L _"]]:
    """What a linear probe, fitted from x to every target, answers at ``held_out_x``."""
    joint = np.concatenate(list(fit.values()), axis=-1)
    answers = linear_probe(x, joint, held_out_x)
    edges = np.cumsum([y.shape[-1] for y in fit.values()])[:-1]
    return dict(zip(fit, np.split(answers, edges, axis=-1), strict=True))


def explain_directions(process: Process, fit: Fit, held_out: Fit) -> dict[str, Score]:
    """What coordinates of the state are explained by, as R^2 of ever larger sets of causes.

    fit, held_out: symbols int (B, L) and coordinates (B, L, n). "place": the mean at each place within
    the task. "belief": besides, least squares on the coordinates of Bayes's belief. "stream": the
    same, with the mean at each place of the stream instead of each place of the task.
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
