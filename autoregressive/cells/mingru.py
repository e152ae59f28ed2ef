"""minGRU: a gated recurrent unit whose gates see the input only (Feng et al. 2024).

Without the hidden state in its gates the recurrence is linear in the state. Layers are stacked: from the
second on, gates see the past through the layer below.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from autoregressive.broadcast import AnyArray, affine
from autoregressive.cells.base import Params, State, log_timescales
from autoregressive.cells.gates import sigmoid
from autoregressive.cells.layers import layer_params
from autoregressive.cells.recurrence import Advance, LinearCell


@dataclass(frozen=True)
class MinGRU(LinearCell):
    """``layers`` of h' = (1 - z) h + z n with z = sigmoid(W_z x + b_z) and n = W_n x + b_n, x being
    the inputs or the layer below.

    Layer l has ``{l}.w`` (2 * hidden, its inputs) and ``{l}.b``, rows z, n. State: h of every layer,
    the last one, which is also the output, first.
    """

    layers: int = 2

    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        """Glorot-uniform weights. With a ``timescale`` every 1 / z begins as a random time up to it."""
        n, params = self.hidden, {}
        for layer in range(self.layers):
            key_w, key_b = jax.random.split(jax.random.fold_in(key, layer))
            inputs = self.inputs if layer == 0 else n
            bound = (6.0 / (inputs + n)) ** 0.5
            shape = (2 * n, inputs)
            params[f"{layer}.w"] = jax.random.uniform(key_w, shape, jnp.float32, -bound, bound)
            bias = jnp.zeros((2 * n,), jnp.float32)
            if timescale is not None:
                bias = bias.at[:n].set(-log_timescales(key_b, n, timescale))
            params[f"{layer}.b"] = bias
        return params

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        return (jnp.zeros((*batch, self.hidden), jnp.float32),) * self.layers

    def advance(
        self,
        recur: Advance,
        params: Params,
        state: State,
        x: Float[AnyArray, "*batch {self.inputs}"],
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        after: State = ()
        for layer, before in enumerate(state[::-1]):
            z, n = self._gates(params, layer, x)
            last, x = recur(1 - z, z * n, before)
            after = (last, *after)
        return after, jnp.asarray(x)

    def _gates(
        self, params: Params, layer: int, x: Float[AnyArray, "*batch numbers"]
    ) -> tuple[Float[Array, "*batch {self.hidden}"], Float[Array, "*batch {self.hidden}"]]:
        """z and n."""
        own = layer_params(params, layer)
        z, n = jnp.split(affine(own["w"], own["b"], x), 2, axis=-1)
        return sigmoid(z), n
