"""The walk for every process over ``belief_tree``: its frontier, its tasks and their sums."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64, Int64

from analysis.audit.tree.belief_classes import find_classes
from analysis.audit.tree.belief_tree import HISTORIES, Block, Level, Tree, columns, expand_block
from analysis.audit.tree.prefix_tree import (
    FRONTIER_NUMBERS,
    Plan,
    Sums,
    Walk,
    tree_nodes,
)
from autoregressive.model import Model
from autoregressive.precision import float64
from autoregressive.threads import each_in_order, worker_count
from meta_learning.processes import Process

# Numbers in the states and beliefs of a block: to stay in a core's cache, or to fill a GPU.
_BLOCK_NUMBERS = {"cpu": 2**17}
_BLOCK_NUMBERS_ELSEWHERE = 2**25
# Histories of one task, which takes some tenths of a second.
_TASK_HISTORIES = {"cpu": 2**19}
_TASK_HISTORIES_ELSEWHERE = 2**25
# Frontier nodes in a task where there are as many: with fewer its first blocks would be nearly empty.
_TASK_NODES = 64
_TRIAL_BLOCKS = 20


def make_belief_plan(model: Model, process: Process, positions: int) -> Plan:
    """A frontier with so few histories below each node that a task holds ``_TASK_NODES`` of them, and
    blocks of ``_BLOCK_NUMBERS``. positions: D."""
    K = process.num_symbols
    numbers = node_numbers(model, process, positions)
    backend = jax.default_backend()
    block = max(_BLOCK_NUMBERS.get(backend, _BLOCK_NUMBERS_ELSEWHERE) // numbers, 1)
    most = _task_histories() // _TASK_NODES
    # The most levels with (K^levels - 1) / (K - 1) histories at most.
    levels = max(1, int(math.log(most * (K - 1) + 1, K) + 1e-9))
    stem = min(max(0, positions - levels), positions - 1)
    classes = find_classes(process, positions)
    possible = None if classes is None else round(classes.histories.sum())
    return Plan(K, positions, stem, positions - 1 - stem, block, possible)


def node_numbers(model: Model, process: Process, positions: int) -> int:
    """What a node holds, counted in numbers of four bytes."""
    state = sum(part.size for part in jax.eval_shape(model.initial_state))
    with float64():
        belief = jax.eval_shape(lambda: process.initial_belief(positions - 1))
    return state + sum(math.prod(leaf.shape) * 2 for leaf in jax.tree.leaves(belief)) + 2


def _task_histories() -> int:
    return _TASK_HISTORIES.get(jax.default_backend(), _TASK_HISTORIES_ELSEWHERE)


@dataclass(frozen=True)
class Nodes:
    """Frontier nodes in memory: as NumPy arrays (nodes, ...), the length of their histories, and their
    cells."""

    block: Block
    draws: int
    cell: Int64[np.ndarray, " nodes"]

    def piece(self, start: int, count: int) -> Nodes:
        """Some of them."""
        part = jax.tree.map(lambda a: a[start : start + count], self.block)
        return Nodes(part, self.draws, self.cell[start : start + count])

    def levels(self, size: int) -> list[Level]:
        """The nodes in blocks of ``size``, the last one padded."""
        found = []
        for start in range(0, len(self.cell), size):
            part = self.piece(start, size)
            rest = size - len(part.cell)
            block = jax.tree.map(
                lambda a, n=rest: np.pad(a, ((0, n), *[(0, 0)] * (a.ndim - 1))), part.block
            )
            block.log_p[size - rest :] = -np.inf
            found.append(Level(block, self.draws, len(part.cell), part.cell))
        return found


class BeliefTask(NamedTuple):
    """Some frontier nodes as a task."""

    tree: Tree
    nodes: Nodes


class BeliefSums(NamedTuple):
    """The sums below ``nodes`` frontier nodes, (cells, columns), of the cells that they reach alone."""

    nodes: int
    cells: Int64[np.ndarray, " reached"]
    sums: Float64[np.ndarray, "reached columns"]


def belief_sums(task: BeliefTask, device: jax.Device | None = None) -> BeliefSums:
    """Walks the histories below the nodes of a task, on ``device`` or the first of this host."""
    tree, nodes = task
    with float64(), nullcontext() if device is None else jax.default_device(device):
        tree = Tree(tree.model, jax.device_put(tree.params, device), tree.process, tree.plan)
        sums = np.zeros((columns(tree.plan.symbols), tree.cells))
        tree.below(nodes.levels(tree.plan.per_device), sums)
    (reached,) = np.nonzero(sums[HISTORIES])
    return BeliefSums(len(nodes.cell), reached, sums[:, reached].T)


class BeliefWalk(Walk[Nodes, BeliefTask, BeliefSums]):
    """A cell is a class, or a length where histories share no beliefs; for columns see ``columns``."""

    def __init__(self, tree: Tree, devices: Sequence[jax.Device]):
        self.tree, self.plan, self.devices = tree, tree.plan, devices
        self.workers = worker_count() if len(devices) == 1 else len(devices)
        self.shape = (tree.cells, columns(tree.plan.symbols))
        self.header = {"process": tree.process.name, **tree.process.settings()}
        self.branch_sums = belief_sums

    def stem(self) -> tuple[Sums, Nodes, int]:
        tree, plan = self.tree, self.plan
        numbers = node_numbers(tree.model, tree.process, plan.positions)
        most = FRONTIER_NUMBERS // (numbers * plan.symbols)
        sums = np.zeros(self.shape[::-1])
        with float64():
            root, scored = tree.root()
            sums[:, :1] = tree.rows_of_root(scored)
            levels = [root] if plan.positions > 1 else []
            while levels and levels[0].draws < plan.stem and sum(n.number for n in levels) <= most:
                levels = [child for level in levels for child in tree.expand(level, sums)]
            blocks = [
                jax.tree.map(lambda a, n=n: np.asarray(a)[: n.number], n.block) for n in levels
            ]
        if not levels:  # nothing is below
            return sums.T, Nodes(root.block, plan.stem, np.zeros(0, np.int64)), 0
        block = jax.tree.map(lambda *a: np.concatenate(a), *blocks)
        cell = np.concatenate([level.cell for level in levels])
        return sums.T, Nodes(block, levels[0].draws, cell), len(cell)

    def tasks(self, frontier: Nodes, start: int) -> Iterator[BeliefTask]:
        below = tree_nodes(self.plan.symbols, self.plan.positions - frontier.draws)
        count = max(1, _task_histories() // below)
        params = jax.tree.map(np.asarray, self.tree.params)
        tree = Tree(self.tree.model, params, self.tree.process, self.plan)
        for first in range(start, len(frontier.cell), count):
            yield BeliefTask(tree, frontier.piece(first, count))

    def chunks(self, frontier: Nodes, start: int) -> Generator[BeliefSums, None, None]:
        return each_in_order(
            lambda task: belief_sums(*task),
            zip(self.tasks(frontier, start), cycle(self.devices), strict=False),
            self.workers,
            ahead=1,
        )

    def add(self, sums: Sums, start: int, chunk: BeliefSums) -> int:
        sums[chunk.cells] += chunk.sums
        return start + chunk.nodes

    def nodes_done(self, sums: Sums, done: int) -> int:
        return round(sums[:, HISTORIES].sum())

    def trial(self) -> tuple[float, int]:
        tree, plan = self.tree, self.plan
        scratch = np.zeros(self.shape[::-1])

        def seconds() -> float:
            start = time.perf_counter()
            with float64():
                level = tree.root()[0]
                # As at the last length, where most histories are: a full block, here of roots.
                full = Level(
                    level.block, plan.positions - 2, plan.per_device, np.zeros(plan.per_device, int)
                )
            expand = partial(_expand_for_pace, tree)
            deque(each_in_order(expand, [full] * _TRIAL_BLOCKS, self.workers), maxlen=0)
            return time.perf_counter() - start

        # Of each worker: a stack of blocks, and sums. The frontier is there once.
        stack = plan.positions * plan.symbols * plan.per_device
        stack *= 4 * node_numbers(tree.model, tree.process, plan.positions)
        held = FRONTIER_NUMBERS + self.workers * (stack + 2 * scratch.nbytes)
        if plan.positions == 1:
            return 0.0, held
        seconds()
        each = min(seconds() for _ in range(3)) / (_TRIAL_BLOCKS * plan.per_device * plan.symbols)
        return each * plan.nodes, held


def _expand_for_pace(tree: Tree, level: Level) -> None:
    with float64():
        log_first = jnp.asarray(tree.process.log_first())
        by_cell = tree.classes is not None
        arguments = (tree.params, level.block, log_first)
        jax.block_until_ready(expand_block(tree.model, tree.process, False, by_cell, *arguments))
