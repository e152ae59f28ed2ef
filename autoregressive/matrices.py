"""Decompositions that take batches one matrix after another.

jaxlib's LAPACK calls share the matrices of a batch between the threads that also run the program, and
wait for them. Where such calls hold all threads nobody is left to do the work, and the program stands
still for ever; with two threads that takes two layers of a network, or two seeds. A call with a single
matrix waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import sequential_vmap
from jaxtyping import Float

P = ParamSpec("P")
R = TypeVar("R")


def _one_by_one(function: Callable[P, R]) -> Callable[P, R]:
    mapped: Callable[P, R] = sequential_vmap(function)
    return mapped


@_one_by_one
def orthogonalize(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Q of the QR decomposition."""
    return jnp.linalg.qr(matrix)[0]


@_one_by_one
def eigh(matrix: Float[Array, "n n"]) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Rising eigenvalues and, as columns, eigenvectors of a symmetric matrix."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@_one_by_one
def solve(matrix: Float[Array, "n n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    """x with matrix @ x = right."""
    return jnp.linalg.solve(matrix, right)


def each(function: Callable[[Float[Array, "n n"]], R], matrices: Float[Array, "batch n n"]) -> R:
    """``function`` of every matrix."""
    if len(matrices) == 1:  # without a loop
        return jax.tree.map(lambda x: x[None], function(matrices[0]))
    return jax.vmap(function)(matrices)
