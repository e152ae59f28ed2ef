"""The step of the cell, linearised: what one symbol does to a small difference of states.

The Jacobian of (h, c) -> (h', c'), or of whatever state the cell has, at one state and one input, in
float64. Along the direction of an eigenvalue lambda a difference shrinks by ``|lambda|`` a step: it is
forgotten over ``-1 / log|lambda|`` symbols. The state moves with every symbol, so this is the memory at
one state, not of a whole task. Where eigenvectors are far from orthogonal one step can stretch a
difference by more than the spectral radius, at most by the largest singular value, ``gain``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Complex, Float, Float64

from autoregressive.cells.base import Params, State
from autoregressive.cells.transformer import Transformer
from autoregressive.model import Model
from autoregressive.precision import float64, to_float64
from meta_learning.learner import Learner

# The eigenvalues of a state of so many numbers take a minute.
MOST_NUMBERS = 2_000


@dataclass(frozen=True)
class StepJacobian:
    """symbol: the input, K being RESET. eigenvalues: complex (D,), largest modulus first. gain: the
    largest singular value."""

    symbol: int
    eigenvalues: Complex[np.ndarray, " D"]
    gain: float

    @property
    def spectral_radius(self) -> float:
        """The largest absolute value of an eigenvalue."""
        return float(np.abs(self.eigenvalues[0]))

    @property
    def timescales(self) -> Float64[np.ndarray, " D"]:
        """``-1 / log|lambda|`` in symbols, (D,); 0 where lambda is 0, infinite where it is 1 or more."""
        size = np.abs(self.eigenvalues)
        with np.errstate(divide="ignore"):
            return np.where(size < 1, -1 / np.log(np.minimum(size, 1.0)), np.inf)


def step_jacobians(learner: Learner) -> list[StepJacobian]:
    """The Jacobian at the state after RESET for every input 0..K; none where the state has more than
    MOST_NUMBERS numbers, and none of a transformer: its state is the past itself, which a step moves
    on by one place whatever the network has learnt."""
    past = isinstance(getattr(learner.model, "cell", None), Transformer)
    if past or sum(p.size for p in jax.tree.leaves(learner.model.initial_state())) > MOST_NUMBERS:
        return []
    inputs = np.eye(learner.num_symbols + 1)
    state = state_after_reset(learner)
    jacobians = []
    for symbol, x in enumerate(inputs):
        jacobian = step_jacobian(learner, state, x)
        eigenvalues = np.linalg.eigvals(jacobian).astype(complex)
        # Conjugate pairs have one modulus up to rounding: the upper one comes first.
        order = np.lexsort((-eigenvalues.imag, -np.abs(eigenvalues).round(12)))
        gain = float(np.linalg.norm(jacobian, 2))
        jacobians.append(StepJacobian(symbol, eigenvalues[order], gain))
    return jacobians


def state_after_reset(learner: Learner) -> State:
    """The state after the initial one has read RESET, in float64."""
    with float64():
        params = to_float64(learner.params)
        x = jnp.eye(learner.num_symbols + 1, dtype=jnp.float64)[-1]
        state, _ = learner.model.step(params, to_float64(learner.model.initial_state()), x)
        return cast(State, jax.tree.map(np.asarray, state))


def step_jacobian(
    learner: Learner, state: State, x: Float64[np.ndarray, " inputs"]
) -> Float64[np.ndarray, "D D"]:
    """d(state after) / d(state before) at one input x (K+1,): float64 (D, D), the parts of the state
    one after another."""
    with float64():
        before, params, x = to_float64((state, learner.params, x))
        return np.asarray(_jacobian(learner.model, params, before, x))


@partial(jax.jit, static_argnums=0)
def _jacobian(
    model: Model, params: Params, state: State, x: Float[jax.Array, " inputs"]
) -> Float[jax.Array, "D D"]:
    flat, unravel = ravel_pytree(state)

    def step(before: Float[jax.Array, " D"]) -> Float[jax.Array, " D"]:
        return ravel_pytree(model.step(params, unravel(before), x)[0])[0]

    return jax.jacobian(step)(flat)
