"""A sequence model: a cell, then ReLU, hidden layers with ReLU, and a linear layer to logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, PRNGKeyArray

from autoregressive.broadcast import AnyArray, affine
from autoregressive.cells import CELLS
from autoregressive.cells.base import Cell, Params, RecurrentCell, State
from autoregressive.registry import UnknownName
from autoregressive.unroll import backends
from autoregressive.unroll.scan import span_length

# Activations of the read-out in memory at once in training, in numbers. Chunks of this size stay in a
# processor's cache; the backward pass computes them again.
_READOUT_CHUNK = 2**19
# Beyond so many numbers of hidden states (batch x length x hidden) a training step works span by span,
# and the backward pass computes each span again. That costs a CPU no time, since a span stays in its
# cache; it does cost a GPU time, so that there it starts only where memory would run short.
_RECOMPUTED = {"cpu": 2**24}
_RECOMPUTED_ELSEWHERE = 2**28
_RECOMPUTED_SPAN = 2**18


@dataclass(frozen=True)
class Model:
    """p(next | past) of a sequence: ``cell`` -> ReLU -> ``readout`` layers -> ``outputs`` logits.

    Parameters are a flat dict: the cell's under ``cell.*``, the read-out's layers as
    ``readout.{n}.w`` (out, in) and ``readout.{n}.b`` (out,).
    """

    cell: Cell
    outputs: int
    readout: tuple[int, ...] = (64,)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The widths of all layers, inputs first. ``init`` makes more numbers than the largest is."""
        return (self.cell.inputs, self.cell.hidden, *self.readout, self.outputs)

    @partial(jax.jit, static_argnums=(0, 2))
    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        """Random parameters: the cell's own initialisation, He-normal read-out, zero biases.

        timescale: passed to the cell. The last layer starts at a tenth of the others' scale, so that an
        untrained model is close to uniform.
        """
        key_cell, key_readout = jax.random.split(key)
        params = {f"cell.{k}": v for k, v in self.cell.init(key_cell, timescale).items()}
        sizes = (self.cell.hidden, *self.readout, self.outputs)
        for n, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            scale = (2.0 / fan_in) ** 0.5 * (0.1 if n == len(self.readout) else 1.0)
            key_layer = jax.random.fold_in(key_readout, n)
            noise = jax.random.normal(key_layer, (fan_out, fan_in), jnp.float32)
            params[f"readout.{n}.w"] = scale * noise
            params[f"readout.{n}.b"] = jnp.zeros((fan_out,), jnp.float32)
        return params

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        """The state before the first input, with leading axes ``batch``."""
        return self.cell.initial_state(batch)

    def step(
        self, params: Params, state: State, x: Float[AnyArray, "*batch {self.cell.inputs}"]
    ) -> tuple[State, Float[Array, "*places {self.outputs}"]]:
        """One place: the new state, and logits for the next."""
        state, h = self.cell.step(cell_params(params), state, x)
        return state, self.read_out(params, h)

    def unroll(
        self, params: Params, state: State, xs: Float[AnyArray, "B T {self.cell.inputs}"]
    ) -> tuple[State, Float[Array, "B T {self.outputs}"]]:
        """All places: the last state, and logits; row t has seen inputs 0..t.

        For very long sequences the backward pass computes states again, span by span, so that memory
        hardly grows with the length.
        """
        batch, length, _ = xs.shape
        per_place = batch * self.cell.hidden
        most = _RECOMPUTED.get(jax.default_backend(), _RECOMPUTED_ELSEWHERE)
        if not isinstance(self.cell, RecurrentCell) or length * per_place <= most:
            return self._unroll(params, state, xs)
        span = span_length(length, _RECOMPUTED_SPAN // per_place)
        whole = length // span * span
        recomputed = jax.checkpoint(partial(self._unroll, params))
        spans = jnp.swapaxes(xs[:, :whole].reshape(batch, -1, span, xs.shape[-1]), 0, 1)
        state, logits = lax.scan(recomputed, state, spans)
        logits = jnp.swapaxes(logits, 0, 1).reshape(batch, whole, self.outputs)
        if whole < length:
            state, rest = recomputed(state, xs[:, whole:])
            logits = jnp.concatenate([logits, rest], axis=1)
        return state, logits

    def _unroll(
        self, params: Params, state: State, xs: Float[AnyArray, "B T {self.cell.inputs}"]
    ) -> tuple[State, Float[Array, "B T {self.outputs}"]]:
        state, hs = backends.unroll(self.cell, cell_params(params), state, jnp.swapaxes(xs, 0, 1))
        return state, jnp.swapaxes(self._read_out_all(params, hs), 0, 1)

    def logits(
        self, params: Params, xs: Float[AnyArray, "B T {self.cell.inputs}"]
    ) -> Float[Array, "B T {self.outputs}"]:
        """Logits at every place, from the initial state."""
        return self.unroll(params, self.initial_state((xs.shape[0],)), xs)[1]

    def read_out(
        self, params: Params, h: Float[Array, "*places {self.cell.hidden}"]
    ) -> Float[Array, "*places {self.outputs}"]:
        """Logits from the cell's output h."""
        for n in range(len(self.readout) + 1):
            h = affine(params[f"readout.{n}.w"], params[f"readout.{n}.b"], jax.nn.relu(h))
        return h

    def _read_out_all(
        self, params: Params, hs: Float[Array, "T B {self.cell.hidden}"]
    ) -> Float[Array, "T B {self.outputs}"]:
        """The read-out, in chunks of places that the backward pass computes again."""
        length, batch, _ = hs.shape
        span = span_length(length, _READOUT_CHUNK // (batch * max(self.readout, default=1)))
        if span == length:
            return self.read_out(params, hs)
        whole = length // span * span
        recomputed = jax.checkpoint(partial(self.read_out, params))
        logits = lax.map(recomputed, hs[:whole].reshape(-1, span, batch, hs.shape[-1]))
        logits = logits.reshape(whole, batch, self.outputs)
        return jnp.concatenate([logits, recomputed(hs[whole:])]) if whole < length else logits


def cell_params(params: Params) -> Params:
    """The cell's parameters among a model's, by the cell's names for them."""
    return {k.removeprefix("cell."): v for k, v in params.items() if k.startswith("cell.")}


def make_model(
    cell: str, hidden: int, inputs: int, outputs: int, readout: Sequence[int] = (64,)
) -> Model:
    """A model with a cell of ``CELLS``. Errors: ValueError for an unknown cell or a size < 1."""
    if cell not in CELLS:
        raise UnknownName("cell", cell, sorted(CELLS))
    if min(hidden, inputs, outputs, *readout) < 1:
        raise ValueError(
            f"sizes must be 1 or more: hidden {hidden}, read-out {tuple(readout)}, "
            f"inputs {inputs}, outputs {outputs}"
        )
    return Model(CELLS[cell](inputs, hidden), outputs, tuple(readout))
