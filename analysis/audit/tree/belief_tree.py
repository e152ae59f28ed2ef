"""The tree of ``belief_walk``: a process's exact machine beside the network, over possible histories.

A node holds the network's state, the machine's belief and log p(history), the sum of its log
predictives. Nodes of one length are expanded together, in blocks of one size, deepest first, with one
compiled call a block; histories of probability 0 are dropped as soon as they come up. Sums are weighted
by p(history). They are taken over each class of histories that share a belief (``belief_classes``), or
where no two do, over all histories of one length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Float64, Int, Int64, Integer, Shaped

from analysis.audit.tree.belief_classes import Classes, find_classes, machine_step
from analysis.audit.tree.prefix_tree import (
    Plan,
    after_reset,
    children,
    node_values,
)
from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Params, State
from autoregressive.model import Model
from autoregressive.vectors import WIDE
from meta_learning.processes import Process
from meta_learning.processes.types import Belief

# ``prefix_tree.Sums`` transposed: each column is contiguous while it is added up.
ColumnSums = Float64[np.ndarray, "columns cells"]
# Where columns of the sums are; the K of log q~ begin at LOG_Q. All but the first are weighted.
HISTORIES, WEIGHT, LOG_Q = 0, 1, 2
LEAK, RESET, SYMBOLS, MEMORYLESS = -4, -3, -2, -1


def columns(symbols: int) -> int:
    """The number of columns: histories, p(history), log q~ of each symbol, -log(1 - r), r,
    KL(Bayes || q~) and KL(Bayes || memoryless), nats."""
    return symbols + 6


class Block(NamedTuple):
    """Nodes of one length, arrays (size, ...). log_p: of each history, nats; -inf for padding."""

    state: State
    belief: Belief
    log_p: Float64[AnyArray, " size"]


class Level(NamedTuple):
    """A block with what the host knows of it. draws: the length of its histories. number: how many of
    its nodes are histories, the first ones. cell: their classes, or where there are none their length,
    int (number,)."""

    block: Block
    draws: int
    number: int
    cell: Int64[np.ndarray, " number"]


class Scored(NamedTuple):
    """Nodes with what Bayes and the network predict after them. log_p: of the history, nats (n,).
    log_b: Bayes's log predictive, nats (n, K). values: ``node_values`` of the network, (n, K+2)."""

    log_p: Float64[AnyArray, " n"]
    log_b: Float64[AnyArray, "n symbols"]
    values: Float64[AnyArray, "n symbols+2"]


@dataclass(frozen=True)
class Tree:
    """A network, a process and a plan: what a walk needs, and can send to a worker."""

    model: Model
    params: Params
    process: Process
    plan: Plan

    @property
    def classes(self) -> Classes | None:
        """Classes of the process's histories, which ``find_classes`` keeps; None where it has none."""
        return find_classes(self.process, self.plan.positions)

    @property
    def cells(self) -> int:
        """The number of cells: one a class, or one a length."""
        return self.plan.positions if self.classes is None else int(self.classes.first[-1])

    def root(self) -> tuple[Level, Scored]:
        """The node of the empty history, the state after a RESET."""
        plan = self.plan
        block, scored = _root(
            self.model, self.process, plan.per_device, plan.positions - 1, self.params
        )
        return Level(block, 0, 1, np.zeros(1, np.int64)), scored

    def rows_of_root(self, scored: Scored) -> Float64[np.ndarray, "columns 1"]:
        """The sums of the root alone, (columns, 1)."""
        return np.asarray(_weigh(scored, jnp.asarray(self.process.log_first())))

    def expand(self, level: Level, sums: ColumnSums) -> list[Level]:
        """Adds the children of ``level`` to sums (columns, cells). Returns those that are histories, in
        blocks; none at the last length."""
        plan, table = self.plan, self.classes
        draws, K = level.draws + 1, plan.symbols
        last = draws == plan.positions - 1
        log_first = jnp.asarray(self.process.log_first())
        block, log_p, rows = expand_block(
            self.model,
            self.process,
            not last,
            table is not None,
            self.params,
            level.block,
            log_first,
        )
        if table is not None:
            cell = table.after[level.cell].reshape(-1)
            alive = cell >= 0
            _add_by_cell(sums, cell, np.asarray(rows), table.first[draws : draws + 2])
        else:
            alive = ~np.isneginf(np.asarray(log_p)[: level.number * K])
            cell = np.full(len(alive), draws)
            sums[:, draws] += np.asarray(rows)
        if last:
            return []
        return self.blocks_of(block, draws, alive, cell)

    def blocks_of(
        self,
        block: Block,
        draws: int,
        alive: Bool[np.ndarray, " children"],
        cell: Int64[np.ndarray, " children"],
    ) -> list[Level]:
        """The children of a block that are histories, in blocks. alive: which are, without padding.
        cell: theirs, likewise."""
        K, size, levels = self.plan.symbols, self.plan.per_device, []
        if not alive.all():
            kept = np.flatnonzero(alive)
            block = _take(block, np.pad(kept, (0, size * K - len(kept))), len(kept))
            cell = cell[kept]
        for index, part in enumerate(_split(block, K)):
            of = cell[index * size : (index + 1) * size]
            if len(of):
                levels.append(Level(part, draws, len(of), of))
        return levels

    def below(self, levels: Sequence[Level], sums: ColumnSums) -> None:
        """Adds all nodes below ``levels`` to sums (columns, cells), deepest first."""
        stack = list(levels)[::-1]
        while stack:
            stack += self.expand(stack.pop(), sums)[::-1]


