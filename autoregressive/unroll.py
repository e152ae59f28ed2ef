"""A gated cell over a whole sequence, with the backward pass written by hand.

The forward scan keeps the gate activations and the states. The backward scan carries the cotangent
of the state only and stacks the cotangents of the pre-activations; the weights' gradients are then
one matrix product each over all places, instead of one small update a step.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from autoregressive.cells import Cell, Params, RecurrentCell, State

# Up to this many inputs (one-hot symbols, a pixel) the input product is done element by element, so
# that it fuses with the gates; beyond, it is one matrix product over all places before the loop.
_NARROW = 8


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
