"""The histories on which a network is furthest from Bayes, out of all of them up to a length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from operator import attrgetter

import jax
import numpy as np
from jaxtyping import Float64, Integer

from analysis.audit.tree.belief_tree import Level, Scored, Tree, score_children
from analysis.audit.tree.belief_walk import make_belief_plan
from analysis.audit.tree.size import choose_draws
from autoregressive.precision import float64
from autoregressive.scores import kl
from meta_learning.learner import Learner
from meta_learning.processes import Process

MOST_NODES = 1_000_000


@dataclass(frozen=True)
class History:
    """A task's first draws. symbols: those draws. probability: among histories of the same length.
    gap: KL(Bayes || network) at the next draw, nats. bayes, network: the probabilities that they give
    the K symbols and RESET there, (K+1,)."""

    symbols: tuple[int, ...]
    probability: float
    gap: float
    bayes: Float64[np.ndarray, " outcomes"]
    network: Float64[np.ndarray, " outcomes"]

    @property
    def weight(self) -> float:
        """Probability times gap: what it adds to the gap at its position, nats."""
        return self.probability * self.gap


@dataclass(frozen=True)
class WorstHistories:
    """by_gap, by_weight: the histories of largest gap, and of largest weight. longest: the number of
    draws up to which histories were looked at."""

    by_gap: list[History]
    by_weight: list[History]
    longest: int


def worst_histories(
    learner: Learner, process: Process, *, draws: int | None = None, top: int = 10
) -> WorstHistories:
    """The ``top`` histories of ``process`` by gap, and by probability times gap.

    Looks at all histories of a task that the process can make; at the shorter ones where there are
    more than 1e6. draws: as for ``exact_gap``. Errors: ValueError as there, or top < 1.
    """
    if top < 1:
        raise ValueError(f"expected 1 or more histories; got {top}")
    D = choose_draws(learner.model, process, draws)
    tree = Tree(learner.model, learner.params, process, make_belief_plan(learner.model, process, D))
    best: dict[str, list[History]] = {"gap": [], "weight": []}
    with float64():
        root, at_root = tree.root()
        nodes = _Histories([root], np.zeros((1, 0), np.int8), at_root)
        seen = 0
        while True:
            for name, scores in {
                "gap": nodes.gap,
                "weight": nodes.gap * nodes.probability,
            }.items():
                rows = np.argsort(-scores, kind="stable")[:top]
                joined = best[name] + [nodes.history(row) for row in rows.tolist()]
                best[name] = sorted(joined, key=attrgetter(name), reverse=True)[:top]
            seen, length = seen + len(nodes.symbols), nodes.symbols.shape[1]
            if length == D - 1 or seen + len(nodes.symbols) * process.num_symbols > MOST_NODES:
                break
            nodes = _following(tree, nodes)
    return WorstHistories(best["gap"], best["weight"], length)


class _Histories:
    """All histories of one length, scored. levels: their blocks. symbols: int (n, length)."""

    def __init__(
        self, levels: list[Level], symbols: Integer[np.ndarray, "n length"], scored: Scored
    ):
        K = scored.log_b.shape[1]
        values = np.asarray(scored.values)
        self.levels, self.symbols, self.log_b = levels, symbols, np.asarray(scored.log_b)
        self.log_q = values[:, :K] - values[:, K : K + 1]
        self.reset = values[:, K + 1]
        self.gap = kl(self.log_b, self.log_q)
        self.probability = np.exp(np.asarray(scored.log_p))

    def history(self, row: int) -> History:
        return History(
            tuple(self.symbols[row].tolist()),
            float(self.probability[row]),
            float(self.gap[row]),
            np.append(np.exp(self.log_b[row]), 0.0),
            np.append(np.exp(self.log_q[row]), self.reset[row]),
        )


def _following(tree: Tree, nodes: _Histories) -> _Histories:
    """The histories that are one draw longer."""
    K, draws = tree.plan.symbols, nodes.symbols.shape[1] + 1
    levels, alive, scored = [], [], []
    for level in nodes.levels:
        block, found = _score(tree.model, tree.process, tree.params, level.block)
        # Padding is last in a block.
        found = jax.tree.map(lambda a, n=level.number * K: np.asarray(a)[:n], found)
        possible = ~np.isneginf(found.log_p)
        levels += tree.blocks_of(block, draws, possible, np.zeros(len(possible), np.int64))
        alive.append(possible)
        scored.append(jax.tree.map(lambda a, keep=possible: a[keep], found))
    symbols = np.repeat(nodes.symbols, K, axis=0)
    drawn = np.tile(np.arange(K, dtype=np.int16), len(nodes.symbols))[:, None]
    symbols = np.concatenate([symbols, drawn], axis=1)[np.concatenate(alive)]
    return _Histories(levels, symbols, jax.tree.map(lambda *a: np.concatenate(a), *scored))


_score = partial(jax.jit, static_argnums=(0, 1))(score_children)
