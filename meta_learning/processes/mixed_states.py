"""All beliefs that a process with hidden states can come to, where they are few: its mixed states.

The name is Upper's (1997, "Theory and algorithms for hidden Markov models"). Beliefs are computed in
whole numbers, so that two are the same only where they are exactly equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Int64

from meta_learning.processes.types import Matrices

# A process with more beliefs than this is taken to have infinitely many.
MOST = 64
# K S^2 ``MOST``, the products in a search, above which none is made.
_WORK = 2**20


def belief_table(
    edges: Matrices, start: Sequence[float]
) -> Int64[np.ndarray, "beliefs {len(edges)}"] | None:
    """The number of the belief after each belief and symbol: int64 (beliefs + 1, K).

    edges: T^(x)_ij as Fractions, nested (K, S, S). start: p(first state), (S,), which is belief 0. After
    a symbol that cannot come the number is -1; the last row, which index -1 finds, holds only -1. None
    where there are more than ``MOST`` beliefs, or where the search would be long.
    """
    if len(edges) * len(start) ** 2 * MOST > _WORK:
        return None
    exact_edges = [[[Fraction(v) for v in row] for row in matrix] for matrix in edges]
    scale = math.lcm(*(v.denominator for matrix in exact_edges for row in matrix for v in row))
    whole = [[[int(v * scale) for v in row] for row in matrix] for matrix in exact_edges]
    columns = [list(zip(*matrix, strict=True)) for matrix in whole]
    exact = [Fraction(v) for v in start]
    common = math.lcm(*(v.denominator for v in exact))
    beliefs = {_reduce([int(v * common) for v in exact]): 0}
    table: list[list[int]] = []
    while len(table) < len(beliefs):
        belief = list(beliefs)[len(table)]
        row = []
        for matrix in columns:
            after = [sum(map(int.__mul__, belief, column)) for column in matrix]
            row.append(beliefs.setdefault(_reduce(after), len(beliefs)) if any(after) else -1)
        table.append(row)
        if len(beliefs) > MOST:
            return None
    return np.array([*table, [-1] * len(edges)], np.int64)


def _reduce(belief: list[int]) -> tuple[int, ...]:
    """A belief divided by its greatest common divisor, so that all its multiples become equal."""
    divisor = math.gcd(*belief)
    return tuple(v // divisor for v in belief)
