"""The gap to Bayes with no sampling error: all histories of one task, after a RESET.

Histories of length n = 0..D-1 precede the D = T - 1 draws of a task. The gap at position n is the mean
of KL(Bayes || network) over the K^n histories, each weighed by its probability; the exact gap is the
mean over positions. The walk over the tree is ``analysis.audit.prefix_tree``, what its sums say is
``analysis.audit.decomposition``. A walk that was stopped goes on where it was and ends with the
same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np

from analysis.audit.count_vectors import all_counts, tree_cells
from analysis.audit.decomposition import (
    Decomposition,
    by_counts,
    by_position,
    exchangeable,
    probabilities,
)
from analysis.audit.partial_sums import PartialSums
from analysis.audit.prefix_tree import Plan, States, Walk, branch_sums, make_plan, tree_nodes
from analysis.report.formats import finite
from analysis.workers import each_result
from autoregressive.model import Model
from meta_learning.learner import Learner
from meta_learning.processes import Process

MOST_NODES = 10**11
# Sums below some frontier nodes (nodes, cells, K+2).
Sums = np.ndarray | jax.Array
# (the frontier's states, nodes done) -> sums below the nodes after them, (nodes, cells, K+2) each.
Chunks = Callable[[States, int], Generator[Sums, None, None]]
# Numbers in the sums over count vectors: 128 MiB.
_MOST_SUMS = 2**24


@dataclass(frozen=True)
class ExactGap:
    """The exact gap of one network on one process, in nats, with its parts.

    decomposition: terms by position, arrays (D,). counts: int (cells, K), every count vector of every
    level. probability: of each count vector at its level (cells,). cells: the terms of each count
    vector. nodes: histories that were scored.
    """

    decomposition: Decomposition
    counts: np.ndarray
    probability: np.ndarray
    cells: Decomposition
    nodes: int

    @property
    def by_position(self) -> np.ndarray:
        """The gap at each of the D draws."""
        return self.decomposition.gap

    @property
    def gap(self) -> float:
        """The exact gap: the mean over positions."""
        return float(self.decomposition.gap.mean())

    @property
    def memoryless(self) -> float:
        """The memoryless predictor's gap."""
        return float(self.decomposition.memoryless.mean())

    @property
    def gap_closed(self) -> float | None:
        """1 - gap / memoryless; None where memoryless is Bayes, as at T=2."""
        return 1 - self.gap / self.memoryless if self.memoryless > 1e-12 else None

    @property
    def terms(self) -> dict[str, float]:
        """The three terms, means over positions: they sum to ``gap``."""
        return {name: float(getattr(self.decomposition, name).mean()) for name in TERMS}

    def document(self) -> dict[str, object]:
        """Plain JSON values; None for what is infinite, and for terms that then do not exist."""
        return {
            "gap": {
                "mean": finite(self.gap),
                "by_position": [finite(v) for v in self.by_position],
                "memoryless": self.memoryless,
            },
            "gap_closed": None if self.gap_closed is None else finite(self.gap_closed),
            "budget": {
                name: {
                    "mean": finite(mean),
                    "by_position": [finite(v) for v in getattr(self.decomposition, name)],
                }
                for name, mean in self.terms.items()
            },
            "reset": {
                "leak": float(self.decomposition.reset.mean()),
                "leak_by_position": self.decomposition.reset.tolist(),
            },
            "histories": self.nodes,
        }


# The parts of a gap, in the order in which they are shown.
TERMS = ("leak", "order", "counts")


@dataclass(frozen=True)
class Cost:
    """What an exact gap takes. nodes: histories. bytes: of memory, beside what the program takes
    anyway. seconds: by the pace of some chunks, without compiling."""

    nodes: int
    bytes: int
    seconds: float


def exact_gap(
    learner: Learner,
    process: Process,
    *,
    draws: int | None = None,
    folder: Path | None = None,
    devices: Sequence[jax.Device] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, nodes: None,
    scheduler: str | None = None,
    workers: int | None = None,
) -> ExactGap:
    """The exact gap of ``learner`` on one task of ``process``, from the state after a RESET.

    draws: D; T - 1 unless T is infinite, where it must be given. folder: the cache where partial
    sums are kept and gone on from; None keeps none. devices: those that share the work; None is all
    of this host's. on_progress: called with the histories done and their number. scheduler, workers:
    where else the branches are walked (``analysis.workers``), to the same bits.
    Errors: ValueError for T=1, another K than the network's, a process whose answer is not a function
    of the counts, a tree of more than 1e11 histories or of more counts than fit in memory, or a
    network whose outputs are NaN somewhere; those of ``analysis.workers.run_tasks``.
    """
    plan = _plan(learner.model, process, draws)
    sums = PartialSums(folder, learner, plan)
    sums.find()
    on_progress(sums.nodes_done(plan), plan.nodes)
    if sums.done < plan.frontier or sums.done < 0:
        try:
            walk = _walk_of(learner, plan, devices)
            chunks = partial(_chunks, walk)
            if plan.frontier and (scheduler is not None or workers is not None):
                chunks = partial(_chunks_of_workers, walk, scheduler, workers)
            _walk(walk, sums, chunks, on_progress)
        finally:
            # Also when stopped: nothing that was done is lost.
            sums.save()
    if np.isnan(sums.values).any():
        raise ValueError("the network's outputs are not finite on some history; train it anew")
    return summary(process, all_counts(plan.symbols, plan.positions), sums.values, plan.nodes)


