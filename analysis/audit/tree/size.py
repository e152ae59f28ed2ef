"""How many draws of a task are walked, and whether that is too many histories."""

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
# What ``default_draws`` keeps to.
MOST_DRAWS, MOST_BY_DEFAULT = 20, 10**7
# Numbers in the sums over count vectors: 128 MiB.
_MOST_SUMS = 2**24
# More draws are refused, however few histories the process can make.
MOST_LENGTH = 200


def check_draws(model: Model, process: Process, draws: int | None = None) -> None:
    """Errors: ValueError where ``exact_gap`` would refuse these draws."""
    check_size(process, choose_draws(model, process, draws))


@lru_cache(maxsize=16)
def goes_by_counts(process: Process, draws: int) -> bool:
    """Whether a ``CountWalk`` will do: the belief is the counts, and every symbol is always possible."""
    if not is_exchangeable(process):
        return False
    K = process.num_symbols
    if tree_cells(K, draws) * (K + 2) > _MOST_SUMS:
        return True  # and ``check_size`` refuses it
    # A symbol that is impossible after some counts stays so after more draws.
    last = exchangeable(process).log_predictive(count_vectors(K, draws - 1))
    return bool(np.isfinite(last).all())


def choose_draws(model: Model, process: Process, draws: int | None = None) -> int:
    """D, the draws of a task that are looked at: T - 1, and where T is infinite ``draws`` or
    ``default_draws``. Errors: ValueError for another K than the network's, T=1, or other draws where T
    is finite."""
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
    """D where T is infinite and nothing was asked for: the most draws, up to 20, with at most 10 million
    histories. Where histories share no beliefs, those that the process cannot make count, too."""
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
    """How many histories the process can make; None where that is not known, or all of them."""
    if draws > MOST_LENGTH or is_exchangeable(process):
        return None
    classes = find_classes(process, MOST_DRAWS)
    if classes is None or classes.histories.sum() == tree_nodes(process.num_symbols, MOST_DRAWS):
        return None
    classes = find_classes(process, draws)
    return None if classes is None else float(classes.histories.sum())
