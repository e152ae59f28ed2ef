"""The LSTM of NVIDIA's cuDNN, by way of ``jax.experimental.rnn``: CUDA only, float32, no ``vmap``."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Cell, Params, State


def cudnn_weights(params: Params) -> Float[Array, " numbers"]:
    """An LSTM's parameters in cuDNN's one flat array: w_ih, w_hh, and two biases that are added."""
    parts = (params["w_ih"], params["w_hh"], params["b"], jnp.zeros_like(params["b"]))
    return jnp.concatenate([part.ravel() for part in parts])


def cudnn_unroll(
    cell: Cell, params: Params, state: State, xs: Float[AnyArray, "T B {cell.inputs}"]
) -> tuple[State, Float[Array, "T B {cell.hidden}"]]:
    """As ``scan_unroll``, for an LSTM, at full float32 precision. Errors: ImportError where JAX has no
    binding of cuDNN."""
    from jax.experimental import rnn

    length, batch, _ = xs.shape
    outputs, h, c = rnn.lstm(
        jnp.swapaxes(xs, 0, 1),
        state[0][None],
        state[1][None],
        cudnn_weights(params),
        jnp.full((batch,), length, jnp.int32),
        input_size=cell.inputs,
        hidden_size=cell.hidden,
        num_layers=1,
        dropout=0.0,
        bidirectional=False,
        precision=lax.Precision.HIGHEST,
    )
    return (h[0], c[0]), jnp.swapaxes(outputs, 0, 1)
