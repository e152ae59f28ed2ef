"""Recurrent layers over whole sequences, with the backward pass written by hand.

A cell is ``init``, ``initial_state`` and ``step``; ``unroll`` runs it over all places at once. For
gated cells the forward scan keeps the states and nothing else. Backwards, a span of places at a time:
the gates of all its places are computed again from the states, and from them the factors by which the
cotangent of the state is multiplied at each place; only these multiplications and one product with
the recurrent weights are left to the loop. The weights' gradients are one matrix product a span. A
span is short enough for its gates to stay in a processor's cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

Params = dict[str, Array]
State = tuple[Array, ...]


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
    """A gated cell: a matrix product with the input and one with the hidden state, then element-wise
    gates, then the new state. The split is what lets one hand-written backward pass serve every such
    cell. ``state[0]`` is the hidden state, which is also the output.

    The pre-activations of the gates come from the input and from the hidden state, each (..., gates *
    hidden). Their cotangents are packed in blocks of ``hidden``, because both sides share most of
    them: ``input_blocks`` and ``hidden_blocks`` say which block each gate's is.
    """

    gates: ClassVar[int]
    blocks: ClassVar[int]
    input_blocks: ClassVar[tuple[int, ...]]
    hidden_blocks: ClassVar[tuple[int, ...]]

    @abstractmethod
    def activations(self, from_input: Array, from_hidden: Array) -> tuple[Array, ...]:
        """The gates after their nonlinearities, from both pre-activations."""

    @abstractmethod
    def advance(self, state: State, activations: tuple[Array, ...]) -> State:
        """The new state."""

    @abstractmethod
    def factors(self, before: State, after: State, activations: tuple[Array, ...]) -> Any:
        """What ``pull_back`` multiplies cotangents with: arrays (..., hidden)."""

    @abstractmethod
    def pull_back(self, factors: Any, d_after: State) -> tuple[State, tuple[Array, ...]]:
        """From the cotangent of the new state: that of the state before it, without what passes
        through the hidden product, and those of the pre-activations, ``blocks`` of (..., hidden)."""

    @abstractmethod
    def next_state(
        self, state: State, from_input: Sequence[Array], from_hidden: Sequence[Array]
    ) -> State:
        """``advance`` after ``activations``, with the pre-activations gate by gate (..., hidden):
        for kernels, which can neither split nor join arrays."""

    def hidden_bias(self, params: Params) -> Array | None:
        """A bias (gates * hidden,) added to the product with the hidden state, if there is one."""
        return None

    def from_input(self, params: Params, x: Array) -> Array:
        """Pre-activations (..., gates * hidden) from inputs (..., inputs)."""
        if self.inputs == 1:  # so it fuses with the gates
            return x * params["w_ih"][:, 0] + params["b"]
        return x @ params["w_ih"].T + params["b"]

    def from_hidden(self, params: Params, h: Array) -> Array:
        """Pre-activations (..., gates * hidden) from hidden states (..., hidden)."""
        product = h @ params["w_hh"].T
        bias = self.hidden_bias(params)
        return product if bias is None else product + bias

    def step(self, params: Params, state: State, x: Array) -> tuple[State, Array]:
        gates = self.activations(self.from_input(params, x), self.from_hidden(params, state[0]))
        state = self.advance(state, gates)
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


def scan_forward(
    cell: RecurrentCell, params: Params, state: State, xs: Array, keep: int | None
) -> tuple[State, State]:
    """The last state, and the first ``keep`` parts of the states after each place (T, B, hidden)."""
    # A single input is multiplied inside the loop; others by one matrix product before it.
    inside = cell.inputs == 1

    def step(state: State, x: Array) -> tuple[State, State]:
        from_input = cell.from_input(params, x) if inside else x
        gates = cell.activations(from_input, cell.from_hidden(params, state[0]))
        state = cell.advance(state, gates)
        return state, state[:keep]

    return lax.scan(step, state, xs if inside else cell.from_input(params, xs))


def scan_backward(
    cell: RecurrentCell, w_hh: Array, d_state: State, d_outputs: Array, factors: Any
) -> tuple[State, Array]:
    """The cotangents of the state before the first place, and of all pre-activations, packed (T, B,
    blocks * hidden). w_hh: (blocks * hidden, hidden)."""

    def step(d_state: State, place):
        d_output, factors = place
        d_before, blocks = cell.pull_back(factors, (d_state[0] + d_output, *d_state[1:]))
        packed = jnp.concatenate(blocks, axis=-1)
        return (d_before[0] + packed @ w_hh, *d_before[1:]), packed

    return lax.scan(step, d_state, (d_outputs, factors), reverse=True)


class Loops(NamedTuple):
    """What goes place by place, forwards and backwards; all else is done over many places at once.
    ``span_numbers``: of one kind (gates x hidden x batch x places), in a span of the backward pass."""

    forward: Callable[..., tuple[State, State]]
    backward: Callable[..., tuple[State, Array]]
    span_numbers: int


# 4 MiB: what a span works on stays in a processor's cache.
SCANS = Loops(scan_forward, scan_backward, 2**20)


@partial(jax.custom_vjp, nondiff_argnums=(0, 4))
def recurrent_unroll(
    cell: RecurrentCell, params: Params, state: State, xs: Array, loops: Loops = SCANS
) -> tuple[State, Array]:
    """``scan_unroll`` for a gated cell, same values up to rounding, cheaper to differentiate."""
    last, (outputs, *_) = loops.forward(cell, params, state, xs, 1)
    return last, outputs


def _vjp_forward(cell: RecurrentCell, params: Params, state: State, xs: Array, loops: Loops):
    last, states = loops.forward(cell, params, state, xs, None)
    return (last, states[0]), (params, state, xs, states)


def _vjp_backward(cell: RecurrentCell, loops: Loops, residuals, cotangents):
    params, first, xs, states = residuals
    d_last, d_outputs = cotangents
    length, batch, _ = xs.shape
    span = span_length(length, loops.span_numbers // (batch * cell.gates * cell.hidden))
    whole = length // span * span
    # The state before each span, and before what is left over.
    starts = tuple(
        jnp.concatenate([s0[None], s[span - 1 : length - 1 : span]])
        for s0, s in zip(first, states, strict=True)
    )
    back = partial(_span_backward, cell, loops, params)
    carry = (d_last, jax.tree.map(jnp.zeros_like, params))
    d_xs: list[Array] = []
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
    """The cotangents through consecutive places: of the state before them and, added to what came
    from later places, of the parameters; and of their inputs."""
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


def _pick(rows: Array, blocks: Sequence[int], of: int) -> Array:
    """The named blocks of rows out of ``of`` blocks (of * hidden, ...)."""
    return jnp.concatenate([jnp.split(rows, of)[b] for b in blocks])


def _spread(rows: Array, blocks: Sequence[int], of: int) -> Array:
    """The transpose of ``_pick``: blocks of rows put at their places among ``of``, zeros elsewhere."""
    given = dict(zip(blocks, jnp.split(rows, len(blocks)), strict=True))
    return jnp.concatenate([given.get(b, jnp.zeros_like(given[blocks[0]])) for b in range(of)])


def span_length(length: int, at_most: int) -> int:
    """How many places at a time: ``at_most``, or the largest divisor of the length below it where
    that is not much smaller, so that no shorter span is left over."""
    at_most = max(1, min(length, at_most))
    divisor = next(d for d in range(at_most, 0, -1) if length % d == 0)
    return divisor if 4 * divisor >= at_most else at_most
