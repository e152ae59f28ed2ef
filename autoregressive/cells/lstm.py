"""Long short-term memory.

Weights have the shapes and the gate order of cuDNN and PyTorch: ``w_ih`` is (4 * hidden, inputs) and
``w_hh`` is (4 * hidden, hidden), with gates i, f, g, o (Hochreiter and Schmidhuber 1997, with the
forget gate of Gers et al. 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, PRNGKeyArray, PyTree

from autoregressive.broadcast import align
from autoregressive.cells.base import Gates, Params, RecurrentCell, State, log_timescales
from autoregressive.cells.gates import sigmoid, tanh


@dataclass(frozen=True)
class LSTM(RecurrentCell):
    """Long short-term memory, state (h, c), gates in the order i, f, g, o:

    c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c').

    One bias vector: the sum of the two that cuDNN and PyTorch keep. The forget gate's starts at 1
    (Jozefowicz et al. 2015), or at the log of random time scales, the input gate's at its negative.
    """

    gates = blocks = 4
    input_blocks = hidden_blocks = (0, 1, 2, 3)

    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        key_weights, key_bias = jax.random.split(key)
        params = self._weights(key_weights)
        n = self.hidden
        if timescale is None:
            params["b"] = params["b"].at[n : 2 * n].set(1.0)
        else:
            forget = log_timescales(key_bias, n, timescale)
            params["b"] = params["b"].at[n : 2 * n].set(forget).at[:n].set(-forget)
        return params

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        zeros = jnp.zeros((*batch, self.hidden), jnp.float32)
        return zeros, zeros

    def activations(
        self, from_input: Float[Array, "*#batch rows"], from_hidden: Float[Array, "*#batch rows"]
    ) -> Gates:
        # sigmoid(a) = (tanh(a / 2) + 1) / 2: one pass over all four gates.
        a = from_input + from_hidden
        half = align(jnp.asarray(np.repeat([0.5, 0.5, 1.0, 0.5], self.hidden), a.dtype), a)
        shift = align(jnp.asarray(np.repeat([0.5, 0.5, 0.0, 0.5], self.hidden), a.dtype), a)
        return (tanh(a * half) * half + shift,)

    def advance(self, state: State, activations: Gates) -> State:
        i, f, g, o = jnp.split(activations[0], 4, axis=-1)
        c = f * state[1] + i * g
        return o * tanh(c), c

    def factors(self, before: State, after: State, activations: Gates) -> PyTree[Array]:
        i, f, g, o = jnp.split(activations[0], 4, axis=-1)
        tanh_c = tanh(after[1])
        packed = (
            g * i * (1 - i),
            before[1] * f * (1 - f),
            i * (1 - g * g),
            tanh_c * o * (1 - o),
        )
        return packed, o * (1 - tanh_c * tanh_c), f

    def pull_back(self, factors: PyTree[Array], d_after: State) -> tuple[State, Gates]:
        (i, f, g, o), from_h, keep = factors
        d_h, d_c = d_after
        d_c = d_c + d_h * from_h
        return (jnp.zeros_like(d_h), keep * d_c), (i * d_c, f * d_c, g * d_c, o * d_h)

    def next_state(
        self,
        state: State,
        from_input: Sequence[Float[Array, "..."]],
        from_hidden: Sequence[Float[Array, "..."]],
    ) -> State:
        i, f, g, o = (x + h for x, h in zip(from_input, from_hidden, strict=True))
        c = sigmoid(f) * state[1] + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c
