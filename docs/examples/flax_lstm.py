"""A cell from Flax NNX: its LSTM.

meta-learn --load flax_lstm.py compare --cell flax-lstm --alpha 10,1,1 --T 20
"""

import jax.numpy as jnp
from flax import nnx

from autoregressive.cells import CELLS
from autoregressive.cells.from_jax import from_jax


def make(inputs, hidden, key):
    return nnx.LSTMCell(inputs, hidden, rngs=nnx.Rngs(key))


def step(module, state, x):
    return module(state, x)  # (c, h), h


def initial_state(inputs, hidden):
    return jnp.zeros(hidden), jnp.zeros(hidden)


CELLS["flax-lstm"] = from_jax(make, step, initial_state)

if __name__ == "__main__":
    from analysis.cli import main

    main()
