"""What cells of several layers share: random weights, the norm, and a layer's own parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from autoregressive.broadcast import align
from autoregressive.cells.base import Params


def normal_weights(key: PRNGKeyArray, rows: int, columns: int) -> Float[Array, "{rows} {columns}"]:
    """Normal, of variance 1 / columns."""
    return jax.random.normal(key, (rows, columns), jnp.float32) * columns**-0.5


def uniform_weights(key: PRNGKeyArray, rows: int, columns: int) -> Float[Array, "{rows} {columns}"]:
    """Uniform between -1 / sqrt(columns) and its negative."""
    bound = columns**-0.5
    return jax.random.uniform(key, (rows, columns), jnp.float32, -bound, bound)


def rms_norm(
    h: Float[Array, "*batch n"], scale: Float[Array, " n"], least: float = 1e-6
) -> Float[Array, "*batch n"]:
    """Root mean square norm (Zhang and Sennrich 2019). least: added to the mean square."""
    return h * jax.lax.rsqrt((h * h).mean(-1, keepdims=True) + least) * align(scale, h)


def layer_params(params: Params, layer: int) -> Params:
    """The parameters named ``{layer}.*``, without that."""
    prefix = f"{layer}."
    return {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}


def name_params(layer: int, own: Params) -> Params:
    """A layer's parameters named ``{layer}.*``: the inverse of ``layer_params``."""
    return {f"{layer}.{name}": value for name, value in own.items()}
