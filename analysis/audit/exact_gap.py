"""The gap to Bayes with no sampling error: all histories of one task, after a RESET.

Histories of length n = 0..D-1 precede the D draws of a task. The gap at position n is the mean of
KL(Bayes || network) over all histories of that length that the process can make, weighted by their
probability; the exact gap is the mean over positions. D is T - 1, and is chosen where T is infinite.
The walks over all histories are in ``analysis.audit.tree``; ``analysis.audit.gap`` makes the result of
their sums. A walk that was stopped goes on where it was and ends with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np

from analysis.audit.gap import ExactGap, gap_by_belief, gap_by_counts
from analysis.audit.tree.belief_tree import Tree
from analysis.audit.tree.belief_walk import BeliefWalk, make_belief_plan
from analysis.audit.tree.count_vectors import all_counts
from analysis.audit.tree.count_walk import CountWalk, make_plan
from analysis.audit.tree.partial_sums import PartialSums
from analysis.audit.tree.prefix_tree import Chunk, Nodes, Task, Walk
from analysis.audit.tree.size import check_size, choose_draws, goes_by_counts
from analysis.workers import each_result
from autoregressive.devices import list_devices
from meta_learning.learner import Learner
from meta_learning.processes import Process

# From the frontier's nodes and how many are done: what is below the others.
Chunks = Callable[[Nodes, int], Generator[Chunk, None, None]]


@dataclass(frozen=True)
class Cost:
    """What an exact gap costs. nodes: histories. bytes: memory beyond the program's own. seconds: by the
    pace of some chunks, without compiling."""

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

    draws: D; T - 1 unless T is infinite, where None takes ``default_draws``. folder: the cache for
    partial sums, from which a stopped walk goes on; None keeps none. devices: those that share the
    work; None is all of this host's, a CPU as one. on_progress: called with the histories done and
    their number.
    scheduler, workers: where else the work is done (``analysis.workers``), to the same bits.
    Errors: ValueError for T=1, another K than the network's, a tree of more than 1e11 histories or of
    more counts than fit in memory, a machine whose probabilities do not sum to 1, or a network whose
    outputs are NaN somewhere; those of ``analysis.workers.run_tasks``.
    """
    walk = _walk_of(learner, process, draws, devices)
    sums = PartialSums(folder, learner, walk)
    sums.find()
    on_progress(_nodes_done(walk, sums), walk.plan.nodes)
    if not sums.complete:
        chunks: Chunks = walk.chunks
        if scheduler is not None or workers is not None:
            chunks = partial(_chunks_of_workers, walk, scheduler, workers)
        try:
            _walk(walk, sums, chunks, on_progress)
        finally:
            # Also when stopped, so that nothing is lost.
            sums.save()
    if np.isnan(sums.values).any():
        raise ValueError("the network's outputs are not finite on some history; train it anew")
    if isinstance(walk, CountWalk):
        counts = all_counts(walk.plan.symbols, walk.plan.positions)
        return gap_by_counts(process, counts, sums.values, walk.plan.nodes)
    return gap_by_belief(process, walk.plan.positions, sums.values)


def cost(
    learner: Learner,
    process: Process,
    *,
    draws: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Cost:
    """What ``exact_gap`` with the same arguments costs, measured by running some chunks.

    Its programs are compiled here and not again in the same process. Errors: as ``exact_gap``, but for
    NaN outputs.
    """
    walk = _walk_of(learner, process, draws, devices)
    seconds, held = walk.trial()
    return Cost(walk.plan.nodes, held, seconds)


def _walk_of(
    learner: Learner, process: Process, draws: int | None, devices: Sequence[jax.Device] | None
) -> Walk:
    model, K = learner.model, process.num_symbols
    draws = choose_draws(model, process, draws)
    check_size(process, draws)
    devices = list(devices or list_devices())
    if goes_by_counts(process, draws):
        return CountWalk(model, learner.params, make_plan(model, K, draws), devices)
    plan = make_belief_plan(model, process, draws)
    return BeliefWalk(Tree(model, learner.params, process, plan), devices)


def _nodes_done(walk: Walk, sums: PartialSums) -> int:
    return 0 if sums.done < 0 else walk.nodes_done(sums.values, sums.done)


def _walk(
    walk: Walk[Nodes, Task, Chunk],
    sums: PartialSums,
    chunks: Chunks[Nodes, Chunk],
    on_progress: Callable[[int, int], None],
) -> None:
    plan = walk.plan
    stem, frontier, number = walk.stem()
    if sums.done < 0:
        sums.begin(stem, number)
    if sums.done < number:
        with closing(chunks(frontier, sums.done)) as results:
            for below in results:
                sums.advance(walk.add(sums.values, sums.done, below))
                on_progress(_nodes_done(walk, sums), plan.nodes)
    on_progress(plan.nodes, plan.nodes)


def _chunks_of_workers(
    walk: Walk[Nodes, Task, Chunk],
    scheduler: str | None,
    workers: int | None,
    frontier: Nodes,
    done: int,
) -> Generator[Chunk, None, None]:
    """As ``Walk.chunks``, from workers. A chunk that ends early waits for its turn: sums are always
    added in the same order, so to the same bits."""
    tasks = walk.tasks(frontier, done)
    early: dict[int, Chunk] = {}
    turn = 0
    done_there = each_result(walk.branch_sums, tasks, scheduler=scheduler, workers=workers)
    with closing(done_there) as results:
        for index, sums in results:
            early[index] = sums
            while turn in early:
                yield early.pop(turn)
                turn += 1
