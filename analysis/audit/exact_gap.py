"""The gap to Bayes with no sampling error: all histories of one task, after a RESET.

Histories of length n = 0..D-1 precede the D draws of a task. The gap at position n is the mean of
KL(Bayes || network) over all histories that the process can make, each weighed by its probability; the
exact gap is the mean over positions. D is T - 1, and is chosen where T is infinite. The walk over the
tree is ``analysis.audit.belief_walk``, or where beliefs are counts ``analysis.audit.count_walk``; what
its sums say is ``analysis.audit.decomposition``. A walk that was stopped goes on where it was and ends
with the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from analysis.audit.belief_classes import Classes, find_classes
from analysis.audit.belief_walk import HISTORIES as NUMBER
from analysis.audit.belief_walk import (
    LEAK,
    LOG_Q,
    RESET,
    WEIGHT,
    BeliefWalk,
    Tree,
    make_belief_plan,
)
from analysis.audit.count_vectors import all_counts, count_vectors, tree_cells
from analysis.audit.count_walk import CountWalk, make_plan
from analysis.audit.decomposition import (
    Decomposition,
    by_belief,
    by_counts,
    by_length,
    by_position,
    exchangeable,
    is_exchangeable,
    probabilities,
)
from analysis.audit.partial_sums import PartialSums
from analysis.audit.prefix_tree import Nodes, Walk, tree_nodes
from analysis.report.formats import finite
from analysis.workers import each_result
from autoregressive.model import Model
from meta_learning.learner import Learner
from meta_learning.processes import Process

MOST_NODES = 10**11
# Where T is infinite and nothing is said: the most draws, and the most histories.
MOST_DRAWS, MOST_BY_DEFAULT = 20, 10**7
# (the frontier's nodes, how many are done) -> what is below those after them.
Chunks = Callable[[Nodes, int], Generator[Any, None, None]]
# Numbers in the sums over count vectors: 128 MiB.
_MOST_SUMS = 2**24
# The probabilities of all histories of a length sum to 1.
_SUM_TOLERANCE = 1e-9
# Draws of a task that are walked at most, however few histories it has.
MOST_LENGTH = 200


@dataclass(frozen=True)
class ExactGap:
    """The exact gap of one network on one process, in nats, with its parts.

    decomposition: terms by position, arrays (D,). nodes: histories that were scored. What follows is
    None where histories share no beliefs. draws: int (cells,), the length of the histories that share
    each belief. probability: of each belief among histories as long (cells,). cells: the terms of each.
    counts: int (cells, K), each belief's counts; None where the belief is not the counts. classes: all
    that is known of the beliefs, where they were told apart one by one.
    """

    decomposition: Decomposition
    nodes: int
    draws: np.ndarray | None = None
    probability: np.ndarray | None = None
    cells: Decomposition | None = None
    counts: np.ndarray | None = None
    classes: Classes | None = None

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
        """The parts that there are, means over positions: they sum to ``gap``."""
        return {name: float(values.mean()) for name, values in self.parts.items()}

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The parts that there are by position, arrays (D,)."""
        found = {name: getattr(self.decomposition, name) for name in TERMS}
        return {name: values for name, values in found.items() if values is not None}

    def document(self) -> dict[str, object]:
        """Plain JSON values; None for what is infinite, and for terms that then do not exist."""
        return {
            "draws": len(self.by_position),
            "gap": {
                "mean": finite(self.gap),
                "by_position": [finite(v) for v in self.by_position],
                "memoryless": self.memoryless,
            },
            "gap_closed": None if self.gap_closed is None else finite(self.gap_closed),
            "budget": self._budget(),
            "reset": {
                "leak": float(self.decomposition.reset.mean()),
                "leak_by_position": self.decomposition.reset.tolist(),
            },
            "histories": self.nodes,
        }

    def _budget(self) -> dict[str, object]:
        def part(values: np.ndarray | None) -> dict[str, object] | None:
            if values is None:
                return None
            by_position = [finite(v) for v in values]
            return {"mean": finite(float(values.mean())), "by_position": by_position}

        names = dict(zip(TERMS, TERMS, strict=True))
        if self.counts is not None:
            names |= {"order": "same_belief", "counts": "rest"}
        return {name: part(getattr(self.decomposition, term)) for name, term in names.items()}


