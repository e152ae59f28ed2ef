"""The linear recurrent unit: a diagonal complex state space model (Orvieto et al. 2023).

Blocks as published: norm, linear recurrence, GELU, gate, and the block's input added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Complex, Float, PRNGKeyArray

from autoregressive.broadcast import AnyArray, affine, align
from autoregressive.cells.base import Params, State
from autoregressive.cells.gates import sigmoid
from autoregressive.cells.layers import (
    layer_params,
    name_params,
    normal_weights,
    rms_norm,
)
from autoregressive.cells.recurrence import Advance, LinearCell


@dataclass(frozen=True)
class LRU(LinearCell):
    """``layers`` blocks, with ``hidden`` real numbers at each place and as many complex ones in each
    block's state:

    s' = lambda s + exp(log_gamma) (B u),  y = Re(C s') + D u,  lambda = exp(-exp(log_decay) + i angle),

    with u the norm of the block's input h, angle = exp(log_angle), and, after it,
    h + g sigmoid(W g + b) with g = gelu(y).

    State: the real and the imaginary parts of all blocks' s, two vectors of layers * hidden.
    """

    layers: int = 2

    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        """lambda uniform on the disk, or on the part of it whose memory, ``-1 / log|lambda|``, is at
        most ``timescale``; ``exp(log_gamma)^2 = 1 - |lambda|^2`` makes up for its size."""
        n = self.hidden
        most = 1.0 if timescale is None else math.exp(-2.0 / timescale)
        params = {
            "in.w": normal_weights(key, n, self.inputs),
            "in.b": jnp.zeros((n,), jnp.float32),
        }
        for layer in range(self.layers):
            keys = jax.random.split(jax.random.fold_in(key, layer + 1), 8)
            # Away from 0, whose logarithm has none; from 1 float32's uniform keeps away.
            squared = jax.random.uniform(keys[0], (n,), jnp.float32, 1e-6, 1.0) * most
            turn = jax.random.uniform(keys[1], (n,), jnp.float32, 1e-6, 1.0)
            ours = {
                "norm": jnp.ones((n,), jnp.float32),
                "log_decay": jnp.log(-0.5 * jnp.log(squared)),
                "log_angle": jnp.log(2 * math.pi * turn),
                "log_gamma": 0.5 * jnp.log1p(-squared),
                "b_re": normal_weights(keys[2], n, n) * 0.5**0.5,
                "b_im": normal_weights(keys[3], n, n) * 0.5**0.5,
                "c_re": normal_weights(keys[4], n, n),
                "c_im": normal_weights(keys[5], n, n),
                "d": jax.random.normal(keys[6], (n,), jnp.float32),
                "gate.w": normal_weights(keys[7], n, n),
                "gate.b": jnp.zeros((n,), jnp.float32),
            }
            params |= name_params(layer, ours)
        return params

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        zeros = jnp.zeros((*batch, self.layers * self.hidden), jnp.float32)
        return zeros, zeros

    def advance(
        self,
        recur: Advance,
        params: Params,
        state: State,
        x: Float[AnyArray, "*batch {self.inputs}"],
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        h, after = affine(params["in.w"], params["in.b"], x), []
        for layer, before in enumerate(self._split(state)):
            own = layer_params(params, layer)
            u = rms_norm(h, own["norm"])
            last, s = recur(_eigenvalues(own), _into(own, u), before)
            after.append(last)
            h = _out_of(own, s, u, h)
        return _join(after), h

    def _split(self, state: State) -> list[Complex[Array, "*batch {self.hidden}"]]:
        """The blocks' own states, the first block's first."""
        whole = lax.complex(*(jnp.asarray(part) for part in state))
        return jnp.split(whole, self.layers, axis=-1)


def _join(states: list[Complex[Array, "*batch hidden"]]) -> State:
    whole = jnp.concatenate(states, axis=-1)
    return whole.real, whole.imag


def _eigenvalues(own: Params) -> Complex[Array, " hidden"]:
    return jnp.exp(lax.complex(-jnp.exp(own["log_decay"]), jnp.exp(own["log_angle"])))


def _into(own: Params, u: Float[Array, "*batch hidden"]) -> Complex[Array, "*batch hidden"]:
    """exp(log_gamma) (B u)."""
    gamma = align(jnp.exp(own["log_gamma"]), u)
    return lax.complex(u @ own["b_re"].T * gamma, u @ own["b_im"].T * gamma)


def _out_of(
    own: Params,
    s: Complex[Array, "*places hidden"],
    u: Float[Array, "*batch hidden"],
    h: Float[Array, "*batch hidden"],
) -> Float[Array, "*places hidden"]:
    """The block's output."""
    y = s.real @ own["c_re"].T - s.imag @ own["c_im"].T
    g = jax.nn.gelu(y + align(align(own["d"], u) * u, y))
    return align(h, g) + g * sigmoid(affine(own["gate.w"], own["gate.b"], g))
