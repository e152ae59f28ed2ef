"""Cells over whole sequences; for gated cells with a backward pass written by hand.

The forward scan of a gated cell keeps the states and nothing else. The backward pass takes a span of
places at a time. From the states it computes the gates of the whole span again, and from the gates the
factors by which the cotangent of the state is multiplied at each place. Only these multiplications and
one product with the recurrent weights are left to the loop over places; the gradient of the weights is
one matrix product a span. A span is short enough for its gates to stay in a processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, PyTree, Shaped

from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Cell, ParallelCell, Params, RecurrentCell, State


def scan_unroll(
    cell: Cell, params: Params, state: State, xs: Float[AnyArray, "T B {cell.inputs}"]
) -> tuple[State, Float[Array, "T B {cell.hidden}"]]:
    """The plain ``lax.scan`` over ``cell.step``: the reference for every faster form.

    Returns the last state and the outputs.
    """
    return lax.scan(lambda s, x: cell.step(params, s, x), state, jnp.asarray(xs))


def portable_unroll(
    cell: Cell, params: Params, state: State, xs: Float[AnyArray, "T B {cell.inputs}"]
) -> tuple[State, Float[Array, "T B {cell.hidden}"]]:
    """As ``scan_unroll``, by the fastest way that runs on every device: ``recurrent_unroll``, the cell's
    own, or that loop."""
    if isinstance(cell, RecurrentCell):
        length, batch, _ = xs.shape
        numbers = length * batch * cell.gates * cell.hidden
        if length < _HALVED_PLACES or not _HALVED <= numbers <= SCANS.span_numbers:
            return recurrent_unroll(cell, params, state, xs)
        state, before = recurrent_unroll(cell, params, state, xs[: length // 2])
        state, after = recurrent_unroll(cell, params, state, xs[length // 2 :])
        return state, jnp.concatenate([before, after])
    if isinstance(cell, ParallelCell):
        return cell.unroll(params, state, xs)
    return scan_unroll(cell, params, state, xs)


def scan_forward(
    cell: RecurrentCell,
    params: Params,
    state: State,
    xs: Float[AnyArray, "T B {cell.inputs}"],
    keep: int | None,
    *,
    unroll: int = 1,
) -> tuple[State, tuple[Float[Array, "T B {cell.hidden}"], ...]]:
    """The last state, and the parts of the state after each place: the first ``keep``, or all for None.

    unroll: places in one turn of the loop.
    """

    # Turned once: XLA would turn the weights at every place, which takes as long as a small product.
    turned = lax.optimization_barrier(params["w_hh"].T)

    def from_hidden(h: Float[Array, "B hidden"]) -> Float[Array, "B rows"]:
        return cell.from_hidden({**params, "w_hh": turned.T}, h)

    def then(state: State, from_input: Float[Array, "B rows"]) -> tuple[State, State]:
        gates = cell.activations(from_input, from_hidden(state[0]))
        state = cell.advance(state, gates)
        return state, state[:keep]

    def multiplied(state: State, x: Float[Array, "B 1"]) -> tuple[State, State]:
        return then(state, cell.from_input(params, x))

    def gate_by_gate(
        state: State, from_input: list[Float[Array, "B hidden"]]
    ) -> tuple[State, State]:
        apart = jnp.split(from_hidden(state[0]), cell.gates, axis=-1)
        state = cell.next_state(state, from_input, apart)
        return state, state[:keep]

    # A single input is multiplied inside the loop; others by one matrix product before it.
    if cell.inputs == 1:
        return lax.scan(multiplied, state, jnp.asarray(xs), unroll=unroll)
    inputs = cell.from_input(params, xs)
    if cell.gate_by_gate:
        return lax.scan(gate_by_gate, state, jnp.split(inputs, cell.gates, axis=-1), unroll=unroll)
    return lax.scan(then, state, inputs, unroll=unroll)


def scan_backward(
    cell: RecurrentCell,
    w_hh: Float[Array, "{cell.blocks*cell.hidden} {cell.hidden}"],
    d_state: State,
    d_outputs: Float[Array, "T B {cell.hidden}"],
    factors: PyTree[Float[Array, "T B {cell.hidden}"]],
    *,
    unroll: int = 1,
) -> tuple[State, Float[Array, "T B {cell.blocks*cell.hidden}"]]:
    """The cotangents of the state before the first place and, packed, of all pre-activations.

    d_state, d_outputs: cotangents of the last state and of the outputs. factors: of ``cell.factors``.
    unroll: as in ``scan_forward``.
    """

    def step(d_state: State, place):
        d_output, factors = place
        d_before, blocks = cell.pull_back(factors, (d_state[0] + d_output, *d_state[1:]))
        packed = jnp.concatenate(blocks, axis=-1)
        return (d_before[0] + packed @ w_hh, *d_before[1:]), packed

    return lax.scan(step, d_state, (d_outputs, factors), reverse=True, unroll=unroll)


class Loops(NamedTuple):
    """The two loops over places, forward and backward; all else is done for many places at once.

    span_numbers: the most numbers of gates (gates x hidden x batch x places) in a span of the backward
    pass.
    """

    forward: Callable[..., tuple[State, State]]
    backward: Callable[..., tuple[State, Array]]
    span_numbers: int


# A sequence of at least so many numbers of gates, and places, that fits in one span goes in two halves:
# a loop over places keeps one core busy, and while that of one half runs, XLA does the rest of the other
# half's work on the other cores. Where there are several spans the loop waits for memory instead.
_HALVED, _HALVED_PLACES = 2**18, 50
# 4 MiB: what a span works on stays in a processor's cache.
SCANS = Loops(scan_forward, scan_backward, 2**20)


@partial(jax.custom_vjp, nondiff_argnums=(0, 4))
def recurrent_unroll(
    cell: RecurrentCell,
    params: Params,
    state: State,
    xs: Float[AnyArray, "T B {cell.inputs}"],
    loops: Loops = SCANS,
) -> tuple[State, Float[Array, "T B {cell.hidden}"]]:
    """As ``scan_unroll`` for a gated cell, equal up to rounding, and cheaper to differentiate."""
    last, (outputs, *_) = loops.forward(cell, params, state, xs, 1)
    return last, outputs


def _vjp_forward(
    cell: RecurrentCell,
    params: Params,
    state: State,
    xs: Float[AnyArray, "T B {cell.inputs}"],
    loops: Loops,
):
    last, states = loops.forward(cell, params, state, xs, None)
    return (last, states[0]), (params, state, xs, states)


def _vjp_backward(cell: RecurrentCell, loops: Loops, residuals, cotangents):
    params, first, xs, states = residuals
    d_last, d_outputs = cotangents
    length, batch, _ = xs.shape
    span = span_length(length, loops.span_numbers // (batch * cell.gates * cell.hidden))
    whole = length // span * span
    # The state before each span, and before the rest that is shorter than a span.
    starts = tuple(
        jnp.concatenate([s0[None], s[span - 1 : length - 1 : span]])
        for s0, s in zip(first, states, strict=True)
    )
    back = partial(_span_backward, cell, loops, params)
    carry = (d_last, jax.tree.map(jnp.zeros_like, params))
    d_xs: list[Float[Array, "places B inputs"]] = []
    if whole < length:
        rest = jax.tree.map(lambda a: a[whole:], (xs, d_outputs, states))
        carry, d_rest = back(carry, (*rest, tuple(s[-1] for s in starts)))
        d_xs.insert(0, d_rest)
    if whole > span:
        spans = jax.tree.map(
            lambda a: a[:whole].reshape(-1, span, *a.shape[1:]), (xs, d_outputs, states)
        )
        carry, d_whole = lax.scan(
            back, carry, (*spans, tuple(s[: whole // span] for s in starts)), reverse=True
        )
        d_xs.insert(0, d_whole.reshape(whole, *xs.shape[1:]))
    else:
        only = jax.tree.map(lambda a: a[:whole], (xs, d_outputs, states))
        carry, d_only = back(carry, (*only, first))
        d_xs.insert(0, d_only)
    d_first, d_params = carry
    return d_params, d_first, jnp.concatenate(d_xs)


def _span_backward(cell: RecurrentCell, loops: Loops, params: Params, carry, places):
    """The backward pass through one span: the cotangents of the state before it and of the parameters,
    the latter added to those of later spans; and the cotangents of its inputs."""
    d_state, d_params = carry
    xs, d_outputs, after, start = places
    before = tuple(jnp.concatenate([s0[None], s[:-1]]) for s0, s in zip(start, after, strict=True))
    gates = cell.activations(cell.from_input(params, xs), cell.from_hidden(params, before[0]))
    w_hh = _spread(params["w_hh"], cell.hidden_blocks, cell.blocks)

    factors = cell.factors(before, after, gates)
    d_state, packed = loops.backward(cell, w_hh, d_state, d_outputs, factors)

    # Over all places at once: sum over t and b of packed[t, b, :] * value[t, b, :].
    outer = partial(jnp.tensordot, packed, axes=((0, 1), (0, 1)))
    of_input = partial(_pick, blocks=cell.input_blocks, of=cell.blocks)
    of_hidden = partial(_pick, blocks=cell.hidden_blocks, of=cell.blocks)
    total = packed.sum((0, 1))
    here = {
        "w_ih": of_input(outer(xs)),
        "w_hh": of_hidden(outer(before[0])),
        "b": of_input(total),
    }
    if cell.hidden_bias(params) is not None:
        (through_bias,) = jax.vjp(cell.hidden_bias, params)[1](of_hidden(total))
        here = through_bias | here
    d_params = {name: d_params[name] + value for name, value in here.items()}
    d_xs = packed @ _spread(params["w_ih"], cell.input_blocks, cell.blocks)
    return (d_state, d_params), d_xs


recurrent_unroll.defvjp(_vjp_forward, _vjp_backward)


def _pick(
    rows: Shaped[Array, "rows ..."], blocks: Sequence[int], of: int
) -> Shaped[Array, "picked ..."]:
    """The named blocks of rows out of ``of`` blocks."""
    return jnp.concatenate([jnp.split(rows, of)[b] for b in blocks])


def _spread(
    rows: Shaped[Array, "rows ..."], blocks: Sequence[int], of: int
) -> Shaped[Array, "spread ..."]:
    """The transpose of ``_pick``: blocks of rows put at their places among ``of``, zeros elsewhere."""
    given = dict(zip(blocks, jnp.split(rows, len(blocks)), strict=True))
    return jnp.concatenate([given.get(b, jnp.zeros_like(given[blocks[0]])) for b in range(of)])


def span_length(length: int, at_most: int) -> int:
    """How many places a span has: the largest divisor of ``length`` up to ``at_most``, so that none is
    left over, or ``at_most`` where that divisor is less than a quarter of it."""
    at_most = max(1, min(length, at_most))
    divisor = next(d for d in range(at_most, 0, -1) if length % d == 0)
    return divisor if 4 * divisor >= at_most else at_most
