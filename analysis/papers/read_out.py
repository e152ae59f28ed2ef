"""Beliefs read off a network after every history of a task, each weighted by its probability.

Nothing is sampled: fits, R^2 and errors are over all histories of fewer than D = T - 1 draws that the
process can make, as the exact gap is.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from analysis.all_histories.file import HistoriesFile, all_histories
from analysis.all_histories.gap import exact_gap_of, score
from analysis.hidden.states import states_along
from autoregressive.cells.transformer import Transformer
from meta_learning.learner import Learner, encode
from meta_learning.processes import Process

# As for all probes (``hidden.probes``).
_SMALLEST_SINGULAR_VALUE = 1e-6
# Beliefs that differ by less are one.
_SAME_BELIEF = 1e-9
_STATES = "state_probabilities"

Beliefs = Float64[np.ndarray, "n states"]


class Task(NamedTuple):
    """All histories of a task of a process with hidden states. weight: p(history) over the number of
    lengths, (n,), sums to 1. belief: p(state | history), (n, S)."""

    histories: HistoriesFile
    row: Int64[np.ndarray, " n"]
    place: Int64[np.ndarray, " n"]
    weight: Float64[np.ndarray, " n"]
    belief: Beliefs
    predictive: Float64[np.ndarray, "n symbols"]


class ReadOut(NamedTuple):
    """What a linear map reads. r2: 1 - errors / spread, over all states together. error: mean squared
    error of a state's probability. read: (n, S)."""

    r2: float
    error: float
    read: Beliefs


def all_beliefs(process: Process) -> Task:
    """Bayes's beliefs after every history. Errors: ValueError where there are too many histories."""
    histories = all_histories(process)
    symbols = histories.symbols[: histories.rows]
    place, row = np.nonzero(histories.prefixes.T)
    log_b = process.log_predictive_along(symbols)
    own = np.take_along_axis(log_b, symbols[..., None].astype(np.int64), -1)[..., 0]
    before = np.concatenate([np.zeros((len(own), 1)), np.cumsum(own, axis=1)[:, :-1]], axis=1)
    weight = np.exp(before[row, place]) / histories.length
    belief = process.coordinates_along(symbols)[_STATES][row, place]
    return Task(histories, row, place, weight, belief, np.exp(log_b[row, place]))


def gap_of(learner: Learner, task: Task) -> float:
    """The exact gap of a network, nats a symbol."""
    symbols = task.histories.symbols[: task.histories.rows]
    return exact_gap_of(task.histories, score(task.histories, learner.log_predictive(symbols))).gap


def last_layer_of(learner: Learner, task: Task) -> Float64[np.ndarray, "n width"]:
    """What a network holds after every history: a transformer's output, a recurrent cell's whole
    state."""
    states = states_along(learner, task.histories.symbols[: task.histories.rows])
    return states.space(states.whole)[task.row, task.place]


def layers_of(learner: Learner, task: Task) -> Float64[np.ndarray, "n widths"]:
    """The same of all layers side by side: the last input, then the output of every layer, each
    normalised as the last one is. A recurrent cell has one layer."""
    symbols = task.histories.symbols[: task.histories.rows]
    cell, inputs = learner.model.cell, encode(symbols, learner.num_symbols)
    out = [np.asarray(inputs, np.float64)[task.row, task.place]]
    if isinstance(cell, Transformer):
        for layers in range(1, cell.layers):
            shorter = dataclasses.replace(cell, layers=layers)
            model = dataclasses.replace(learner.model, cell=shorter)
            out.append(last_layer_of(dataclasses.replace(learner, model=model), task))
    return np.concatenate([*out, last_layer_of(learner, task)], axis=1)


def read_beliefs(states: Float64[np.ndarray, "n width"], task: Task) -> ReadOut:
    """The best linear map, with an intercept, from ``states`` to the beliefs."""
    weight, y = task.weight, task.belief
    root = np.sqrt(weight)[:, None]
    x, mean = states - weight @ states, weight @ y
    line, *_ = np.linalg.lstsq(x * root, (y - mean) * root, rcond=_SMALLEST_SINGULAR_VALUE)
    read = x @ line + mean
    left, spread = (float((weight @ (y - other) ** 2).sum()) for other in (read, mean))
    return ReadOut(1 - left / spread, left / y.shape[1], read)


class Distances(NamedTuple):
    """Over all pairs of different beliefs, squared correlations of distances. belief: of what is read
    with the beliefs. predictive: of what is read with the next symbol's probabilities. exact: of the
    beliefs themselves with those."""

    states: int
    belief: float
    predictive: float
    exact: float


def distances(read: Beliefs, task: Task) -> Distances:
    """How far what is read keeps the distances of the process's beliefs, each standing where the
    weighted mean of its histories is."""
    rounded = np.round(task.belief / _SAME_BELIEF).astype(np.int64)
    _, first, which = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    total = np.bincount(which, task.weight)
    sums = [np.bincount(which, task.weight * column) for column in read.T]
    centres = np.stack(sums, axis=-1) / total[:, None]
    of_read, of_belief, of_next = (
        _pairs(points) for points in (centres, task.belief[first], task.predictive[first])
    )
    return Distances(
        len(first),
        _squared_correlation(of_read, of_belief),
        _squared_correlation(of_read, of_next),
        _squared_correlation(of_belief, of_next),
    )


def _pairs(points: Float64[np.ndarray, "n m"]) -> Float64[np.ndarray, " pairs"]:
    """Distances of all pairs of points."""
    first, second = np.triu_indices(len(points), 1)
    return np.sqrt(((points[first] - points[second]) ** 2).sum(-1))


def _squared_correlation(
    a: Float64[np.ndarray, " pairs"], b: Float64[np.ndarray, " pairs"]
) -> float:
    return float(np.corrcoef(a, b)[0, 1] ** 2)
