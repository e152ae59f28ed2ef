"""The tree of all histories of one task, and the steps of a network along it.

The histories of length n = 0..D-1 that precede D draws are the nodes of a tree; a node costs one cell
step and one read-out. The network runs in float32; its logits are normalised and summed in float64,
under a local switch that leaves JAX's own flag alone.

A walk starts at the root, the state after a RESET, and goes down level by level to a frontier: the
stem. From there it goes on in chunks of frontier nodes, which devices and workers can share. There are
two walks:

- ``count_walk``, where the belief is the counts: sums over histories with equal counts. They do not
  depend on the process, and serve every process of that kind.
- ``belief_walk``, for every process: its exact machine runs beside the network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float64

from autoregressive.cells.base import Params, State
from autoregressive.header import Header
from autoregressive.model import Model

# Children of a node that are written out in a program.
_MOST_CALLS = 8
# Numbers in the states of all frontier nodes, which are kept in memory.
FRONTIER_NUMBERS = 2**22
# A cell is a class of nodes, a column one quantity summed over its nodes.
Sums = Float64[np.ndarray, "cells columns"]
# A walk's own types: the frontier's nodes; some of them as a task; the sums below some of them.
Nodes = TypeVar("Nodes")
Task = TypeVar("Task")
Chunk = TypeVar("Chunk")


@dataclass(frozen=True)
class Plan:
    """How the tree is walked: every node has ``symbols`` children, and there are ``positions`` levels.

    stem: the frontier's level. branch: levels below it. per_device: frontier nodes that one device takes
    at once. possible: how many histories the process can make; None where all, or not known. Nothing
    here depends on the number of devices.
    """

    symbols: int
    positions: int
    stem: int
    branch: int
    per_device: int
    possible: int | None = None

    @property
    def nodes(self) -> int:
        """Histories in all: (K^D - 1) / (K - 1), unless fewer are possible."""
        if self.possible is not None:
            return self.possible
        return tree_nodes(self.symbols, self.positions)

    @property
    def frontier(self) -> int:
        """Nodes at the frontier's level; 0 where the stem is the whole tree."""
        return self.symbols**self.stem if self.branch else 0

    @property
    def stem_nodes(self) -> int:
        """Nodes of the stem, its last level included."""
        return tree_nodes(self.symbols, self.stem + 1)

    @property
    def branch_nodes(self) -> int:
        """Nodes below one frontier node."""
        return tree_nodes(self.symbols, self.branch + 1) - 1


class Walk(ABC, Generic[Nodes, Task, Chunk]):
    """A walk over a tree, and what it sums over the nodes.

    plan: of the tree. shape: of the sums, (cells, columns). header: what the sums depend on beside
    network and plan, as JSON values. branch_sums: from a task to what ``add`` adds; a function of a
    module, so that workers can import it.
    """

    plan: Plan
    shape: tuple[int, int]
    header: Header
    branch_sums: Callable[[Task], Chunk]

    @abstractmethod
    def stem(self) -> tuple[Sums, Nodes, int]:
        """Sums over the levels down to the frontier's, (cells, columns); the frontier's nodes, and
        their number."""

    @abstractmethod
    def chunks(self, frontier: Nodes, start: int) -> Generator[Chunk, None, None]:
        """The sums below the frontier's nodes from ``start`` on, some nodes at a time, in order."""

    @abstractmethod
    def tasks(self, frontier: Nodes, start: int) -> Iterator[Task]:
        """The frontier nodes from ``start`` on as tasks of about a second for a worker."""

    @abstractmethod
    def add(self, sums: Sums, start: int, chunk: Chunk) -> int:
        """Adds the sums below the nodes from ``start`` on. Returns the first node after them."""

    @abstractmethod
    def nodes_done(self, sums: Sums, done: int) -> int:
        """How many histories are in sums that hold ``done`` frontier nodes."""

    @abstractmethod
    def trial(self) -> tuple[float, int]:
        """Seconds that the walk will take, by the pace of a part of it without compiling, and the bytes
        of memory."""


def tree_nodes(symbols: int, levels: int) -> int:
    """Nodes of the first ``levels`` levels of a tree with ``symbols`` branches."""
    return (symbols**levels - 1) // (symbols - 1)


def node_parts(
    logits: Float[Array, "*nodes outcomes"],
) -> tuple[Float64[Array, "symbols ..."], Float64[Array, "*nodes"], Float64[Array, "*nodes"]]:
    """What is summed over histories, in float64, from logits (..., K+1): the log probabilities of the K
    symbols given no RESET, log q~(k), nats (K, ...), -inf where RESET is certain; -log(1 - r) with r the
    probability of RESET, nats (...); and r (...)."""
    *symbols, reset = jnp.moveaxis(logits.astype(jnp.float64), -1, 0)
    # Symbol by symbol: a reduction over so short an axis would not use a CPU's vectors.
    most = reduce(jnp.maximum, symbols)
    most = jnp.where(jnp.isneginf(most), 0.0, most)
    log_sum = most + jnp.log(sum(jnp.exp(one - most) for one in symbols))
    # -log(1 - r) = log(1 + exp(odds)) with the log odds of RESET, without overflow.
    odds = reset - log_sum
    less = jnp.exp(-jnp.abs(odds))
    leak = jnp.maximum(odds, 0.0) + jnp.log1p(less)
    probability = jnp.where(odds > 0, 1.0, less) / (1 + less)
    given = jnp.stack([jnp.where(jnp.isneginf(one), one, one - log_sum) for one in symbols])
    return given, leak, probability


def node_values(
    logits: Float[Array, "*nodes outcomes"],
) -> Float64[Array, "*nodes outcomes+1"]:
    """``node_parts`` in one array: logits (..., K+1) -> (..., K+2)."""
    given, leak, probability = node_parts(logits)
    values = jnp.zeros((*leak.shape, len(given) + 2))
    # Put down part by part: XLA computes what it joins place by place.
    values = values.at[..., :-2].set(jnp.moveaxis(given, 0, -1))
    return values.at[..., -2].set(leak).at[..., -1].set(probability)


def after_reset(
    model: Model, symbols: int, params: Params
) -> tuple[State, Float[Array, "1 {symbols+1}"]]:
    """The root: the state after a RESET, with one node, and logits (1, K+1)."""
    reset = jax.nn.one_hot(jnp.array([symbols]), symbols + 1, dtype=jnp.float32)
    return model.step(params, model.initial_state((1,)), reset)


def children(
    model: Model, symbols: int, params: Params, state: State, apart: bool = False
) -> tuple[State, Float[Array, "nodes {symbols} {symbols+1}"]]:
    """One level down: states of C nodes -> states of their C * K children, the symbol the fastest
    index, and logits (C, K, K+1). model: anything with a ``step``. apart: a program of more calls, which
    takes longer to compile and less to run."""
    inputs = jnp.eye(symbols + 1, dtype=jnp.float32)[:symbols]

    def step(x: Float[Array, " inputs"]) -> tuple[State, Float[Array, "nodes outcomes"]]:
        return jax.vmap(lambda one: model.step(params, one, x))(state)

    # A call for each symbol, so that children share their parent's product with the recurrent weights.
    # One after the other, what a call works on stays in a processor's cache.
    if apart and symbols <= _MOST_CALLS:
        state, logits = jax.tree.map(lambda *a: jnp.stack(a, 1), *map(step, inputs))
    else:
        state, logits = jax.vmap(step, out_axes=1)(inputs)
    return jax.tree.map(lambda s: s.reshape(-1, *s.shape[2:]), state), logits
