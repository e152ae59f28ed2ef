"""Recurrent layers over whole sequences, with the backward pass written by hand.

A cell is ``init``, ``initial_state`` and ``step``; ``unroll`` runs it over all places at once. For
gated cells the forward scan keeps the gate activations and the states. The backward scan carries the
cotangent of the state only and stacks the cotangents of the pre-activations; the weights' gradients
are then one matrix product each over all places, instead of one small update a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

Params = dict[str, Array]
State = tuple[Array, ...]

# Up to this many inputs (one-hot symbols, a pixel) the input product is done element by element, so
# that it fuses with the gates; beyond, it is one matrix product over all places before the loop.
_NARROW = 8


@dataclass(frozen=True)
class Cell(ABC):
    """A causal sequence layer: what comes out at place t depends on the inputs up to t only.

    ``inputs`` and ``hidden`` are the sizes of the input and of the output at each place.
    """

    inputs: int
    hidden: int

    @abstractmethod
    def init(self, key: Array, timescale: float | None = None) -> Params:
        """Random parameters. ``timescale`` is the longest memory, in steps, that the initial gates
        should span; None leaves the cell's plain initialisation."""

    @abstractmethod
    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        """The state before the first input, zeros, with leading axes ``batch``."""

    @abstractmethod
    def step(self, params: Params, state: State, x: Array) -> tuple[State, Array]:
        """One place. x: (..., inputs). Returns the new state and the output (..., hidden)."""

    def unroll(self, params: Params, state: State, xs: Array) -> tuple[State, Array]:
        """All places at once, equal to the loop over ``step`` up to rounding: that loop, compiled,
        unless a cell knows a faster way.

        xs: (T, B, inputs), time first. Returns the last state and the outputs (T, B, hidden).
        """
        return scan_unroll(self, params, state, xs)


@dataclass(frozen=True)
class RecurrentCell(Cell):
    """A gated cell: two matrix products, one with the input and one with the hidden state, then
    element-wise gates. The split is what lets one hand-written backward pass serve every such cell.

    ``state[0]`` is the hidden state, which is also the output.
    """

    @property
    @abstractmethod
    def gates(self) -> int:
        """The number of gates, each ``hidden`` wide."""

    @abstractmethod
    def combine(self, state: State, from_input: Array, from_hidden: Array) -> tuple[State, Array]:
        """The element-wise part. Both inputs are pre-activations (..., gates * hidden).

        Returns the new state and the activations that ``combine_backward`` wants kept.
        """

    @abstractmethod
    def combine_backward(
        self, before: State, after: State, kept: Array, d_after: State
    ) -> tuple[State, Array]:
        """Cotangents of ``combine``: of the state before it, and of its pre-activations, packed."""

    def input_part(self, packed: Array) -> Array:
        """The cotangent of ``from_input`` (..., gates * hidden) out of the packed one."""
        return packed

    def hidden_part(self, packed: Array) -> Array:
        """The cotangent of ``from_hidden`` (..., gates * hidden) out of the packed one."""
        return packed

    def hidden_bias(self, params: Params) -> Array | None:
        """A bias (gates * hidden,) added to the product with the hidden state, if there is one."""
        return None

    def step(self, params: Params, state: State, x: Array) -> tuple[State, Array]:
        from_input = x @ params["w_ih"].T + params["b"]
        from_hidden = state[0] @ params["w_hh"].T
        bias = self.hidden_bias(params)
        if bias is not None:
            from_hidden = from_hidden + bias
        state, _ = self.combine(state, from_input, from_hidden)
        return state, state[0]

    def unroll(self, params: Params, state: State, xs: Array) -> tuple[State, Array]:
        return recurrent_unroll(self, params, state, xs)

    def _weights(self, key: Array) -> Params:
        """Glorot-uniform over the joint matrix of input and hidden state, zero biases."""
        key_ih, key_hh = jax.random.split(key)
        width = self.gates * self.hidden
        bound = (6.0 / (self.inputs + self.hidden + width)) ** 0.5
        return {
            "w_ih": jax.random.uniform(key_ih, (width, self.inputs), jnp.float32, -bound, bound),
            "w_hh": jax.random.uniform(key_hh, (width, self.hidden), jnp.float32, -bound, bound),
            "b": jnp.zeros((width,), jnp.float32),
        }


