"""A network's states along streams, aligned with its predictions.

Where a cell's state is a tuple of vectors, its parts are called "h", the output that the read-out
sees, then "c", "d", ..: (h, c) of an LSTM. Where the output is not the first part of the state it is put
in front. Of any other state, such as the keys and values of a transformer, only the output is looked
at, as "h".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Float32, Float64, Integer

from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Cell, Params, State
from autoregressive.model import Model, cell_params
from autoregressive.network import padded_chunks
from autoregressive.unroll import backends
from meta_learning.learner import Learner, encode, log_probabilities

_PARTS = "hcdefg"
# Places in one compiled call: bounds the memory of attention.
_OUTPUT_CHUNK = 2**16
NO_VECTORS = "the state is no tuple of vectors, which a line could be mapped to"
# One state: its parts, arrays (..., width).
Vectors = tuple[Float[AnyArray, "*batch _"], ...]


@dataclass(frozen=True)
class States:
    """Row t is the state from which x_t is predicted: it has seen RESET, x_1, .., x_{t-1}.

    symbols: int (B, L). parts: float32 (B, L, width) by name. log_q: the predictions read out of the
    states, nats, float64 (B, L, K+1).
    """

    symbols: Integer[np.ndarray, "B L"]
    parts: dict[str, Float32[np.ndarray, "B L _"]]
    log_q: Float64[np.ndarray, "B L outcomes"]

    @property
    def whole(self) -> str:
        """The name of the space of all parts together: "hc" for an LSTM, "h" for a GRU."""
        return "".join(self.parts)

    @property
    def spaces(self) -> list[str]:
        """The names of the parts, and of all together where there are several."""
        return list(dict.fromkeys([*self.parts, self.whole]))

    def space(self, name: str) -> Float64[np.ndarray, "B L D"]:
        """The vectors of the parts in ``name``, concatenated: float64 (B, L, D)."""
        return np.concatenate([self.parts[part] for part in name], axis=-1, dtype=np.float64)

    def streams(self, chosen: slice) -> States:
        """The same of some of the streams."""
        parts = {name: values[chosen] for name, values in self.parts.items()}
        return States(self.symbols[chosen], parts, self.log_q[chosen])


def space_title(name: str) -> str:
    """A space in words: "h and c" for "hc"."""
    return " and ".join(name)


@dataclass(frozen=True)
class WithOutput:
    """A model whose state has the cell's output in front: ``(h, *state)``."""

    model: Model

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        zeros = jnp.zeros((*batch, self.model.cell.hidden), jnp.float32)
        return zeros, *self.model.initial_state(batch)

    def step(
        self, params: Params, state: State, x: Float[Array, "*batch inputs"]
    ) -> tuple[State, Float[Array, "*places outputs"]]:
        after, h = self.model.cell.step(cell_params(params), state[1:], x)
        return (h, *after), self.read_out(params, h)

    def read_out(
        self, params: Params, h: Float[Array, "*places hidden"]
    ) -> Float[Array, "*places outputs"]:
        return self.model.read_out(params, h)


@cache
def vector_model(model: Model) -> Model | WithOutput | None:
    """The model, or one that gives the same predictions, whose state is a tuple of vectors with the
    output first; None where the cell's state is no such tuple.

    Errors: ValueError for a network that is not built on a cell and has no such state either.
    """
    first = getattr(model, "initial_state", None)
    state = jax.eval_shape(first) if callable(first) else None
    vectors = isinstance(state, tuple) and all(getattr(part, "ndim", 0) == 1 for part in state)
    if not isinstance(getattr(model, "cell", None), Cell):
        # A network of the user's own, whose state begins with what its read_out takes.
        if not vectors or not 1 <= len(state or ()) <= len(_PARTS):
            raise ValueError(
                "hidden needs a network built on a cell, or one whose state is a tuple of vectors; "
                f"this one is {type(model).__name__}"
            )
        return model
    if not vectors or state is None:
        return None
    with_output = model if _outputs_first_part(model, state) else WithOutput(model)
    return with_output if len(_shapes(with_output)) <= len(_PARTS) else None


