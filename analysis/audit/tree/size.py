"""How long the task is whose histories are walked, and whether there are too many of them."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from analysis.audit.decomposition import exchangeable, is_exchangeable
from analysis.audit.tree.belief_classes import find_classes
from analysis.audit.tree.count_vectors import count_vectors, tree_cells
from analysis.audit.tree.prefix_tree import tree_nodes
from autoregressive.model import Model
from meta_learning.processes import Process

MOST_NODES = 10**11
# Where T is infinite and nothing is said: the most draws, and the most histories.
MOST_DRAWS, MOST_BY_DEFAULT = 20, 10**7
# Numbers in the sums over count vectors: 128 MiB.
_MOST_SUMS = 2**24
# Draws of a task that are walked at most, however few histories it has.
MOST_LENGTH = 200


def check(model: Model, process: Process, draws: int | None = None) -> None:
    """Errors: ValueError where ``exact_gap`` would refuse these arguments."""
    check_size(process, positions(model, process, draws))


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


def check_size(process: Process, draws: int) -> None:
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
