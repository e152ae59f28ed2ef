"""What the hidden state of a trained network holds: all figures of one network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float64, Integer, PRNGKeyArray

from analysis.hidden.controls import early_learner, initial_learner
from analysis.hidden.dimensions import (
    Dimensions,
    Principal,
    measure_dimensions,
    prediction_basis,
    principal_components,
)
from analysis.hidden.interventions import Interventions, measure_interventions
from analysis.hidden.jacobian import StepJacobian, step_jacobians
from analysis.hidden.probes import (
    Score,
    explain_directions,
    place_probe,
    places_in_task,
    probe_targets,
    r_squared,
    read_off,
)
from analysis.hidden.simulation import NoSimulation, Simulation, measure_simulation
from analysis.hidden.states import States, state_size, states_along
from analysis.intervals import Estimate, estimates, quotient
from autoregressive.model import Model
from autoregressive.scores import kl
from meta_learning.learner import Learner
from meta_learning.processes import Process, drawn_places, task_counts
from meta_learning.training import stream_length

# All states of a run, in numbers: 1 GiB in float64.
MOST_NUMBERS = 2**27
_SHOWN_STREAMS = 200
_EXPLAINED_DIRECTIONS = 6
# Columns of a coordinate by which states are shaded.
_SHADES = 8
# Targets, or coordinates, along streams.
Values = Float64[np.ndarray, "streams L n"]


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


@dataclass(frozen=True)
class StateCarryOver:
    """What passes a RESET, over the places after and before every RESET within a stream.

    variance: by space, of the state after the RESET over that before it, both about their mean at the
    same place of the stream. kl: KL(start || here) in nats, mean, between the first prediction of a
    stream and those after its RESETs. None where streams have no RESET before their last place.
    """

    variance: dict[str, Estimate]
    kl: Estimate


@dataclass(frozen=True)
class Hidden:
    """Everything about one network's state.

    streams: in all; half of them fit, half are held out. dimensions: by space. probes: "trained",
    "early" where it is known how the network was trained, and "untrained" -> space -> target -> score.
    early: what "early" is, or why it is not there. place_only: target -> score of the place alone.
    causes: space -> what its leading directions are explained by. readings: None where Bayes's belief
    is no distribution, or always the same. interventions: None where no task is long enough. jacobians:
    none where the state has too many numbers.
    """

    process: Process
    settings: dict[str, Any]
    streams: int
    length: int
    dimensions: dict[str, Dimensions]
    trajectories: Trajectories
    probes: dict[str, dict[str, dict[str, Score]]]
    early: str
    place_only: dict[str, Score]
    readings: Readings | None
    causes: dict[str, dict[str, Score]]
    carry_over: StateCarryOver
    interventions: Interventions | None
    simulation: Simulation | NoSimulation
    jacobians: list[StepJacobian]

    @property
    def whole(self) -> str:
        """The space of all parts of the state together."""
        return list(self.dimensions)[-1]

    @property
    def held_out(self) -> int:
        """How many streams were kept from fitting."""
        return self.streams - self.streams // 2


def examine(
    learner: Learner, process: Process, *, key: PRNGKeyArray, streams: int = 2_000
) -> Hidden:
    """All figures of one network on ``streams`` streams of the process it was trained on.

    Errors: ValueError where the network is not built on a cell, tasks have no drawn symbol, streams
    < 4, or the states would take more than MOST_NUMBERS numbers.
    """
    check_can_examine(learner.model, process, streams)
    length = stream_length(process.task_length)
    drawn = drawn_places(length, process.task_length)
    key_streams, key_interventions = jax.random.split(key)
    key_simulation = jax.random.fold_in(key, 1)
    symbols = np.asarray(process.sample(key_streams, streams, length))
    half = streams // 2
    halves = slice(0, half), slice(half, None)
    trained = states_along(learner, symbols)
    fitted, held_out = (trained.streams(chosen) for chosen in halves)
    dimensions = {
        s: measure_dimensions(learner, fitted, held_out, s, drawn) for s in trained.spaces
    }
    axes = {s: principal_components(fitted.space(s)) for s in trained.spaces}

    targets = {name: values[:, drawn] for name, values in probe_targets(process, symbols).items()}
    fit_y, held_out_y = ({k: v[chosen] for k, v in targets.items()} for chosen in halves)
    place = places_in_task(process, length)
    early = early_learner(learner, process)
    learners = {"trained": learner, "early": early.learner, "untrained": initial_learner(learner)}
    there = {name: one for name, one in learners.items() if one is not None}
    probes: dict[str, dict[str, dict[str, Score]]] = {}
    read: dict[str, dict[str, Values]] = {}
    for name, one in there.items():
        states = trained if name == "trained" else states_along(one, symbols)
        probes[name] = {}
        for space in states.spaces:
            fit_x, held_out_x = (states.space(space)[chosen][:, drawn] for chosen in halves)
            # The last space is that of the whole state.
            read[name] = read_off(fit_y, fit_x, held_out_x)
            probes[name][space] = {
                target: r_squared(held_out_y[target], answer)
                for target, answer in read[name].items()
            }
    return Hidden(
        process=process,
        settings=learner.settings,
        streams=streams,
        length=length,
        dimensions=dimensions,
        trajectories=_trajectories(learner, process, fitted, held_out, axes["h"]),
        probes=probes,
        early=early.says,
        readings=find_readings(held_out_y, read),
        place_only={
            name: r_squared(held_out_y[name], place_probe(fit_y[name], place[drawn]))
            for name in targets
        },
        causes={
            name: explain_directions(
                process,
                *(
                    (half.symbols, _coordinates(half.space(name), axis, _EXPLAINED_DIRECTIONS))
                    for half in (fitted, held_out)
                ),
            )
            for name, axis in axes.items()
        },
        carry_over=state_carry_over(process, held_out),
        interventions=measure_interventions(learner, process, key_interventions, streams),
        simulation=measure_simulation(there, process, key_simulation, streams - half),
        jacobians=step_jacobians(learner),
    )


def check_can_examine(model: Model, process: Process, streams: int) -> None:
    """Errors: ValueError, as ``examine``: worth asking before a network is trained."""
    width = state_size(model)
    length = stream_length(process.task_length)
    if not drawn_places(length, process.task_length).any():
        raise ValueError("tasks of T=1 have no drawn symbol: there is nothing for a state to hold")
    if streams < 4:
        raise ValueError(f"streams are split in two halves of two or more; got {streams}")
    most = MOST_NUMBERS // (length * width)
    if streams > most:
        advice = (
            f"use at most {most} streams" if most >= 4 else "use a shorter T or fewer hidden units"
        )
        raise ValueError(
            f"{streams} streams of {length} places with states of {width} are more than "
            f"{MOST_NUMBERS} numbers; {advice}"
        )


def _coordinates(values: Float64[np.ndarray, "streams L D"], axes: Principal, count: int) -> Values:
    return (values - axes.mean) @ axes.directions[:, :count]


def _two(coordinates: Values) -> Float64[np.ndarray, "streams L 2"]:
    """The first two coordinates; the second is 0 where there is but one."""
    missing = max(0, 2 - coordinates.shape[-1])
    return np.pad(coordinates, ((0, 0), (0, 0), (0, missing)))[..., :2]


def find_readings(exact: dict[str, Values], read: dict[str, dict[str, Values]]) -> Readings | None:
    """The first target whose columns are a distribution that moves, and not only from one corner to
    another."""
    for name, values in exact.items():
        if values.shape[-1] < 2:
            continue
        rows = values.reshape(-1, values.shape[-1])
        sums = np.abs(rows.sum(1) - 1).max() < 1e-9 and rows.min() >= 0
        corners = (rows.max(1) > 1 - 1e-9).all()
        if sums and not corners and np.ptp(rows, axis=0).max() > 1e-9:
            answers = {one: of[name].reshape(rows.shape) for one, of in read.items()}
            return Readings(name, rows, answers)
    return None


def _shade(
    process: Process, symbols: Integer[np.ndarray, "streams L"]
) -> tuple[str, Float64[np.ndarray, "streams L columns"]]:
    """The first coordinate of the belief, or the next where it has too many columns to show."""
    targets = {k: v for k, v in probe_targets(process, symbols).items() if k != "place"}
    name = next((k for k, v in targets.items() if v.shape[-1] <= _SHADES), next(iter(targets)))
    return name, targets[name]


def _trajectories(
    learner: Learner,
    process: Process,
    fitted: States,
    held_out: States,
    axes: Principal,
) -> Trajectories:
    length = fitted.symbols.shape[1]
    drawn = drawn_places(length, process.task_length)
    felt = prediction_basis(learner, fitted.space("h")[:, drawn])
    shown = held_out.streams(slice(0, _SHOWN_STREAMS))
    h = shown.space("h")
    return Trajectories(
        _two(_coordinates(h, axes, 2)),
        _two((h - felt.mean) @ felt.encode[:2].T),
        task_counts(shown.symbols, process.num_symbols, process.task_length),
        places_in_task(process, length),
        drawn,
        _shade(process, shown.symbols),
    )


def state_carry_over(process: Process, states: States) -> StateCarryOver:
    """What passes a RESET, from states along streams of ``process``."""
    length = states.symbols.shape[1]
    T = process.task_length
    if math.isinf(T) or length <= T:
        none = Estimate(None, None, None)
        return StateCarryOver({space: none for space in states.spaces}, none)
    T = int(T)
    spread: dict[str, Float64[np.ndarray, " streams"]] = {}
    for space in states.spaces:
        values = states.space(space)
        for name, around in (("before", values[:, T - 1 : -1 : T]), ("after", values[:, T::T])):
            spread[f"{name} {space}"] = ((around - around.mean(0)) ** 2).sum(-1).mean(-1)
    spread["kl"] = kl(states.log_q[:, :1], states.log_q[:, T::T]).mean(-1)
    ratios = estimates(
        spread,
        {space: quotient(f"after {space}", f"before {space}") for space in states.spaces}
        | {"kl": lambda m: m["kl"]},
    )
    return StateCarryOver({space: ratios[space] for space in states.spaces}, ratios["kl"])