def _outputs_first_part(model: Model, state: tuple[jax.ShapeDtypeStruct, ...]) -> bool:
    """Whether the cell's output is the first part of its state, and not merely of the same size."""
    params = jax.eval_shape(model.cell.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((model.cell.inputs,), jnp.float32)
    outputs = jax.make_jaxpr(model.cell.step)(params, state, x).jaxpr.outvars
    return len(outputs) > 1 and outputs[0] is outputs[-1]


def part_names(model: Model) -> list[str]:
    """The names of the parts of ``States``. Errors: as ``vector_model``."""
    vectors = vector_model(model)
    return ["h"] if vectors is None else list(_PARTS[: len(_shapes(vectors))])


def state_size(model: Model) -> int:
    """How many numbers the parts of one state in ``States`` have. Errors: as ``vector_model``."""
    vectors = vector_model(model)
    return model.cell.hidden if vectors is None else sum(p.size for p in _shapes(vectors))


def _shapes(model: Model | WithOutput) -> tuple[jax.ShapeDtypeStruct, ...]:
    return cast(tuple[jax.ShapeDtypeStruct, ...], jax.eval_shape(model.initial_state))


def states_along(learner: Learner, symbols: Integer[np.ndarray, "B L"]) -> States:
    """The states and predictions of a network along streams, from its initial state.

    symbols: int (B, L). Errors: as ``vector_model``; ValueError for a symbol outside 0..K.
    """
    names, vectors = part_names(learner.model), vector_model(learner.model)
    symbols = learner.check(symbols)
    if vectors is None:
        states, logits = _outputs_along(learner, symbols)
    else:
        states, logits = _scan(vectors, learner.num_symbols, learner.params, symbols)
    parts = dict(zip(names, map(np.asarray, states), strict=True))
    return States(symbols, parts, log_probabilities(np.asarray(logits)))


def _outputs_along(
    learner: Learner, symbols: Integer[np.ndarray, "B L"]
) -> tuple[Vectors, Float32[np.ndarray, "B L outcomes"]]:
    """The outputs alone and the logits, computed for some streams at a time."""
    chunks = []
    for where, chunk in padded_chunks(symbols, _OUTPUT_CHUNK // symbols.shape[1]):
        both = _outputs(learner.model, learner.num_symbols, learner.params, chunk)
        chunks.append([np.asarray(a)[: where.stop - where.start] for a in both])
    h, logits = (np.concatenate(each) for each in zip(*chunks, strict=True))
    return (h,), logits


def predictions_from(
    learner: Learner, state: Vectors, symbols: Integer[np.ndarray, "B R"]
) -> Float64[np.ndarray, "B R outcomes"]:
    """log q along symbols that follow a state: row 0 is read out of the state itself.

    state: one array (B, width) a part. symbols: int (B, R). Returns float64 (B, R, K+1), nats.
    Errors: ValueError where there is no ``vector_model``.
    """
    vectors = vector_model(learner.model)
    if vectors is None:
        raise ValueError(NO_VECTORS)
    logits = _scan_from(vectors, learner.num_symbols, learner.params, state, symbols)
    return log_probabilities(np.asarray(logits))


@partial(jax.jit, static_argnums=(0, 1))
def _scan(
    model: Model | WithOutput,
    num_symbols: int,
    params: Params,
    symbols: Integer[AnyArray, "B L"],
) -> tuple[State, Float[Array, "B L outcomes"]]:
    def step(
        state: State, x: Float[Array, "B inputs"]
    ) -> tuple[State, tuple[State, Float[Array, "B outcomes"]]]:
        after, logits = model.step(params, state, x)
        return after, (after, logits)

    xs = jnp.swapaxes(encode(symbols, num_symbols), 0, 1)
    _, stacked = lax.scan(step, model.initial_state((symbols.shape[0],)), xs)
    return jax.tree.map(lambda rows: jnp.swapaxes(rows, 0, 1), stacked)


@partial(jax.jit, static_argnums=(0, 1))
def _outputs(
    model: Model, num_symbols: int, params: Params, symbols: Integer[AnyArray, "B L"]
) -> tuple[Float[Array, "B L hidden"], Float[Array, "B L outcomes"]]:
    """h and logits (B, L, ..)."""
    xs = jnp.swapaxes(encode(symbols, num_symbols), 0, 1)
    _, hs = backends.unroll(
        model.cell, cell_params(params), model.initial_state((len(symbols),)), xs
    )
    h = jnp.swapaxes(hs, 0, 1)
    return h, model.read_out(params, h)


@partial(jax.jit, static_argnums=(0, 1))
def _scan_from(
    model: Model | WithOutput,
    num_symbols: int,
    params: Params,
    state: State,
    symbols: Integer[AnyArray, "B R"],
) -> Float[Array, "B R outcomes"]:
    first = model.read_out(params, state[0])
    xs = jax.nn.one_hot(symbols[:, :-1].T, num_symbols + 1, dtype=jnp.float32)
    _, rest = lax.scan(lambda s, x: model.step(params, s, x), tuple(state), xs)
    return jnp.swapaxes(jnp.concatenate([first[None], rest]), 0, 1)
