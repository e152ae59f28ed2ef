"""Mamba: a state space model that selects what it keeps (Gu and Dao 2023), one block.

As published: norm, a projection to two branches; on one a short causal convolution of each channel, SiLU
and the selective recurrence, whose step, B and C come from its input; the other gates it; a projection
back, and the block's input added. A norm follows, as before a language model's read-out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from autoregressive.broadcast import AnyArray, affine, align
from autoregressive.cells.base import ParallelCell, Params, State
from autoregressive.cells.gates import sigmoid
from autoregressive.cells.layers import normal_weights, rms_norm, uniform_weights
from autoregressive.cells.recurrence import Advance, all_places, one_place

_LEAST = 1e-5  # the norm's


class _Selected(NamedTuple):
    """What the recurrence takes, of each place: s' = keep s + put, then y = sum over the last axis of
    read s'. keep, put: (..., inner, states); read: (..., states)."""

    keep: Array
    put: Array
    read: Array


@dataclass(frozen=True)
class Mamba(ParallelCell):
    """``hidden`` numbers a place, ``expand`` times as many channels inside, ``states`` numbers of state
    for each channel, a convolution over ``width`` places.

    State: the last width - 1 inputs of the convolution, oldest first, (width - 1, expand * hidden), and
    s (expand * hidden, states).
    """

    expand: int = 2
    states: int = 16
    width: int = 4

    @property
    def inner(self) -> int:
        """Channels."""
        return self.expand * self.hidden

    @property
    def rank(self) -> int:
        """Of the map from channels to steps: a sixteenth of ``hidden``, rounded up."""
        return -(-self.hidden // 16)

    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        """A = -1 .. -states in every channel, D = 1. Steps begin log-uniform from 0.001 to 0.1, or
        from 1 / ``timescale`` to 1: A = -1 then keeps for up to ``timescale`` places."""
        n, inner = self.hidden, self.inner
        keys = jax.random.split(key, 8)
        low, high = (1e-3, 1e-1) if timescale is None else (1 / max(timescale, 1.0), 1.0)
        log_steps = jax.random.uniform(
            keys[0], (inner,), jnp.float32, math.log(low), max(math.log(high), math.log(low) + 1e-3)
        )
        steps = jnp.exp(log_steps)
        rates = jnp.arange(1, self.states + 1, dtype=jnp.float32)
        return {
            "in.w": normal_weights(keys[1], n, self.inputs),
            "in.b": jnp.zeros((n,), jnp.float32),
            "norm": jnp.ones((n,), jnp.float32),
            "branches.w": uniform_weights(keys[2], 2 * inner, n),
            "conv.w": uniform_weights(keys[3], inner, self.width),
            "conv.b": uniform_weights(keys[4], inner, self.width)[:, 0],
            "select.w": uniform_weights(keys[5], self.rank + 2 * self.states, inner),
            "step.w": uniform_weights(keys[6], inner, self.rank),
            # softplus of it is the step.
            "step.b": steps + jnp.log(-jnp.expm1(-steps)),
            "log_a": jnp.broadcast_to(jnp.log(rates), (inner, self.states)),
            "d": jnp.ones((inner,), jnp.float32),
            "out.w": uniform_weights(keys[7], n, inner),
            "norm_out": jnp.ones((n,), jnp.float32),
        }

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        return (
            jnp.zeros((*batch, self.width - 1, self.inner), jnp.float32),
            jnp.zeros((*batch, self.inner, self.states), jnp.float32),
        )

    def step(
        self, params: Params, state: State, x: Float[AnyArray, "*batch {self.inputs}"]
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        # A state and an input may have leading axes that only the other one has.
        batch = jnp.broadcast_shapes(x.shape[:-1], state[0].shape[:-2])
        recent, s = (jnp.broadcast_to(part, (*batch, *part.shape[-2:])) for part in state)
        h = affine(params["in.w"], params["in.b"], x)
        u, gate = self._branches(params, h)
        u = jnp.broadcast_to(u, (*batch, self.inner))
        recent = jnp.concatenate([recent, u[..., None, :]], axis=-2)
        u = (recent * align(params["conv.w"].T, recent)).sum(-2)
        u = jax.nn.silu(u + align(params["conv.b"], u))
        s, y = self._recur(one_place, params, s, u)
        return (recent[..., 1:, :], s), self._out(params, y, u, gate, h)

    def unroll(
        self, params: Params, state: State, xs: Float[AnyArray, "T B {self.inputs}"]
    ) -> tuple[State, Float[Array, "T B {self.hidden}"]]:
        recent, s = state
        length, past = len(xs), self.width - 1
        h = affine(params["in.w"], params["in.b"], xs)
        u, gate = self._branches(params, h)
        whole = jnp.concatenate([jnp.moveaxis(recent, -2, 0), u])
        taps = params["conv.w"].T
        taken = [whole[n : n + length] * align(taps[n], whole) for n in range(self.width)]
        u = jax.nn.silu(sum(taken, align(params["conv.b"], u)))
        s, y = self._recur(all_places, params, s, u)
        state = jnp.moveaxis(whole[length : length + past], 0, -2), s
        return state, self._out(params, y, u, gate, h)

    def _branches(
        self, params: Params, h: Float[Array, "*batch {self.hidden}"]
    ) -> tuple[Float[Array, "*batch {self.inner}"], Float[Array, "*batch {self.inner}"]]:
        """The branch of the recurrence, and the gate's."""
        both = rms_norm(h, params["norm"], _LEAST) @ params["branches.w"].T
        u, gate = jnp.split(both, 2, axis=-1)
        return u, gate

    def _recur(
        self,
        advance: Advance,
        params: Params,
        s: Float[Array, "*batch {self.inner} {self.states}"],
        u: Float[Array, "*places {self.inner}"],
    ) -> tuple[
        Float[Array, "*batch {self.inner} {self.states}"], Float[Array, "*places {self.inner}"]
    ]:
        """The last s, and what is read of it at one place, or at all with time first."""
        keep, put, read = self._select(params, u)
        last, all_s = advance(keep, put, s)
        return last, (all_s * read[..., None, :]).sum(-1)

    def _select(self, params: Params, u: Float[Array, "*batch {self.inner}"]) -> _Selected:
        """From the channels: steps, B and C, and from them keep = exp(step A) and put = step B u."""
        selected = u @ params["select.w"].T
        low, b, c = jnp.split(selected, [self.rank, self.rank + self.states], axis=-1)
        step = jax.nn.softplus(affine(params["step.w"], params["step.b"], low))[..., None]
        keep = jnp.exp(step * align(-jnp.exp(params["log_a"]), step))
        return _Selected(keep, step * u[..., None] * b[..., None, :], c)

    def _out(
        self,
        params: Params,
        y: Float[Array, "*places {self.inner}"],
        u: Float[Array, "*places {self.inner}"],
        gate: Float[Array, "*batch {self.inner}"],
        h: Float[Array, "*batch {self.hidden}"],
    ) -> Float[Array, "*places {self.hidden}"]:
        y = y + align(params["d"], u) * u
        out = (y * align(gate * sigmoid(gate), y)) @ params["out.w"].T
        return rms_norm(align(h, out) + out, params["norm_out"], _LEAST)
