"""Classes of histories of one length that share a belief: the same-belief part is taken over them.

A process's ``statistic`` is equal for histories whose beliefs are equal, so one history of a class
tells what follows all of them. Classes are found length by length, each from one history of a class
before it: the work goes with the number of different beliefs, not of histories. Histories that the
process cannot make are in no class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float64, Int64, Integer

from autoregressive.precision import float64
from meta_learning.processes import Process, count_symbols
from meta_learning.processes.machine import Machine
from meta_learning.processes.types import Belief

# With more classes their sums would not fit in memory.
MOST_CLASSES = 2**20
# Classes in one compiled call.
_AT_ONCE = 2**10


@dataclass(frozen=True)
class Classes:
    """The classes of all lengths n = 0..D-1, length by length.

    first: where the classes of each length begin, and at the end their number, int (D + 1,). after: the
    class that follows with each symbol, int (classes, K); -1 where the symbol cannot come, and at the
    last length. log_predictive: nats, float64 (classes, K). log_probability: among histories of the same
    length, nats (classes,). histories: how many a class holds, float64 (classes,). example: one history
    of each class, an array (classes, n) a length.
    """

    first: Int64[np.ndarray, " starts"]
    after: Int64[np.ndarray, "classes symbols"]
    log_predictive: Float64[np.ndarray, "classes symbols"]
    log_probability: Float64[np.ndarray, " classes"]
    histories: Float64[np.ndarray, " classes"]
    example: list[Int64[np.ndarray, "_ _"]]

    @property
    def draws(self) -> Int64[np.ndarray, " classes"]:
        """The length of the histories in each class, int (classes,)."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))

    def counts(self, symbols: int) -> Int64[np.ndarray, "classes {symbols}"]:
        """The counts of the example of each class, int (classes, K)."""
        return np.concatenate([count_symbols(histories, symbols) for histories in self.example])

    @property
    def histories_by_length(self) -> Float64[np.ndarray, " lengths"]:
        """How many histories of each length the process can make, float64 (D,)."""
        return np.add.reduceat(self.histories, self.first[:-1])


@lru_cache(maxsize=4)
def find_classes(process: Process, positions: int) -> Classes | None:
    """The classes of histories of up to ``positions`` - 1 draws; None where ``process`` has no
    statistic, or more than ``MOST_CLASSES``."""
    if process.statistic(np.zeros((1, 1), np.int64)) is None:
        return None
    with float64():
        return _find(process, positions)


def _find(process: Process, positions: int) -> Classes | None:
    begin = process.initial_belief(positions - 1)
    belief = jax.tree.map(lambda leaf: np.asarray(leaf)[None], begin)
    log_p: Float64[np.ndarray, " n"] = np.zeros(1)
    histories: Float64[np.ndarray, " n"] = np.ones(1)
    examples = [np.zeros((1, 0), np.int64)]
    after, rows, log_ps, numbers, first = [], [], [], [], [0, 1]
    for length in range(positions):
        log_b, following = _follow(process, belief, len(log_p))
        rows.append(log_b)
        log_ps.append(log_p)
        numbers.append(histories)
        if length == positions - 1:
            after.append(np.full(log_b.shape, -1))
            break
        parent, symbol = np.nonzero(~np.isneginf(log_b))
        drawn = np.concatenate([examples[-1][parent], symbol[:, None]], axis=1)
        _, chosen, which = np.unique(
            np.asarray(process.statistic(drawn)), axis=0, return_index=True, return_inverse=True
        )
        which = which.reshape(-1)
        after.append(np.full(log_b.shape, -1))
        after[-1][parent, symbol] = first[-1] + which
        first.append(first[-1] + len(chosen))
        if first[-1] > MOST_CLASSES:
            return None
        reached = log_p[parent] + log_b[parent, symbol]
        log_p = _log_sum(reached, which, len(chosen))
        histories = np.bincount(which, histories[parent], len(chosen))
        examples.append(drawn[chosen])
        at = parent[chosen], symbol[chosen]
        belief = jax.tree.map(lambda leaf, at=at: leaf[at], following)
    return Classes(
        np.array(first),
        np.concatenate(after),
        np.concatenate(rows),
        np.concatenate(log_ps),
        np.concatenate(numbers),
        examples,
    )


def _log_sum(
    values: Float64[np.ndarray, " n"], group: Integer[np.ndarray, " n"], groups: int
) -> Float64[np.ndarray, " {groups}"]:
    """Log-sum-exp of the values (n,) of each group, (groups,)."""
    most = np.full(groups, -np.inf)
    np.maximum.at(most, group, values)
    return most + np.log(np.bincount(group, np.exp(values - most[group]), groups))


def _follow(
    machine: Machine, belief: Belief, number: int
) -> tuple[Float64[np.ndarray, "{number} {machine.num_symbols}"], Belief]:
    """``machine_step`` of ``number`` beliefs, as NumPy arrays."""
    parts = []
    for start in range(0, number, _AT_ONCE):
        piece = jax.tree.map(lambda leaf, s=start: leaf[s : s + _AT_ONCE], belief)
        count = min(_AT_ONCE, number - start)
        # Padded, so that one compiled program serves all.
        pad = _AT_ONCE - count
        padded = jax.tree.map(lambda a, n=pad: np.pad(a, ((0, n), *[(0, 0)] * (a.ndim - 1))), piece)
        said = _step(machine, padded)
        parts.append(jax.tree.map(lambda a, n=count: np.asarray(a)[:n], said))
    return jax.tree.map(lambda *a: np.concatenate(a), *parts)


def machine_step(
    machine: Machine, belief: Belief, number: int
) -> tuple[Float[Array, "{number} {machine.num_symbols}"], Belief]:
    """For ``number`` beliefs, arrays (N, ...): log p of the next symbol, nats (N, K), and the beliefs
    after each symbol, arrays (N, K, ...)."""
    symbols = jnp.arange(machine.num_symbols, dtype=jnp.int32)

    def one(belief: Belief) -> tuple[Float[Array, " symbols"], Belief]:
        after = jax.vmap(lambda symbol: machine.update(belief, symbol))(symbols)
        return machine.log_predictive_of(belief), after

    return jax.vmap(one, axis_size=number)(belief)


@partial(jax.jit, static_argnums=0)
def _step(
    machine: Machine, belief: Belief
) -> tuple[Float[Array, "at_once {machine.num_symbols}"], Belief]:
    return machine_step(machine, belief, _AT_ONCE)
