"""The gates' nonlinearities against NumPy's in long double."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autoregressive.cells.gates import sigmoid, tanh
from autoregressive.precision import float64

POINTS = np.concatenate(
    [np.linspace(-45, 45, 200_001), [0.0, -0.0, 1e-300, -1e-9, 700.0, -700.0, np.inf, -np.inf]]
)


def exact(name):
    x = POINTS.astype(np.longdouble)
    with np.errstate(over="ignore"):
        return np.tanh(x) if name == "tanh" else 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("gate", "name"), [(sigmoid, "sigmoid"), (tanh, "tanh")])
def test_values_and_derivatives(gate, name):
    value = exact(name)
    slope = 1 - value**2 if name == "tanh" else value * (1 - value)
    with float64():
        found = jax.jit(gate)(jnp.asarray(POINTS))
        found_slope = jax.vmap(jax.grad(gate))(jnp.asarray(POINTS))
        assert found.dtype == jnp.float64
        found, found_slope = np.asarray(found), np.asarray(found_slope)
    assert np.abs(found - value).max() < 3e-15
    assert np.abs(found_slope - slope).max() < 6e-15
    single = np.asarray(jax.jit(gate)(jnp.asarray(POINTS, jnp.float32)))
    assert single.dtype == np.float32
    assert np.abs(single - value).max() < 1e-6


@pytest.mark.parametrize("gate", [sigmoid, tanh])
def test_not_a_number_stays_one(gate):
    with float64():
        assert np.isnan(np.asarray(gate(jnp.asarray([np.nan])))).all()
