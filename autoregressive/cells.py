"""Cells by name (``CELLS``); the recurrent ones, LSTM and GRU.

A cell is a small frozen value that holds its sizes; its parameters live in a plain dict, so that a
training loop can be written by hand:

    cell = LSTM(inputs=4, hidden=32)
    params = cell.init(key)
    state = cell.initial_state((batch,))
    state, h = cell.step(params, state, x)      # x: (batch, 4), h: (batch, 32)

Weights have the shapes and the gate order of cuDNN and PyTorch: ``w_ih`` is (gates * hidden, inputs)
and ``w_hh`` is (gates * hidden, hidden), with gates i, f, g, o for the LSTM (Hochreiter and
Schmidhuber 1997, with the forget gate of Gers et al. 2000) and r, z, n for the GRU (Cho et al. 2014,
with the reset gate applied after the recurrent matrix product, as in cuDNN).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from autoregressive.gates import sigmoid, tanh
from autoregressive.transformer import Transformer
from autoregressive.unroll import Params, RecurrentCell, State


def _log_timescales(key: Array, hidden: int, timescale: float) -> Array:
    """log of uniform draws from 1 to timescale - 1 (Tallec and Ollivier 2018, 'chrono')."""
    return jnp.log(jax.random.uniform(key, (hidden,), jnp.float32, 1.0, max(timescale - 1, 1.001)))


@dataclass(frozen=True)
class LSTM(RecurrentCell):
    """Long short-term memory, state (h, c), gates in the order i, f, g, o:

    c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c').

    One bias vector: the sum of the two that cuDNN and PyTorch keep. The forget gate's starts at 1
    (Jozefowicz et al. 2015), or at the log of random time scales, the input gate's at its negative.
    """

    @property
    def gates(self) -> int:
        return 4

    def init(self, key: Array, timescale: float | None = None) -> Params:
        key_weights, key_bias = jax.random.split(key)
        params = self._weights(key_weights)
        n = self.hidden
        if timescale is None:
            params["b"] = params["b"].at[n : 2 * n].set(1.0)
        else:
            forget = _log_timescales(key_bias, n, timescale)
            params["b"] = params["b"].at[n : 2 * n].set(forget).at[:n].set(-forget)
        return params

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        zeros = jnp.zeros((*batch, self.hidden), jnp.float32)
        return zeros, zeros

    def combine(self, state: State, from_input: Array, from_hidden: Array) -> tuple[State, Array]:
        _, c = state
        i, f, g, o = jnp.split(from_input + from_hidden, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        c = f * c + i * g
        return (o * tanh(c), c), jnp.concatenate([i, f, g, o], axis=-1)

    def combine_backward(
        self, before: State, after: State, kept: Array, d_after: State
    ) -> tuple[State, Array]:
        i, f, g, o = jnp.split(kept, 4, axis=-1)
        d_h, d_c = d_after
        tanh_c = tanh(after[1])
        d_c = d_c + d_h * o * (1 - tanh_c * tanh_c)
        packed = jnp.concatenate(
            [
                d_c * g * i * (1 - i),
                d_c * before[1] * f * (1 - f),
                d_c * i * (1 - g * g),
                d_h * tanh_c * o * (1 - o),
            ],
            axis=-1,
        )
        return (jnp.zeros_like(d_h), d_c * f), packed


@dataclass(frozen=True)
class GRU(RecurrentCell):
    """Gated recurrent unit, state (h,), gates in the order r, z, n:

    n' = tanh(n_x + sigmoid(r) (n_h + b_hn)),  h' = (1 - sigmoid(z)) n' + sigmoid(z) h.

    ``b`` is the sum of the two biases that cuDNN and PyTorch keep, except in the n block, where
    the recurrent one sits inside the product with the reset gate and is kept apart as ``b_hn``.
    """

    @property
    def gates(self) -> int:
        return 3

    def init(self, key: Array, timescale: float | None = None) -> Params:
        key_weights, key_bias = jax.random.split(key)
        params = self._weights(key_weights)
        n = self.hidden
        keep = 1.0 if timescale is None else _log_timescales(key_bias, n, timescale)
        params["b"] = params["b"].at[n : 2 * n].set(keep)
        params["b_hn"] = jnp.zeros((n,), jnp.float32)
        return params

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        return (jnp.zeros((*batch, self.hidden), jnp.float32),)

    def hidden_bias(self, params: Params) -> Array:
        return jnp.concatenate([jnp.zeros((2 * self.hidden,), jnp.float32), params["b_hn"]])

    def combine(self, state: State, from_input: Array, from_hidden: Array) -> tuple[State, Array]:
        (h,) = state
        r_x, z_x, n_x = jnp.split(from_input, 3, axis=-1)
        r_h, z_h, n_h = jnp.split(from_hidden, 3, axis=-1)
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        n = tanh(n_x + r * n_h)
        return ((1 - z) * n + z * h,), jnp.concatenate([r, z, n, n_h], axis=-1)

    def combine_backward(
        self, before: State, after: State, kept: Array, d_after: State
    ) -> tuple[State, Array]:
        r, z, n, n_h = jnp.split(kept, 4, axis=-1)
        (d_h,) = d_after
        d_n = d_h * (1 - z) * (1 - n * n)
        packed = jnp.concatenate(
            [
                d_n * n_h * r * (1 - r),
                d_h * (before[0] - n) * z * (1 - z),
                d_n,
                d_n * r,
            ],
            axis=-1,
        )
        return (d_h * z,), packed

    def input_part(self, packed: Array) -> Array:
        return packed[..., : 3 * self.hidden]

    def hidden_part(self, packed: Array) -> Array:
        n = self.hidden
        return jnp.concatenate([packed[..., : 2 * n], packed[..., 3 * n :]], axis=-1)


RECURRENT: dict[str, Any] = {"lstm": LSTM, "gru": GRU}
CELLS: dict[str, Any] = {**RECURRENT, "transformer": Transformer}
