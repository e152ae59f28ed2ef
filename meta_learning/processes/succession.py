"""Laplace's rule of succession for any Dirichlet prior: the predictive after counts."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Shaped

from autoregressive.broadcast import AnyArray, align


def log_succession(
    alpha: Shaped[AnyArray, "*#batch symbols"] | Sequence[float] | float,
    counts: Shaped[AnyArray, "*#batch symbols"] | Sequence[float],
) -> Float[Array, "*batch symbols"]:
    """log of (alpha_k + n_k) / sum(alpha + n), the mean of Dirichlet(alpha + n), in nats.

    alpha, counts: (..., K), which may be broadcast; alpha may be one number. Returns (..., K).
    """
    alpha, counts = jnp.asarray(alpha), jnp.asarray(counts)
    weights = align(alpha, counts) + align(counts, alpha)
    return jnp.log(weights) - jnp.log(weights.sum(-1, keepdims=True))
