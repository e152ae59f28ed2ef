"""The gates' nonlinearities: ``sigmoid`` and ``tanh``.

In float32 they are the library's tanh. In float64 exact enumeration spends most of its time in them;
there they come from an exponential of our own: a sixth off the time of the whole enumeration, and an
absolute error below 3e-15.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

# Beyond 2^60 a gate is 0 or 1 in float64.
_MOST = 60.0


def _coefficients(degree: int) -> list[float]:
    """Of the polynomial through 2^f at Chebyshev nodes of [-1/2, 1/2], the lowest first."""
    chebyshev = np.polynomial.Chebyshev.interpolate(np.exp2, degree, domain=[-0.5, 0.5])
    return [float(c) for c in chebyshev.convert(kind=np.polynomial.Polynomial).coef]


_POLYNOMIAL = _coefficients(10)


@jax.custom_jvp
def sigmoid(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1 / (1 + exp(-a)), without overflow."""
    if a.dtype == jnp.float64:
        return 1 / (1 + _exp2(a * -math.log2(math.e)))
    return 0.5 * jnp.tanh(0.5 * a) + 0.5


@jax.custom_jvp
def tanh(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The hyperbolic tangent, without overflow."""
    if a.dtype == jnp.float64:
        return 1 - 2 / (1 + _exp2(a * (2 * math.log2(math.e))))
    return jnp.tanh(a)


# Derivatives by hand: none passes through the bits of _exp2.
sigmoid.defjvps(lambda d, value, a: d * value * (1 - value))
tanh.defjvps(lambda d, value, a: d * (1 - value * value))


def _exp2(y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """2^y in float64 to 3e-15 relative, y taken to [-60, 60]: 2^f by a polynomial for the part
    f = y - round(y), and the whole part added to the exponent's bits."""
    y = jnp.clip(y, -_MOST, _MOST)
    whole = lax.round(y, lax.RoundingMethod.TO_NEAREST_EVEN)
    power = jnp.full_like(y, _POLYNOMIAL[-1])
    for coefficient in _POLYNOMIAL[-2::-1]:
        power = power * (y - whole) + coefficient
    exponent = lax.shift_left(whole.astype(jnp.int64), jnp.int64(52))
    bits = lax.bitcast_convert_type(power, jnp.int64) + exponent
    return lax.bitcast_convert_type(bits, jnp.float64)
