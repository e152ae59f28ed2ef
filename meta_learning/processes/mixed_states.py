"""The beliefs that a process with hidden states can come to, where they are few.

Upper (1997, "Theory and algorithms for hidden Markov models") calls them mixed states. They are found
in whole numbers, so that two are the same only where they are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Int64

# More beliefs than this are taken for endlessly many. Numbers grow with their number, and so does work.
MOST = 64
_WORK = 2**20


def belief_table(
    edges: Any, start: Sequence[Any]
) -> Int64[np.ndarray, "beliefs {len(edges)}"] | None:
    """Which belief comes after which: int64 (beliefs + 1, K), the start's first.

    edges: T^(x)_ij as Fractions, nested (K, S, S). start: p(first state), (S,). -1 stands for a symbol
    that cannot come, and for what is after it: the last row holds nothing else. None where there are
    more than ``MOST`` beliefs.
    """
    if len(edges) * len(start) ** 2 * MOST > _WORK:
        return None
    scale = math.lcm(*(v.denominator for matrix in edges for row in matrix for v in row))
    whole = [[[int(v * scale) for v in row] for row in matrix] for matrix in edges]
    columns = [list(zip(*matrix, strict=True)) for matrix in whole]
    exact = [Fraction(v) for v in start]
    common = math.lcm(*(v.denominator for v in exact))
    beliefs = {_reduced([int(v * common) for v in exact]): 0}
    table: list[list[int]] = []
    while len(table) < len(beliefs):
        belief = list(beliefs)[len(table)]
        row = []
        for matrix in columns:
            after = [sum(map(int.__mul__, belief, column)) for column in matrix]
            row.append(beliefs.setdefault(_reduced(after), len(beliefs)) if any(after) else -1)
        table.append(row)
        if len(beliefs) > MOST:
            return None
    return np.array([*table, [-1] * len(edges)], np.int64)


def _reduced(belief: list[int]) -> tuple[int, ...]:
    """One tuple for all multiples of a belief."""
    divisor = math.gcd(*belief)
    return tuple(v // divisor for v in belief)
