"""A cell: the update-gate recurrent network, one gate instead of the LSTM's three.

    meta-learn --load ugrnn.py compare --cell ugrnn --alpha 10,1,1 --T 20

z = sigmoid(z_x + z_h), n = tanh(n_x + n_h), h' = z h + (1 - z) n (Collins, Sohl-Dickstein and Sussillo
2017, "Capacity and trainability in recurrent neural networks").
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from autoregressive.broadcast import affine
from autoregressive.cells import CELLS
from autoregressive.cells.base import Cell


@dataclass(frozen=True)
class UGRNN(Cell):
    """State: (h,). What comes out is h."""

    def init(self, key, timescale=None):
        n, (key_ih, key_hh, key_b) = self.hidden, jax.random.split(key, 3)
        keep = 1.0
        if timescale is not None:  # z = 1 - 1 / m: memories of m = 1 to timescale steps
            longest = max(timescale - 1, 1.001)
            keep = jnp.log(jax.random.uniform(key_b, (n,), jnp.float32, 1.0, longest))
        return {
            "w_ih": jax.random.normal(key_ih, (2 * n, self.inputs), jnp.float32)
            * self.inputs**-0.5,
            "w_hh": jax.random.normal(key_hh, (2 * n, n), jnp.float32) * n**-0.5,
            "b": jnp.zeros(2 * n, jnp.float32).at[:n].set(keep),
        }

    def initial_state(self, batch=()):
        return (jnp.zeros((*batch, self.hidden), jnp.float32),)

    def step(self, params, state, x):
        (h,) = state
        both = affine(params["w_ih"], params["b"], x) + h @ params["w_hh"].T
        z, n = jnp.split(both, 2, axis=-1)
        z, n = jax.nn.sigmoid(z), jnp.tanh(n)
        h = z * h + (1 - z) * n
        return (h,), h


CELLS["ugrnn"] = UGRNN

if __name__ == "__main__":
    from analysis.cli import main

    main()
