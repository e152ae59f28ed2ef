"""The stationary distribution of a Markov chain."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def stationary_distribution(
    transition: Float[np.ndarray, "states states"], advice: str
) -> tuple[float, ...]:
    """The p with p = p A, for a transition matrix A whose rows sum to 1. Returns S floats that sum to 1.

    Errors: ValueError with ``advice``, what the user may try, where there are several such p.
    """
    matrix = np.asarray(transition, np.float64)
    balance = np.concatenate([matrix.T - np.eye(len(matrix)), np.ones((1, len(matrix)))])
    if np.linalg.matrix_rank(balance) < len(matrix):
        raise ValueError(f"transition has several stationary distributions; {advice}")
    found = np.linalg.lstsq(balance, np.eye(len(matrix) + 1)[-1], rcond=None)[0]
    found = np.maximum(found, 0.0)  # a state that is left for good comes out at +-1e-17
    return tuple(float(v) for v in found / found.sum())
