"""Float64 inside JAX for some computations, without changing its flags for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")


@contextmanager
def float64() -> Iterator[None]:
    """Inside it JAX has float64 and full precision of products; its own flags are untouched."""
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        yield


def to_float64(tree: Tree) -> Tree:
    """The leaves as float64 arrays; to be called inside ``float64``."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)