def _add_by_cell(
    sums: ColumnSums,
    cell: Int64[np.ndarray, " children"],
    rows: Float64[np.ndarray, "columns nodes"],
    span: Int64[np.ndarray, " 2"],
) -> None:
    """Adds the columns of nodes to their cells. cell: -1 for what is no history. rows: (columns, nodes).
    span: the first cell of this length, and the first of the next."""
    if (cell < 0).any():
        rows = rows[:, : len(cell)][:, cell >= 0]
        cell = cell[cell >= 0]
    first, end = int(span[0]), int(span[1])
    for total, row in zip(sums, rows, strict=True):
        if end - first <= 4 * len(cell):
            total[first:end] += np.bincount(cell - first, row[: len(cell)], end - first)
        else:
            np.add.at(total, cell, row[: len(cell)])


def _kl(
    log_b: Float[AnyArray, "#n symbols"], log_q: Float[AnyArray, "#n symbols"]
) -> Float[Array, " n"]:
    """KL(b || q) over the last axis, nats, with 0 log 0 = 0."""
    none = jnp.isneginf(log_b)
    apart = jnp.where(none, 0.0, log_b - jnp.where(none, 0.0, log_q))
    return jnp.maximum((jnp.exp(log_b) * apart).sum(-1), 0.0)


def _weigh(scored: Scored, log_first: Float64[Array, " symbols"]) -> Float64[Array, "columns n"]:
    """The ``columns`` of each node, (columns, n); 0 for what is no history."""
    log_p, log_b, values = scored
    weight = jnp.exp(log_p)
    log_q = values[:, :-2]
    of_symbols, of_first = _kl(log_b, log_q), _kl(log_b, log_first[None])
    # Where RESET is certain nothing is left to the symbols.
    of_symbols = jnp.where(jnp.isposinf(values[:, -2]), 0.0, of_symbols)
    each = [jnp.ones_like(weight), *values.T, of_symbols, of_first]
    alive = ~jnp.isneginf(log_p)
    weighed = jnp.where(weight > 0, jnp.stack(each) * weight[None], 0.0)
    return jnp.concatenate([alive.astype(weight.dtype)[None], weighed])


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _root(
    model: Model, process: Process, size: int, draws: int, params: Params
) -> tuple[Block, Scored]:
    state, logits = after_reset(model, process.num_symbols, params)
    belief = jax.tree.map(lambda a: jnp.asarray(a)[None], process.initial_belief(draws))
    log_b = jax.vmap(process.log_predictive_of, axis_size=1)(belief)
    log_p = jnp.zeros(1)

    def whole(a: Shaped[Array, "n ..."], rest: float = 0) -> Shaped[Array, "size ..."]:
        return jnp.pad(a, ((0, size - 1), *[(0, 0)] * (a.ndim - 1)), constant_values=rest)

    state, belief = jax.tree.map(whole, (state, belief))
    block = Block(state, belief, whole(log_p, -jnp.inf))
    return block, Scored(log_p, log_b, node_values(logits))


def score_children(
    model: Model, process: Process, params: Params, block: Block
) -> tuple[Block, Scored]:
    """One length on: the children of a block's nodes, the symbol the fastest index."""
    size, K = len(block.log_p), process.num_symbols
    state, logits = children(model, K, params, block.state)
    log_b, belief = machine_step(process, block.belief, size)
    # Padding is no history, whatever the machine says of it.
    none = jnp.isneginf(block.log_p)[:, None]
    log_p = jnp.where(none, -jnp.inf, block.log_p[:, None] + log_b).reshape(-1)
    belief = jax.tree.map(lambda a: a.reshape(size * K, *a.shape[2:]), belief)
    following = jax.vmap(process.log_predictive_of, axis_size=size * K)(belief)
    values = node_values(logits.reshape(-1, K + 1))
    return Block(state, belief, log_p), Scored(log_p, following, values)


@partial(jax.jit, static_argnums=(0, 1, 2, 3), compiler_options=WIDE)
def expand_block(
    model: Model,
    process: Process,
    keep: bool,
    by_node: bool,
    params: Params,
    block: Block,
    log_first: Float64[Array, " symbols"],
) -> tuple[Block | None, Float64[AnyArray, " children"], Float64[Array, "columns ..."]]:
    """The children of a block, None unless ``keep``; log p of each, nats; and their columns: of each
    with ``by_node``, else summed over all."""
    found, scored = score_children(model, process, params, block)
    rows = _weigh(scored, log_first)
    return found if keep else None, scored.log_p, rows if by_node else rows.sum(1)


@jax.jit
def _take(block: Block, which: Integer[Array, " children"], count: Int[Array, ""]) -> Block:
    """The nodes ``which``, of which the first ``count`` are histories and the others padding."""
    state, belief, log_p = jax.tree.map(lambda a: a[which], block)
    return Block(state, belief, jnp.where(jnp.arange(len(which)) < count, log_p, -jnp.inf))


@partial(jax.jit, static_argnums=1)
def _split(block: Block, parts: int) -> list[Block]:
    size = len(block.log_p) // parts
    return [jax.tree.map(lambda a, i=i: a[i * size : (i + 1) * size], block) for i in range(parts)]
