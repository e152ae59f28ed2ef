"""Count vectors: the ways to share draws among symbols. They are the cells of a ``count_walk``."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
from jaxtyping import Int32, Int64, Integer

# Count vectors, one a row.
Counts = Integer[np.ndarray, "cells symbols"]


def tree_cells(symbols: int, positions: int) -> int:
    """The number of count vectors of at most ``positions`` - 1 draws: C(positions - 1 + K, K)."""
    return math.comb(positions - 1 + symbols, symbols)


@cache
def count_vectors(symbols: int, draws: int) -> Int64[np.ndarray, "cells {symbols}"]:
    """All count vectors of ``draws`` draws: int64 (cells, K), from most of the first symbol on."""
    chosen = list(itertools.combinations_with_replacement(range(symbols), draws))
    picks = np.array(chosen, np.int64).reshape(len(chosen), draws)
    counts = np.zeros((len(chosen), symbols), np.int64)
    np.add.at(counts, (np.arange(len(chosen))[:, None], picks), 1)
    counts.flags.writeable = False
    return counts


def all_counts(symbols: int, positions: int) -> Int64[np.ndarray, "cells {symbols}"]:
    """The count vectors of all levels, level by level: int64 (cells, K), as the cells of the sums."""
    return np.concatenate([count_vectors(symbols, n) for n in range(positions)])


def rows_of(counts: Counts) -> dict[bytes, int]:
    """Where each count vector of a table stands, by its bytes."""
    return {row.tobytes(): i for i, row in enumerate(counts)}


@cache
def fold(symbols: int, draws: int) -> Int32[np.ndarray, "after {symbols}"]:
    """For each count vector of ``draws`` + 1 draws and each first symbol k: the index of (k, counts of
    the other draws) in a flattened table of (symbols, cells before). int32 (cells after, K); one past
    the end where the counts have no k."""
    before, after = count_vectors(symbols, draws), count_vectors(symbols, draws + 1)
    where = rows_of(before)
    out = np.full(after.shape, symbols * len(before), np.int32)
    for (row, k), count in np.ndenumerate(after):
        if count:
            rest = after[row].copy()
            rest[k] -= 1
            out[row, k] = k * len(before) + where[rest.tobytes()]
    return out


def draws_of(symbols: int, draws: int) -> Int64[np.ndarray, "nodes {draws}"]:
    """All histories of a length: int64 (K^draws, draws), those of node i the digits of i to base K."""
    return np.arange(symbols**draws)[:, None] // symbols ** np.arange(draws)[::-1] % symbols
