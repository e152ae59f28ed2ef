"""Explicit broadcasting: no array gets new axes in silence, as by JAX's rank promotion."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Shaped

# For functions that use of an array only what JAX's and NumPy's both have.
AnyArray = Array | np.ndarray


def align(
    value: Shaped[Array, "*own"], like: Shaped[AnyArray, "*shape"]
) -> Shaped[Array, "*aligned"]:
    """``value`` with as many axes as ``like`` at least: axes of length 1 are put in front."""
    more = like.ndim - value.ndim
    return value.reshape((1,) * more + value.shape) if more > 0 else value


def affine(
    weights: Float[Array, "rows columns"],
    bias: Float[Array, " rows"],
    x: Float[AnyArray, "*batch columns"],
) -> Float[Array, "*batch rows"]:
    """weights x + bias over the last axis of x."""
    product = jnp.asarray(x) @ weights.T
    return product + align(bias, product)
