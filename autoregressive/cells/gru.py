"""Gated recurrent unit.

Weights have the shapes and the gate order of cuDNN and PyTorch: ``w_ih`` is (3 * hidden, inputs) and
``w_hh`` is (3 * hidden, hidden), with gates r, z, n (Cho et al. 2014, with the reset gate applied after
the recurrent matrix product, as in cuDNN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray, PyTree

from autoregressive.cells.base import Gates, Params, RecurrentCell, State, log_timescales
from autoregressive.cells.gates import sigmoid, tanh


@dataclass(frozen=True)
class GRU(RecurrentCell):
    """Gated recurrent unit, state (h,), gates in the order r, z, n:

    n' = tanh(n_x + sigmoid(r) (n_h + b_hn)),  h' = (1 - sigmoid(z)) n' + sigmoid(z) h.

    ``b`` is the sum of the two biases that cuDNN and PyTorch keep, except in the n block, where
    the recurrent one sits inside the product with the reset gate and is kept apart as ``b_hn``.
    """

    gates = 3
    blocks = 4
    input_blocks = (0, 1, 3)
    hidden_blocks = (0, 1, 2)
    gate_by_gate = True

    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        key_weights, key_bias = jax.random.split(key)
        params = self._weights(key_weights)
        n = self.hidden
        keep = 1.0 if timescale is None else log_timescales(key_bias, n, timescale)
        params["b"] = params["b"].at[n : 2 * n].set(keep)
        params["b_hn"] = jnp.zeros((n,), jnp.float32)
        return params

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        return (jnp.zeros((*batch, self.hidden), jnp.float32),)

    def hidden_bias(self, params: Params) -> Float[Array, " rows"]:
        return jnp.concatenate([jnp.zeros((2 * self.hidden,), jnp.float32), params["b_hn"]])

    def activations(
        self, from_input: Float[Array, "*#batch rows"], from_hidden: Float[Array, "*#batch rows"]
    ) -> Gates:
        n = 2 * self.hidden
        both = sigmoid(from_input[..., :n] + from_hidden[..., :n])
        n_h = from_hidden[..., n:]
        return both, tanh(from_input[..., n:] + both[..., : self.hidden] * n_h), n_h

    def advance(self, state: State, activations: Gates) -> State:
        both, n, _ = activations
        z = both[..., self.hidden :]
        return ((1 - z) * n + z * state[0],)

    def factors(self, before: State, after: State, activations: Gates) -> PyTree[Array]:
        both, n, n_h = activations
        r, z = jnp.split(both, 2, axis=-1)
        new = (1 - z) * (1 - n * n)
        return (new * n_h * r * (1 - r), (before[0] - n) * z * (1 - z), new * r, new), z

    def pull_back(self, factors: PyTree[Array], d_after: State) -> tuple[State, Gates]:
        (r, z, n_h, n_x), keep = factors
        (d_h,) = d_after
        return (keep * d_h,), (r * d_h, z * d_h, n_h * d_h, n_x * d_h)

    def next_state(
        self,
        state: State,
        from_input: Sequence[Float[Array, "..."]],
        from_hidden: Sequence[Float[Array, "..."]],
    ) -> State:
        (r_x, z_x, n_x), (r_h, z_h, n_h) = from_input, from_hidden
        z = sigmoid(z_x + z_h)
        return ((1 - z) * tanh(n_x + sigmoid(r_x + r_h) * n_h) + z * state[0],)