# The parts of a gap, in the order in which they are shown.
TERMS = ("leak", "same_belief", "rest")


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

    draws: D; T - 1 unless T is infinite, where None takes ``default_draws``. folder: the cache where
    partial sums are kept and gone on from; None keeps none. devices: those that share the work; None is
    all of this host's. on_progress: called with the histories done and their number. scheduler,
    workers: where else the walk goes on from its frontier (``analysis.workers``), to the same bits.
    Errors: ValueError for T=1, another K than the network's, a tree of more than 1e11 histories or of
    more counts than fit in memory, a machine whose probabilities do not sum to 1, or a network whose
    outputs are NaN somewhere; those of ``analysis.workers.run_tasks``.
    """
    walk = _walk_of(learner, process, draws, devices)
    sums = PartialSums(folder, learner, walk)
    sums.find()
    on_progress(_nodes_done(walk, sums), walk.plan.nodes)
    if not sums.complete:
        try:

            def chunks(frontier: Nodes, done: int) -> Generator[Any, None, None]:
                if scheduler is None and workers is None:
                    return walk.chunks(frontier, done)
                return _chunks_of_workers(walk, scheduler, workers, frontier, done)

            _walk(walk, sums, chunks, on_progress)
        finally:
            # Also when stopped: nothing that was done is lost.
            sums.save()
    if np.isnan(sums.values).any():
        raise ValueError("the network's outputs are not finite on some history; train it anew")
    if isinstance(walk, CountWalk):
        counts = all_counts(walk.plan.symbols, walk.plan.positions)
        return summary(process, counts, sums.values, walk.plan.nodes)
    return _summary_by_belief(process, walk.plan.positions, sums.values)


def summary(process: Process, counts: np.ndarray, sums: np.ndarray, nodes: int) -> ExactGap:
    """The exact gap out of ``sums`` over the histories with each count vector; see ``by_counts``."""
    cells, weights, draws = (
        by_counts(process, counts, sums),
        probabilities(process, counts),
        counts.sum(-1),
    )
    _check_weights(process, np.bincount(draws, weights))
    return ExactGap(by_position(draws, weights, cells), nodes, draws, weights, cells, counts)


def _summary_by_belief(process: Process, positions: int, sums: np.ndarray) -> ExactGap:
    """The exact gap out of the sums of a ``BeliefWalk``, (cells, columns)."""
    nodes, weights = round(sums[:, NUMBER].sum()), sums[:, WEIGHT]
    classes = find_classes(process, positions)
    if classes is None:
        _check_weights(process, weights)
        return ExactGap(by_length(sums), nodes)
    # Beliefs whose probability is too small for a float have no means, and no weight.
    means = sums / np.where(weights > 0, weights, 1.0)[:, None]
    cells = by_belief(
        classes.log_predictive,
        classes.log_predictive[:1],
        means[:, LOG_Q:LEAK],
        means[:, LEAK],
        means[:, RESET],
    )
    _check_weights(process, np.bincount(classes.draws, weights))
    counts = classes.counts(process.num_symbols) if is_exchangeable(process) else None
    by = by_position(classes.draws, weights, cells)
    return ExactGap(by, nodes, classes.draws, weights, cells, counts, classes)


def _check_weights(process: Process, totals: np.ndarray) -> None:
    """Errors: ValueError unless the probabilities of all histories of each length sum to 1."""
    worst = int(np.argmax(np.abs(totals - 1)))
    if not abs(totals[worst] - 1) <= _SUM_TOLERANCE:
        raise ValueError(
            f"the histories of {worst} draws of {process.title} have probabilities that sum to "
            f"{totals[worst]:.12g} and not to 1: its log_predictive_of must be normalised"
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
    walk = _walk_of(learner, process, draws, devices)
    seconds, held = walk.trial()
    return Cost(walk.plan.nodes, held, seconds)


def check(model: Model, process: Process, draws: int | None = None) -> None:
    """Errors: ValueError where ``exact_gap`` would refuse these arguments."""
    _check_size(process, positions(model, process, draws))


def _walk_of(
    learner: Learner, process: Process, draws: int | None, devices: Sequence[jax.Device] | None
) -> Walk:
    model, K = learner.model, process.num_symbols
    draws = positions(model, process, draws)
    _check_size(process, draws)
    devices = list(devices or jax.devices())
    if goes_by_counts(process, draws):
        return CountWalk(model, learner.params, make_plan(model, K, draws), devices)
    plan = make_belief_plan(model, process, draws)
    return BeliefWalk(Tree(model, learner.params, process, plan), devices)


@lru_cache(maxsize=16)
def goes_by_counts(process: Process, draws: int) -> bool:
    """Whether sums over reorderings do: beliefs are the counts, and every symbol can always come."""
    if not is_exchangeable(process):
        return False
    K = process.num_symbols
    if tree_cells(K, draws) * (K + 2) > _MOST_SUMS:
        return True  # and too many
    # What cannot come after some counts cannot after more of them either.
    last = exchangeable(process).log_predictive(count_vectors(draws - 1, K))
    return bool(np.isfinite(last).all())


def positions(model: Model, process: Process, draws: int | None = None) -> int:
    """D, the draws of one task. Errors: ValueError, as ``exact_gap`` but for the tree's size."""
    K, T = process.num_symbols, process.task_length
    if model.outputs - 1 != K:
        raise ValueError(
            f"the process has {K} symbols, the network was trained with {model.outputs - 1}; "
            "they must agree"
        )
    if math.isinf(T):
        draws = default_draws(process) if draws is None else draws
    elif draws not in (None, int(T) - 1):
        raise ValueError(
            f"a task of length T={int(T)} has {int(T) - 1} draws; got {draws}: leave it out, or ask "
            "for another T"
        )
    else:
        draws = int(T) - 1
    if draws < 1:
        raise ValueError("a task needs a drawn symbol for an exact gap: T must be 2 or more")
    return draws