def summary(process: Process, counts: np.ndarray, sums: np.ndarray, nodes: int) -> ExactGap:
    """The exact gap out of ``sums`` over the histories with each count vector; see ``by_counts``."""
    cells = by_counts(process, counts, sums)
    return ExactGap(
        by_position(process, counts, cells), counts, probabilities(process, counts), cells, nodes
    )


def cost(
    learner: Learner,
    process: Process,
    *,
    draws: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Cost:
    """Histories, memory and seconds of ``exact_gap`` with the same arguments, before it is begun.

    Compiles its programs, which are not compiled again in the same process, and runs some chunks.
    Errors: as ``exact_gap``, but for the last.
    """
    plan = _plan(learner.model, process, draws)
    seconds, held = _walk_of(learner, plan, devices).trial()
    return Cost(plan.nodes, held, seconds)


def check(model: Model, process: Process, draws: int | None = None) -> None:
    """Errors: ValueError where ``exact_gap`` would refuse these arguments."""
    _plan(model, process, draws)


def _walk_of(learner: Learner, plan: Plan, devices: Sequence[jax.Device] | None) -> Walk:
    return Walk(learner.model, learner.params, plan, list(devices or jax.devices()))


def positions(model: Model, process: Process, draws: int | None = None) -> int:
    """D, the draws of one task. Errors: ValueError, as ``exact_gap`` but for the tree's size."""
    exchangeable(process)
    K, T = process.num_symbols, process.task_length
    if model.outputs - 1 != K:
        raise ValueError(
            f"the process has {K} symbols, the network was trained with {model.outputs - 1}; "
            "they must agree"
        )
    if math.isinf(T):
        if draws is None:
            raise ValueError("T is infinite: say over how many draws the exact gap is asked")
    elif draws not in (None, int(T) - 1):
        raise ValueError(f"a task of length T={int(T)} has {int(T) - 1} draws; got {draws}")
    else:
        draws = int(T) - 1
    if draws < 1:
        raise ValueError("a task needs a drawn symbol for an exact gap: T must be 2 or more")
    return draws


def _plan(model: Model, process: Process, draws: int | None) -> Plan:
    draws, K = positions(model, process, draws), process.num_symbols
    # Compared in logarithms: the number itself can have thousands of digits.
    nodes = tree_nodes(K, draws) if draws * math.log(K) < 50 else None
    if nodes is None or nodes > MOST_NODES:
        number = f"about 1e{(draws - 1) * math.log10(K):.0f}" if nodes is None else f"{nodes:.1e}"
        most = int(math.log(MOST_NODES * (K - 1), K) + 1e-9)
        raise ValueError(
            f"K={K} with {draws} draws has {number} histories, more than {MOST_NODES:.0e}; "
            f"the exact gap goes up to T={most + 1}: ask it at a smaller T"
        )
    if tree_cells(K, draws) * (K + 2) > _MOST_SUMS:
        raise ValueError(
            f"K={K} with {draws} draws has {tree_cells(K, draws)} different counts, too many for "
            "memory; ask the exact gap at a smaller T"
        )
    return make_plan(model, K, draws)


def _walk(
    walk: Walk, sums: PartialSums, chunks: Chunks, on_progress: Callable[[int, int], None]
) -> None:
    plan = walk.plan
    stem, frontier = walk.stem()
    if sums.done < 0:
        sums.values[: len(stem)] = stem
        sums.advance(0)
    with closing(chunks(frontier, sums.done)) as results:
        for branches in results:
            sums.advance(walk.add(sums.values, sums.done, branches))
            on_progress(sums.nodes_done(plan), plan.nodes)
    on_progress(plan.nodes, plan.nodes)


def _chunks(walk: Walk, frontier: States, done: int) -> Generator[Sums, None, None]:
    """Sums below the frontier's nodes from ``done`` on, in order."""
    current = None
    for start in range(done, walk.plan.frontier, walk.per_call):
        # One chunk runs while the one before it is added.
        following = walk.branches(frontier, start)
        if current is not None:
            yield current
        current = following
    if current is not None:
        yield current


def _chunks_of_workers(
    walk: Walk, scheduler: str | None, workers: int | None, frontier: States, done: int
) -> Generator[Sums, None, None]:
    """As ``_chunks``. What ends before its turn waits, so that sums are added in one order."""
    tasks = walk.tasks(frontier, done)
    early: dict[int, np.ndarray] = {}
    turn = 0
    with closing(each_result(branch_sums, tasks, scheduler=scheduler, workers=workers)) as results:
        for index, sums in results:
            early[index] = sums
            while turn in early:
                yield early.pop(turn)
                turn += 1
