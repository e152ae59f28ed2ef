"""A cell from Equinox: its GRU, with a norm on what comes out.

meta-learn --load equinox_gru.py compare --cell equinox-gru --alpha 10,1,1 --T 20
"""

import equinox as eqx
import jax.numpy as jnp

from autoregressive.cells import CELLS
from autoregressive.cells.from_jax import from_jax


class NormedGRU(eqx.Module):
    cell: eqx.nn.GRUCell
    norm: eqx.nn.LayerNorm

    def __init__(self, inputs, hidden, key):
        self.cell = eqx.nn.GRUCell(inputs, hidden, key=key)
        self.norm = eqx.nn.LayerNorm(hidden)


def step(module, h, x):
    h = module.cell(x, h)
    return h, module.norm(h)


def initial_state(inputs, hidden):
    return jnp.zeros(hidden)


CELLS["equinox-gru"] = from_jax(NormedGRU, step, initial_state)

if __name__ == "__main__":
    from analysis.cli import main

    main()
