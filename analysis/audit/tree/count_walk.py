"""The walk for processes whose belief is the counts: sums over the histories with equal counts.

The walk goes breadth first from the state after a RESET down to a frontier (the stem), then from groups
of frontier nodes down to the leaves (the branches). Stem and branches are one compiled call each, whose
arrays stay in a processor's cache. Sums over histories with equal counts are all that the gap and its
parts need, and there are few such cells: 1,330 for the 5.8e8 histories of K=3, T=20.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float, Float64, Int64

from analysis.audit.tree.count_vectors import (
    count_vectors,
    draws_of,
    fold,
    rows_of,
    tree_cells,
)
from analysis.audit.tree.prefix_tree import (
    FRONTIER_NUMBERS,
    Plan,
    Sums,
    Walk,
    after_reset,
    children,
    node_parts,
    node_values,
)
from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Params, State
from autoregressive.header import Header
from autoregressive.model import Model
from autoregressive.precision import float64
from autoregressive.threads import each_in_order, worker_count
from autoregressive.vectors import WIDE
from meta_learning.processes import count_symbols

# Hidden units of a branch's last level: to stay in a core's cache, or to fill a GPU.
_CHUNK_UNITS = {"cpu": 2**18}
_CHUNK_UNITS_ELSEWHERE = 2**25
# A tree of more histories takes a program that takes longer to compile.
_FEW = 2**21
# Turns of one call: what a call costs beside its arithmetic is a fifth of a turn on a CPU.
_TURNS = {"cpu": 4}
# Histories of one task for a worker, which takes about a second.
_TASK_HISTORIES = {"cpu": 2**21}
_TASK_HISTORIES_ELSEWHERE = 2**27
# States of many nodes as NumPy arrays (nodes, ...).
States = tuple[Float[np.ndarray, "nodes ..."], ...]
# Sums below each of some frontier nodes.
Branches = Float64[AnyArray, "nodes below columns"]
# Chunks of a trial: some tenths of a second.
_TRIAL_CHUNKS = 50


def make_plan(model: Model, symbols: int, positions: int) -> Plan:
    """Branches as deep as a device's cache holds, a stem above them whose frontier fits in memory."""
    state = jax.eval_shape(model.initial_state)
    hidden = max(model.cell.hidden, *(part.size for part in state))
    units = _CHUNK_UNITS.get(jax.default_backend(), _CHUNK_UNITS_ELSEWHERE)
    most = max(units // hidden, symbols)
    branch = min(positions - 1, int(math.log(most, symbols) + 1e-9))
    while symbols ** (positions - 1 - branch) > max(FRONTIER_NUMBERS // hidden, symbols):
        branch += 1
    stem = positions - 1 - branch
    return Plan(
        symbols, positions, stem, branch, max(1, min(most // symbols**branch, symbols**stem))
    )


def _by_counts(
    values: Float64[Array, "*rows nodes orders"], symbols: int, depth: int
) -> Float64[Array, "*rows nodes cells"]:
    """Sums over the histories with equal counts: (..., C, K^depth) -> (..., C, cells).

    The last draw is the fastest index; draws are folded into counts one by one, the last one first.
    """
    rows = values.shape[:-1]
    # The counts of one draw are its symbol: the last draw is folded already.
    for draws in range(1, depth):
        pairs = values.reshape(*rows, -1, symbols * len(count_vectors(symbols, draws)))
        # Gather, not scatter: its order of summation is fixed.
        picked = jnp.take(pairs, fold(symbols, draws), axis=-1, mode="fill", fill_value=0)
        values = picked.sum(-1)
    return values.reshape(*rows, len(count_vectors(symbols, depth)))


def _descend(
    model: Model, symbols: int, depth: int, params: Params, state: State, apart: bool
) -> tuple[list[Float64[Array, "nodes _ columns"]], State]:
    """All levels below nodes: their sums, (C, cells, K+2) a level, and the states of the last level.
    state: arrays (C, ...). apart: as in ``children``."""
    sums, nodes = [], state[0].shape[0]
    for level in range(1, depth + 1):
        state, logits = children(model, symbols, params, state, apart)
        # Each part by itself: joined first, they would be computed place by place.
        given, leak, reset = (
            _by_counts(part.reshape(*part.shape[:-2], nodes, -1), symbols, level)
            for part in node_parts(logits)
        )
        sums.append(jnp.moveaxis(jnp.concatenate([given, leak[None], reset[None]]), 0, -1))
    return sums, state


@partial(jax.jit, static_argnums=(0, 1), compiler_options=WIDE)
def _stem(
    model: Model, plan: Plan, params: Params
) -> tuple[Float64[Array, "cells columns"], State]:
    """Sums of levels 0 to the frontier's, (cells, K+2), and the frontier's states."""
    state, logits = after_reset(model, plan.symbols, params)
    sums, state = _descend(model, plan.symbols, plan.stem, params, state, False)
    return jnp.concatenate([node_values(logits), *(s[0] for s in sums)]), state


@partial(jax.jit, static_argnums=(0, 1, 2), compiler_options=WIDE)
def _branches(
    model: Model, plan: Plan, mesh: Mesh, params: Params, state: State
) -> Float64[Array, "nodes below columns"]:
    """Sums below each of a chunk of frontier nodes: (C, cells of all levels below, K+2)."""

    def together(params: Params, state: State) -> Float64[Array, "some below columns"]:
        sums, _ = _descend(model, plan.symbols, plan.branch, params, state, plan.nodes > _FEW)
        return jnp.concatenate(sums, axis=1)

    def one_device(params: Params, state: State) -> Float64[Array, "nodes below columns"]:
        turns = jax.tree.map(lambda s: s.reshape(-1, plan.per_device, *s.shape[1:]), state)
        sums = lax.map(partial(together, params), turns)
        return sums.reshape(-1, *sums.shape[2:])

    over = PartitionSpec("branch")
    # Every device runs the same program on equally many nodes: sums do not depend on the mesh.
    return jax.shard_map(
        one_device, mesh=mesh, in_specs=(PartitionSpec(), over), out_specs=over, check_vma=False
    )(params, state)


@dataclass(frozen=True)
class BranchTask:
    """Some frontier nodes as a task for a worker: their states, (nodes, ...) NumPy arrays."""

    model: Model
    params: Params
    plan: Plan
    states: States
    nodes: int


class CountWalk(Walk[States, BranchTask, Branches]):
    """A cell is a row of ``count_vectors.all_counts``, a column one of ``node_values``.

    devices: those that share the branches, each with its own frontier nodes. rows: the rows of
    ``all_counts`` that a branch adds to, int (cells of the frontier, cells below). cell: each frontier
    node's row of ``rows``, int (frontier,).
    """

    def __init__(self, model: Model, params: Params, plan: Plan, devices: Sequence[jax.Device]):
        self.model, self.plan = model, plan
        self.shape = (tree_cells(plan.symbols, plan.positions), plan.symbols + 2)
        self.header: Header = {}
        self.branch_sums = branch_sums
        self.mesh = Mesh(np.array(devices), ("branch",))
        self.params = jax.device_put(params, NamedSharding(self.mesh, PartitionSpec()))
        self.per_call = nodes_of_call(plan) * len(devices)
        # Several devices share each chunk.
        self.workers = worker_count() if len(devices) == 1 else 1
        self.rows = _branch_rows(plan)
        counts = count_symbols(draws_of(plan.symbols, plan.stem), plan.symbols)
        where = rows_of(count_vectors(plan.symbols, plan.stem))
        self.cell = np.array([where[row.tobytes()] for row in counts])

    def stem(self) -> tuple[Sums, States, int]:
        sums = np.zeros(self.shape)
        with float64():
            found, state = _stem(self.model, self.plan, self.params)
            sums[: len(found)] = found
            return sums, jax.tree.map(np.asarray, state), self.plan.frontier

    def nodes_done(self, sums: Sums, done: int) -> int:
        return self.plan.stem_nodes + done * self.plan.branch_nodes

    def chunks(self, frontier: States, start: int) -> Generator[Branches, None, None]:
        return self._each(frontier, range(start, self.plan.frontier, self.per_call))

    def _each(self, frontier: States, starts: Iterable[int]) -> Generator[Branches, None, None]:
        """The chunks that begin at ``starts``, some side by side."""
        # Chunks run while those before them are added.
        return each_in_order(
            lambda start: np.asarray(self.branches(frontier, start)), starts, self.workers
        )

    def branches(
        self, frontier: States, start: int
    ) -> Float64[Array, "{self.per_call} below columns"]:
        """Begins the chunk of frontier nodes from ``start`` on: (per_call, cells below, K+2).

        A short last chunk is padded with zero states; ``add`` leaves their sums out.
        """
        chunk = _piece(frontier, start, self.per_call)
        with float64():
            return _branches(self.model, self.plan, self.mesh, self.params, chunk)

    def trial(self) -> tuple[float, int]:
        # Memory: of the frontier, of the sums, and what the compiled programs say they need.
        plan, model = self.plan, self.model
        states = jax.tree.map(np.asarray, model.initial_state((plan.frontier,)))
        with float64():
            programs = [_stem.lower(model, plan, self.params).compile()]
            if plan.frontier:
                chunk = jax.tree.map(np.asarray, model.initial_state((self.per_call,)))
                arguments = (model, plan, self.mesh, self.params, chunk)
                programs.append(_branches.lower(*arguments).compile())
        needed = [program.memory_analysis() for program in programs]
        # Two chunks a worker are alive at once, each with its output.
        held = sum(s.nbytes for s in jax.tree.leaves(states))
        held += tree_cells(plan.symbols, plan.positions) * (plan.symbols + 2) * 8
        each = max(n.temp_size_in_bytes + 2 * n.output_size_in_bytes for n in needed if n)
        held += self.workers * each

        def seconds() -> float:
            start = time.perf_counter()
            if plan.frontier:
                deque(self._each(states, [0] * _TRIAL_CHUNKS), maxlen=0)
            else:
                self.stem()
            return time.perf_counter() - start

        seconds()
        nodes = _TRIAL_CHUNKS * self.per_call * plan.branch_nodes or plan.nodes
        # The least of three: other programs only ever slow one down.
        return min(seconds() for _ in range(3)) * plan.nodes / nodes, held

    def tasks(self, frontier: States, start: int) -> Iterator[BranchTask]:
        params, count = jax.tree.map(np.asarray, self.params), nodes_of_task(self.plan)
        for first in range(start, self.plan.frontier, count):
            nodes = min(count, self.plan.frontier - first)
            states = jax.tree.map(lambda s, n=nodes, first=first: s[first : first + n], frontier)
            yield BranchTask(self.model, params, self.plan, states, nodes)

    def add(self, sums: Sums, start: int, chunk: Branches) -> int:
        end = min(start + len(chunk), self.plan.frontier)
        for cell, values in zip(self.cell[start:end], np.asarray(chunk), strict=False):
            sums[self.rows[cell]] += values
        return end


def nodes_of_call(plan: Plan) -> int:
    """Frontier nodes that a device takes in one call: ``plan.per_device`` at once, in a few turns."""
    most = _TURNS.get(jax.default_backend(), 1)
    return plan.per_device * max(1, min(most, math.ceil(plan.frontier / plan.per_device)))


def nodes_of_task(plan: Plan) -> int:
    """Frontier nodes in one task: whole calls of a device."""
    histories = _TASK_HISTORIES.get(jax.default_backend(), _TASK_HISTORIES_ELSEWHERE)
    call = nodes_of_call(plan)
    return call * max(1, histories // (call * plan.branch_nodes))


def branch_sums(task: BranchTask) -> Float64[np.ndarray, "{task.nodes} below columns"]:
    """Sums below each node of a task, (nodes, cells below, K+2): the bits of ``CountWalk.branches``."""
    mesh = Mesh(np.array(jax.local_devices()[:1]), ("branch",))
    sums, step = [], nodes_of_call(task.plan)
    with float64():
        for start in range(0, task.nodes, step):
            chunk = _piece(task.states, start, step)
            sums.append(_branches(task.model, task.plan, mesh, task.params, chunk))
        return np.concatenate(sums)[: task.nodes]


def _piece(states: States, start: int, count: int) -> tuple[Float[np.ndarray, "{count} ..."], ...]:
    """The states of ``count`` nodes from ``start`` on, padded with zeros."""

    def piece(s: Float[np.ndarray, "nodes ..."]) -> Float[np.ndarray, "count ..."]:
        part = s[start : start + count]
        return np.pad(part, ((0, count - len(part)), *[(0, 0)] * (part.ndim - 1)))

    return jax.tree.map(piece, states)


def _branch_rows(plan: Plan) -> Int64[np.ndarray, "reached below"]:
    """``CountWalk.rows``."""
    levels = [count_vectors(plan.symbols, plan.stem + j) for j in range(1, plan.branch + 1)]
    own = [count_vectors(plan.symbols, j) for j in range(1, plan.branch + 1)]
    first = tree_cells(plan.symbols, plan.stem + 1)
    above, columns = count_vectors(plan.symbols, plan.stem), []
    for level, below in zip(levels, own, strict=True):
        where = rows_of(level)
        for counts in below:
            columns.append([first + where[row.tobytes()] for row in above + counts])
        first += len(level)
    return np.array(columns, np.int64).reshape(len(columns), len(above)).T
