"""Simulation both ways (Mikulik et al. 2020): can Bayes go on from the network's state, and the network
from Bayes's belief?

After n draws of a task a linear map, fitted by least squares on other tasks, one for each n, takes

- the network's state to the columns of Bayes's belief (``beliefs``), and Bayes goes on from there over
  the rest of the task;
- Bayes's belief and its coordinates to the network's state, and the network goes on from there.

Of both, KL(network || simulation) and KL(Bayes || simulation) in nats a symbol: the mean over held-out
tasks, n, and the drawn places from n on. RESET, and symbols that the process cannot draw there, are
left out and the rest is normalised; else KL(network || Bayes) would be infinite. The identity, with the
network or Bayes itself as the simulation, is what a perfect map gives. A simulation that is near the
network and near Bayes says that the state holds the belief and that the network uses it as Bayes does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter

import jax
import numpy as np
from jaxtyping import Float64, Integer, PRNGKeyArray

from analysis.hidden.beliefs import Held, bayes_from, beliefs_after, columns_of
from analysis.hidden.interventions import predictions_after
from analysis.hidden.probes import linear_probe
from analysis.hidden.states import NO_VECTORS, state_size, states_along, vector_model
from analysis.intervals import Estimate, estimates
from autoregressive.scores import kl
from meta_learning.learner import Learner
from meta_learning.processes import Process
from meta_learning.processes.places import stream_length

MOST_PLACES = 5
# Tasks to fit on for each weight of a row of the map.
_TASKS_A_NUMBER = 4
# Numbers in all states along the tasks: 1 GiB in float32.
_MOST_NUMBERS = 2**28
WAYS = ("bayes_from_state", "network_from_belief")


@dataclass(frozen=True)
class Simulation:
    """fitted, held_out: numbers of tasks. draws: the n after which a state or a belief is mapped, (P,).

    mean: way -> network -> "network" or "bayes" -> KL(that || simulation), nats a symbol; ways are
    ``WAYS``. identity: network -> "network_bayes", KL(network || Bayes), and "bayes_network",
    KL(Bayes || network). by_draws: of the trained network, way -> "network" or "bayes" -> an estimate
    for each n.
    """

    fitted: int
    held_out: int
    draws: Integer[np.ndarray, " P"]
    mean: dict[str, dict[str, dict[str, Estimate]]]
    identity: dict[str, dict[str, Estimate]]
    by_draws: dict[str, dict[str, list[Estimate]]]


@dataclass(frozen=True)
class NoSimulation:
    """Why there is none, in a sentence."""

    reason: str


def measure_simulation(
    learners: Mapping[str, Learner], process: Process, key: PRNGKeyArray, tasks: int = 1_000
) -> Simulation | NoSimulation:
    """Simulates each of ``learners``, "trained" first, on ``tasks`` held-out tasks. Maps are fitted on
    as many tasks, or on more where they have many weights. An endless task is cut at 100 draws."""
    T = process.task_length
    span = stream_length(T) if math.isinf(T) else int(T) - 1
    if span < 2:
        return NoSimulation("tasks of one draw have no rest to run on over")
    if vector_model(learners["trained"].model) is None:
        return NoSimulation(NO_VECTORS)
    draws = np.unique(np.linspace(1, span - 1, min(MOST_PLACES, span - 1)).round().astype(int))
    fit = _tasks_to_fit(learners["trained"], process, span, tasks)
    symbols = np.asarray(process.sample(key, fit + tasks, span))
    bayes = process.log_predictive(symbols)
    held = {n: beliefs_after(process, symbols, n) for n in map(int, draws)}
    try:
        columns = {n: columns_of(held[n].numbers) for n in held}
    except ValueError as error:
        return NoSimulation(f"{process.name}: {error}")
    values: dict[str, Float64[np.ndarray, " tasks"]] = {}
    for name, learner in learners.items():
        states = states_along(learner, symbols)
        whole = states.space(states.whole)
        own = _can_come(states.log_q, bayes)[fit:]
        exact = _can_come(bayes, bayes)[fit:]
        values[f"identity {name} network_bayes"] = _mean(own, exact, draws)
        values[f"identity {name} bayes_network"] = _mean(exact, own, draws)
        widths = np.cumsum([part.shape[-1] for part in states.parts.values()])[:-1]
        for n in map(int, draws):
            written = columns[n].write(held[n].numbers, len(symbols))
            rest = np.zeros_like(symbols[fit:])
            rest[:, : span - n] = symbols[fit:, n:]
            mapped = columns[n].read(_map(whole[:, n], written, fit))
            bayes_on = bayes_from(process, mapped, rest)[:, : span - n]
            causes = _causes(written, held[n])
            state = _map(causes, whole[:, n], fit).astype(np.float32)
            network_on = predictions_after(
                learner, tuple(np.split(state, widths, axis=1)), symbols[fit:], n
            )
            network_on = _can_come(network_on, bayes[fit:, n:])
            for way, simulated in zip(WAYS, (bayes_on, network_on), strict=True):
                values[f"{way} {name} network {n}"] = kl(own[:, n:], simulated).mean(1)
                values[f"{way} {name} bayes {n}"] = kl(exact[:, n:], simulated).mean(1)
    return _summary([*learners], fit, tasks, draws, values)


def _tasks_to_fit(learner: Learner, process: Process, span: int, tasks: int) -> int:
    width = state_size(learner.model)
    held = jax.eval_shape(lambda: process.initial_belief(span))
    entries = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(held))
    most = max(tasks, _MOST_NUMBERS // (span * (width + entries)))
    return min(max(tasks, _TASKS_A_NUMBER * max(width, entries)), most)


def _map(
    x: Float64[np.ndarray, "B D"], y: Float64[np.ndarray, "B m"], fit: int
) -> Float64[np.ndarray, "held_out m"]:
    """A linear map from x (B, D) to y (B, m), fitted on the first ``fit`` rows, at the others."""
    return linear_probe(x[:fit, None], y[:fit, None], x[fit:, None])[:, 0]


def _causes(
    written: Float64[np.ndarray, "B columns"], held: Held
) -> Float64[np.ndarray, "B causes"]:
    """What a state is mapped from: the belief's columns and coordinates, each of standard deviation 1,
    or 0 where it is constant."""
    causes = np.concatenate([written, *held.coordinates.values()], axis=1)
    spread = causes.std(0)
    return (causes - causes.mean(0)) / np.where(spread > 1e-9, spread, np.inf)


def _can_come(
    log_q: Float64[np.ndarray, "B n outcomes"], bayes: Float64[np.ndarray, "B n outcomes"]
) -> Float64[np.ndarray, "B n symbols"]:
    """log q of the symbols that can be drawn, normalised; -inf at others. (.., K+1) -> (.., K).

    A predictor that gives all of them probability 0 keeps -inf at all."""
    kept = np.where(np.isneginf(bayes[..., :-1]), -np.inf, log_q[..., :-1])
    total = np.logaddexp.reduce(kept, axis=-1, keepdims=True)
    return kept - np.where(np.isneginf(total), 0.0, total)


def _mean(
    log_p: Float64[np.ndarray, "B n symbols"],
    log_q: Float64[np.ndarray, "B n symbols"],
    draws: Integer[np.ndarray, " P"],
) -> Float64[np.ndarray, " B"]:
    """KL over the rest of each task, the mean over the places n of ``draws``. (B,)."""
    terms = kl(log_p, log_q)
    return np.mean([terms[:, n:].mean(1) for n in draws], axis=0)


def _summary(
    names: list[str],
    fit: int,
    tasks: int,
    draws: Integer[np.ndarray, " P"],
    values: dict[str, Float64[np.ndarray, " tasks"]],
) -> Simulation:
    every = {
        f"{way} {name} {of}": np.mean([values[f"{way} {name} {of} {n}"] for n in draws], axis=0)
        for way in WAYS
        for name in names
        for of in ("network", "bayes")
    }
    found = estimates(values | every, {name: itemgetter(name) for name in values | every})
    return Simulation(
        fitted=fit,
        held_out=tasks,
        draws=draws,
        mean={
            way: {
                name: {of: found[f"{way} {name} {of}"] for of in ("network", "bayes")}
                for name in names
            }
            for way in WAYS
        },
        identity={
            name: {of: found[f"identity {name} {of}"] for of in ("network_bayes", "bayes_network")}
            for name in names
        },
        by_draws={
            way: {
                of: [found[f"{way} {names[0]} {of} {n}"] for n in draws]
                for of in ("network", "bayes")
            }
            for way in WAYS
        },
    )
