"""What the hidden state of a trained network holds: everything that is measured of one network."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from analysis.hidden.carry_over import StateCarryOver, state_carry_over
from analysis.hidden.controls import early_learner, initial_learner
from analysis.hidden.dimensions import (
    Dimensions,
    coordinates,
    measure_dimensions,
    principal_components,
)
from analysis.hidden.interventions import Interventions, measure_interventions
from analysis.hidden.jacobian import StepJacobian, step_jacobians
from analysis.hidden.probes import (
    Readings,
    Score,
    Targets,
    explain_directions,
    find_readings,
    place_probe,
    places_in_task,
    probe_targets,
    read_off,
    score,
)
from analysis.hidden.simulation import NoSimulation, Simulation, measure_simulation
from analysis.hidden.states import state_size, states_along
from analysis.hidden.trajectories import Trajectories, choose_trajectories
from analysis.report.report import Document
from analysis.report.views import Viewed
from autoregressive.model import Model
from meta_learning.learner import Learner
from meta_learning.processes import Process, drawn_places
from meta_learning.processes.places import stream_length

# Numbers in all states of a run: 1 GiB in float64.
MOST_NUMBERS = 2**27
_EXPLAINED_DIRECTIONS = 6


@dataclass(frozen=True, repr=False)
class Hidden(Viewed):
    """Everything that is measured of one network's state.

    settings: the network's. streams: their number; half are fitted on, half held out. length: of a
    stream. dimensions: by space. probes: network -> space -> target -> score; networks are "trained",
    "early" (where it is known how the network was trained) and "untrained". early: what "early" is,
    or why there is none. place_only: target -> score of the place alone. readings: None where Bayes's
    belief is no distribution, or always the same. causes: space -> cause -> R^2 of its leading
    directions. interventions: None where no task is long enough. jacobians: empty where the state has
    too many numbers.
    """

    process: Process
    settings: Document
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

    def __repr__(self) -> str:
        spaces = ", ".join(self.dimensions)
        return f"<Hidden: {spaces} on {self.streams} streams of {self.process.title}>"


def examine(
    learner: Learner, process: Process, *, key: PRNGKeyArray, streams: int = 2_000
) -> Hidden:
    """Measures one network on ``streams`` streams of the process it was trained on.

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
    networks = {name: network for name, network in learners.items() if network is not None}
    probes: dict[str, dict[str, dict[str, Score]]] = {}
    answers: dict[str, Targets] = {}
    for name, network in networks.items():
        states = trained if name == "trained" else states_along(network, symbols)
        probes[name] = {}
        for space in states.spaces:
            fit_x, held_out_x = (states.space(space)[chosen][:, drawn] for chosen in halves)
            # The last space is the whole state: its answers are the ones that stay.
            answers[name] = read_off(fit_y, fit_x, held_out_x)
            probes[name][space] = score(held_out_y, answers[name])
    return Hidden(
        process=process,
        settings=learner.settings,
        streams=streams,
        length=length,
        dimensions=dimensions,
        trajectories=choose_trajectories(learner, process, fitted, held_out, axes["h"]),
        probes=probes,
        early=early.says,
        readings=find_readings(held_out_y, answers),
        place_only=score(
            held_out_y, {name: place_probe(y, place[drawn]) for name, y in fit_y.items()}
        ),
        causes={
            name: explain_directions(
                process,
                *(
                    (part.symbols, coordinates(part.space(name), axis, _EXPLAINED_DIRECTIONS))
                    for part in (fitted, held_out)
                ),
            )
            for name, axis in axes.items()
        },
        carry_over=state_carry_over(process, held_out),
        interventions=measure_interventions(learner, process, key_interventions, streams),
        simulation=measure_simulation(networks, process, key_simulation, streams - half),
        jacobians=step_jacobians(learner),
    )


def check_can_examine(model: Model, process: Process, streams: int) -> None:
    """Errors: ValueError where ``examine`` would refuse; to be asked before a network is trained."""
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
