"""Decompositions that take batches one matrix after another, and one thread for each.

jaxlib's LAPACK calls share the matrices of a batch between the threads that also run the program, and
wait for them. Where such calls hold all threads nobody is left to do the work, and the program stands
still for ever; with two threads two layers of a network are enough. A call with a single matrix waits
for nobody.

The library behind these calls has threads of its own, which wait busily for each other beside those of
the program: one matrix of 128 rows can take a hundred times as long with two of them as with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import sequential_vmap
from jaxtyping import Float
from threadpoolctl import threadpool_limits

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


@contextmanager
def one_lapack_thread() -> Iterator[None]:
    """Inside it a call of LAPACK has one thread, from whatever thread of this process it comes. The bits
    of a decomposition then do not depend on the number of processors either."""
    # What jaxlib calls. Limits are those of libraries that are loaded.
    import scipy.linalg.cython_lapack  # noqa: F401

    with threadpool_limits(limits=1, user_api="blas"):
        yield
