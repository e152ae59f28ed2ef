"""The histories on which a network is furthest from Bayes, out of all of them up to a length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from operator import attrgetter

import jax
import numpy as np
from jax import Array

from analysis.audit.count_vectors import counts_of, draws_of
from analysis.audit.decomposition import Exchangeable, exchangeable
from analysis.audit.exact_gap import positions
from analysis.audit.prefix_tree import after_reset, children, node_values, tree_nodes
from autoregressive.cells.base import Params, State
from autoregressive.model import Model
from autoregressive.precision import float64
from autoregressive.scores import kl
from meta_learning.learner import Learner
from meta_learning.processes import Process

MOST_NODES = 1_000_000


@dataclass(frozen=True)
class History:
    """A task's first draws. symbols: those draws. probability: of them, among histories as long.
    gap: KL(Bayes || network) at the next draw, nats. bayes, network: probabilities of the K symbols
    and RESET, (K+1,)."""

    symbols: tuple[int, ...]
    probability: float
    gap: float
    bayes: np.ndarray
    network: np.ndarray

    @property
    def weight(self) -> float:
        """What it adds to the gap at its position, nats."""
        return self.probability * self.gap


@dataclass(frozen=True)
class WorstHistories:
    """The first by their gap, and by what they add to it; longest: draws in the longest looked at."""

    by_gap: list[History]
    by_weight: list[History]
    longest: int


def worst_histories(
    learner: Learner, process: Process, *, draws: int | None = None, top: int = 10
) -> WorstHistories:
    """The ``top`` histories of ``process`` by gap, and by probability times gap.

    Looks at all histories of a task, or where those are more than 1e6 at the shorter ones among them.
    draws: as in ``exact_gap``. Errors: ValueError as there, or top < 1.
    """
    if top < 1:
        raise ValueError(f"expected 1 or more histories; got {top}")
    K, longest = process.num_symbols, positions(learner.model, process, draws) - 1
    bayes = exchangeable(process)
    best: dict[str, list[History]] = {"gap": [], "weight": []}
    with float64():
        state, values = _root(learner.model, K, learner.params)
        level = 0
        while True:
            scored = _Level(bayes, draws_of(level, K), K, np.asarray(values))
            for name, scores in {
                "gap": scored.gap,
                "weight": scored.gap * scored.probability,
            }.items():
                rows = np.argsort(-scores, kind="stable")[:top]
                joined = best[name] + [scored.history(row) for row in rows]
                best[name] = sorted(joined, key=attrgetter(name), reverse=True)[:top]
            if level == longest or tree_nodes(K, level + 2) > MOST_NODES:
                break
            state, values = _below(learner.model, K, learner.params, state)
            level += 1
    return WorstHistories(best["gap"], best["weight"], level)


class _Level:
    """All histories of one length, scored."""

    def __init__(self, bayes: Exchangeable, symbols: np.ndarray, K: int, values: np.ndarray):
        counts = counts_of(symbols, K)
        self.symbols, self.log_b = symbols, bayes.log_predictive(counts)
        self.log_q = values[:, :K] - values[:, K : K + 1]
        self.reset = values[:, K + 1]
        self.gap = kl(self.log_b, self.log_q)
        self.probability = np.exp(bayes.log_probability(counts))

    def history(self, row: int) -> History:
        return History(
            tuple(self.symbols[row].tolist()),
            float(self.probability[row]),
            float(self.gap[row]),
            np.append(np.exp(self.log_b[row]), 0.0),
            np.append(np.exp(self.log_q[row]), self.reset[row]),
        )


@partial(jax.jit, static_argnums=(0, 1))
def _root(model: Model, symbols: int, params: Params) -> tuple[State, Array]:
    state, logits = after_reset(model, symbols, params)
    return state, node_values(logits)


@partial(jax.jit, static_argnums=(0, 1))
def _below(model: Model, symbols: int, params: Params, state: State) -> tuple[State, Array]:
    state, logits = children(model, symbols, params, state)
    return state, node_values(logits.reshape(-1, symbols + 1))
