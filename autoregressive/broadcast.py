"""Broadcasting that is written down: no array gets new axes in silence (JAX's rank promotion)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Shaped

# NumPy's arrays do as well where nothing is asked of them that only JAX's have.
AnyArray = Array | np.ndarray


def align(
    value: Shaped[Array, "*own"], like: Shaped[AnyArray, "*shape"]
) -> Shaped[Array, "*aligned"]:
    """``value`` with axes of length 1 in front, as many as ``like`` has more, if it has."""
    more = like.ndim - value.ndim
    return value.reshape((1,) * more + value.shape) if more > 0 else value


def affine(
    weights: Float[Array, "rows columns"],
    bias: Float[Array, " rows"],
    x: Float[AnyArray, "*batch columns"],
) -> Float[Array, "*batch rows"]:
    """weights x + bias, over the last axis."""
    product = jnp.asarray(x) @ weights.T
    return product + align(bias, product)