def scan_unroll(cell: Cell, params: Params, state: State, xs: Array) -> tuple[State, Array]:
    """The plain ``lax.scan`` over ``cell.step``: the reference for every faster form.

    xs: (T, B, inputs). Returns the last state and the outputs (T, B, hidden).
    """
    return lax.scan(lambda s, x: cell.step(params, s, x), state, xs)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def recurrent_unroll(
    cell: RecurrentCell, params: Params, state: State, xs: Array
) -> tuple[State, Array]:
    """``scan_unroll`` for a gated cell, same values up to rounding, cheaper to differentiate."""
    last, (outputs, *_), _ = _forward(cell, params, state, xs, keep=False)
    return last, outputs


def _forward(
    cell: RecurrentCell, params: Params, state: State, xs: Array, keep: bool
) -> tuple[State, State, Array | None]:
    narrow = cell.inputs <= _NARROW
    w_in = params["w_ih"].T
    w_rec = params["w_hh"].T
    bias = params["b"]
    hidden_bias = cell.hidden_bias(params)

    def step(state: State, x: Array):
        if narrow:
            from_input = bias
            for i in range(cell.inputs):
                from_input = from_input + x[..., i : i + 1] * w_in[i]
        else:
            from_input = x
        from_hidden = state[0] @ w_rec
        if hidden_bias is not None:
            from_hidden = from_hidden + hidden_bias
        state, kept = cell.combine(state, from_input, from_hidden)
        return state, (state, kept) if keep else ((state[0],), None)

    last, (states, kept) = lax.scan(step, state, xs if narrow else xs @ w_in + bias)
    return last, states, kept


def _vjp_forward(cell: RecurrentCell, params: Params, state: State, xs: Array):
    last, states, kept = _forward(cell, params, state, xs, keep=True)
    return (last, states[0]), (params, state, xs, states, kept)


def _vjp_backward(cell: RecurrentCell, residuals, cotangents):
    params, first, xs, states, kept = residuals
    d_last, d_outputs = cotangents
    w_hh = params["w_hh"]

    def step(d_state: State, place):
        t, d_output, after, activations = place
        before = tuple(
            jnp.where(t > 0, lax.dynamic_index_in_dim(s, jnp.maximum(t - 1, 0), 0, False), s0)
            for s, s0 in zip(states, first, strict=True)
        )
        d_state = (d_state[0] + d_output, *d_state[1:])
        d_before, packed = cell.combine_backward(before, after, activations, d_state)
        d_h = d_before[0] + cell.hidden_part(packed) @ w_hh
        return (d_h, *d_before[1:]), packed

    places = (jnp.arange(xs.shape[0]), d_outputs, states, kept)
    d_first, packed = lax.scan(step, d_last, places, reverse=True)
    d_input, d_hidden = cell.input_part(packed), cell.hidden_part(packed)

    # Over all places at once: sum over t and b of d[t, b, gate] * value[t, b, unit].
    outer = partial(jnp.tensordot, axes=((0, 1), (0, 1)))
    hs, (h0, *_) = states[0], first
    d_params = {
        "w_ih": outer(d_input, xs),
        "w_hh": outer(d_hidden[1:], hs[:-1]) + d_hidden[0].T @ h0,
        "b": d_input.sum((0, 1)),
    }
    if cell.hidden_bias(params) is not None:
        d_bias = d_hidden.sum((0, 1))
        d_params |= jax.vjp(cell.hidden_bias, params)[1](d_bias)[0] | d_params
    return d_params, d_first, d_input @ params["w_ih"]


recurrent_unroll.defvjp(_vjp_forward, _vjp_backward)
