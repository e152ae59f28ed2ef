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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autoregressive.cells.gates import sigmoid, tanh
from autoregressive.cells.transformer import Transformer
from autoregressive.unroll.scan import Params, RecurrentCell, State


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

    gates = blocks = 4
    input_blocks = hidden_blocks = (0, 1, 2, 3)

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

    def activations(self, from_input: Array, from_hidden: Array) -> tuple[Array, ...]:
        # sigmoid(a) = (tanh(a / 2) + 1) / 2: one pass over all four gates.
        half = np.repeat([0.5, 0.5, 1.0, 0.5], self.hidden).astype(from_input.dtype)
        shift = np.repeat([0.5, 0.5, 0.0, 0.5], self.hidden).astype(from_input.dtype)
        return (tanh((from_input + from_hidden) * half) * half + shift,)

    def advance(self, state: State, activations: tuple[Array, ...]) -> State:
        i, f, g, o = jnp.split(activations[0], 4, axis=-1)
        c = f * state[1] + i * g
        return o * tanh(c), c

    def factors(self, before: State, after: State, activations: tuple[Array, ...]) -> Any:
        i, f, g, o = jnp.split(activations[0], 4, axis=-1)
        tanh_c = tanh(after[1])
        packed = (
            g * i * (1 - i),
            before[1] * f * (1 - f),
            i * (1 - g * g),
            tanh_c * o * (1 - o),
        )
        return packed, o * (1 - tanh_c * tanh_c), f

    def pull_back(self, factors: Any, d_after: State) -> tuple[State, tuple[Array, ...]]:
        (i, f, g, o), from_h, keep = factors
        d_h, d_c = d_after
        d_c = d_c + d_h * from_h
        return (jnp.zeros_like(d_h), keep * d_c), (i * d_c, f * d_c, g * d_c, o * d_h)

    def next_state(
        self, state: State, from_input: Sequence[Array], from_hidden: Sequence[Array]
    ) -> State:
        i, f, g, o = (x + h for x, h in zip(from_input, from_hidden, strict=True))
        c = sigmoid(f) * state[1] + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c


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

    def activations(self, from_input: Array, from_hidden: Array) -> tuple[Array, ...]:
        n = 2 * self.hidden
        both = sigmoid(from_input[..., :n] + from_hidden[..., :n])
        n_h = from_hidden[..., n:]
        return both, tanh(from_input[..., n:] + both[..., : self.hidden] * n_h), n_h

    def advance(self, state: State, activations: tuple[Array, ...]) -> State:
        both, n, _ = activations
        z = both[..., self.hidden :]
        return ((1 - z) * n + z * state[0],)

    def factors(self, before: State, after: State, activations: tuple[Array, ...]) -> Any:
        both, n, n_h = activations
        r, z = jnp.split(both, 2, axis=-1)
        new = (1 - z) * (1 - n * n)
        return (new * n_h * r * (1 - r), (before[0] - n) * z * (1 - z), new * r, new), z

    def pull_back(self, factors: Any, d_after: State) -> tuple[State, tuple[Array, ...]]:
        (r, z, n_h, n_x), keep = factors
        (d_h,) = d_after
        return (keep * d_h,), (r * d_h, z * d_h, n_h * d_h, n_x * d_h)

    def next_state(
        self, state: State, from_input: Sequence[Array], from_hidden: Sequence[Array]
    ) -> State:
        (r_x, z_x, n_x), (r_h, z_h, n_h) = from_input, from_hidden
        z = sigmoid(z_x + z_h)
        return ((1 - z) * tanh(n_x + sigmoid(r_x + r_h) * n_h) + z * state[0],)


RECURRENT: dict[str, Any] = {"lstm": LSTM, "gru": GRU}
CELLS: dict[str, Any] = {**RECURRENT, "transformer": Transformer}