def default_draws(process: Process) -> int:
    """How many draws are looked at where T is infinite and nothing is said: the most, up to 20, that
    have at most 10 million histories. Where histories share no beliefs those that the process cannot
    make are counted, too."""
    K = process.num_symbols
    whole = max(
        n for n in range(1, MOST_DRAWS + 1) if n == 1 or tree_nodes(K, n) <= MOST_BY_DEFAULT
    )
    if whole == MOST_DRAWS or goes_by_counts(process, whole):
        return whole
    classes = find_classes(process, whole)
    if classes is None or classes.histories.sum() == tree_nodes(K, whole):
        return whole
    classes = find_classes(process, MOST_DRAWS)
    if classes is None:
        return whole
    return int((np.cumsum(classes.histories_by_length) <= MOST_BY_DEFAULT).sum())


def _check_size(process: Process, draws: int) -> None:
    """Errors: ValueError where the tree is too large to be walked."""
    K = process.num_symbols
    # Compared in logarithms: the number itself can have thousands of digits.
    nodes = tree_nodes(K, draws) if draws * math.log(K) < 50 else None
    if nodes is None or nodes > MOST_NODES:
        possible = _possible(process, draws)
        if possible is not None and possible <= MOST_NODES:
            return
        number = f"about 1e{(draws - 1) * math.log10(K):.0f}" if nodes is None else f"{nodes:.1e}"
        most = int(math.log(MOST_NODES * (K - 1), K) + 1e-9)
        ask = "fewer --draws" if math.isinf(process.task_length) else "a smaller T"
        limit = f"{most} draws" if math.isinf(process.task_length) else f"T={most + 1}"
        raise ValueError(
            f"K={K} with {draws} draws has {number} histories, more than {MOST_NODES:.0e}; "
            f"the exact gap goes up to {limit}: ask it at {ask}"
        )
    if goes_by_counts(process, draws) and tree_cells(K, draws) * (K + 2) > _MOST_SUMS:
        raise ValueError(
            f"K={K} with {draws} draws has {tree_cells(K, draws)} different counts, too many for "
            "memory; ask the exact gap at a smaller T"
        )


def _possible(process: Process, draws: int) -> float | None:
    """How many histories the process can make, where that is known and some cannot be."""
    if draws > MOST_LENGTH or is_exchangeable(process):
        return None
    classes = find_classes(process, MOST_DRAWS)
    if classes is None or classes.histories.sum() == tree_nodes(process.num_symbols, MOST_DRAWS):
        return None
    classes = find_classes(process, draws)
    return None if classes is None else float(classes.histories.sum())


def _nodes_done(walk: Walk, sums: PartialSums) -> int:
    return 0 if sums.done < 0 else walk.nodes_done(sums.values, sums.done)


def _walk(
    walk: Walk, sums: PartialSums, chunks: Chunks, on_progress: Callable[[int, int], None]
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
    walk: Walk, scheduler: str | None, workers: int | None, frontier: Nodes, done: int
) -> Generator[Any, None, None]:
    """As ``Walk.chunks``. What ends before its turn waits, so that sums are added in one order."""
    tasks = walk.tasks(frontier, done)
    early: dict[int, Any] = {}
    turn = 0
    done_there = each_result(walk.branch_sums, tasks, scheduler=scheduler, workers=workers)
    with closing(done_there) as results:
        for index, sums in results:
            early[index] = sums
            while turn in early:
                yield early.pop(turn)
                turn += 1
