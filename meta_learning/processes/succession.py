"""The rule of succession: what counts say of the next symbol, under a Dirichlet prior."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from autoregressive.broadcast import align
from meta_learning.processes.types import ArrayLike


def log_succession(alpha: ArrayLike, counts: ArrayLike) -> Array:
    """log of (alpha_k + n_k) / sum(alpha + n), the mean of Dirichlet(alpha + n), in nats.

    alpha, counts: (..., K), which may be broadcast. Returns (..., K).
    """
    alpha, counts = jnp.asarray(alpha), jnp.asarray(counts)
    weights = align(alpha, counts) + align(counts, alpha)
    return jnp.log(weights) - jnp.log(weights.sum(-1, keepdims=True))
