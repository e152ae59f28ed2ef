"""A recurrent network's states along streams, aligned with its predictions.

The state of a recurrent cell is a tuple of vectors. Its parts are called "h", the output that the
read-out sees, and "c" where there is a second one, as in the LSTM.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from autoregressive.cells.base import Params, State
from autoregressive.model import Model
from meta_learning.learner import Learner, encode, log_probabilities

_PARTS = "hcdefg"
# One state: its parts, arrays (..., width).
Vectors = tuple[Array | np.ndarray, ...]


@dataclass(frozen=True)
class States:
    """Row t is the state from which x_t is predicted: it has seen RESET, x_1, .., x_{t-1}.

    symbols: int (B, L). parts: float32 (B, L, width) by name. log_q: what is predicted from it, in
    nats, float64 (B, L, K+1).
    """

    symbols: np.ndarray
    parts: dict[str, np.ndarray]
    log_q: np.ndarray

    @property
    def whole(self) -> str:
        """The name of the space of all parts together: "hc" for an LSTM, "h" for a GRU."""
        return "".join(self.parts)

    @property
    def spaces(self) -> list[str]:
        """The parts, and all together where there are several."""
        return list(dict.fromkeys([*self.parts, self.whole]))

    def space(self, name: str) -> np.ndarray:
        """The vectors of the parts named, one after another. float64 (B, L, D)."""
        return np.concatenate([self.parts[part] for part in name], axis=-1, dtype=np.float64)

    def streams(self, chosen: slice) -> States:
        """Some of the streams."""
        parts = {name: values[chosen] for name, values in self.parts.items()}
        return States(self.symbols[chosen], parts, self.log_q[chosen])


def space_title(name: str) -> str:
    """ "h and c" for "hc"."""
    return " and ".join(name)


def part_names(model: Model) -> list[str]:
    """The names of the state's parts. Errors: ValueError unless the state is a tuple of vectors."""
    first = getattr(model, "initial_state", None)
    state = first() if callable(first) else None
    vectors = isinstance(state, tuple) and all(getattr(part, "ndim", 0) == 1 for part in state)
    if not vectors or not 1 <= len(state or ()) <= len(_PARTS):
        kind = type(getattr(model, "cell", model)).__name__
        raise ValueError(
            f"hidden needs a recurrent cell, whose state is a tuple of vectors (lstm, gru); "
            f"this network is built on {kind}"
        )
    return list(_PARTS[: len(state or ())])


def states_along(learner: Learner, symbols: np.ndarray) -> States:
    """The states and predictions of a network along streams, from its initial state.

    symbols: int (B, L). Errors: ValueError where the network has no recurrent cell, or where a
    symbol is outside 0..K.
    """
    names = part_names(learner.model)
    symbols = learner.check(symbols)
    states, logits = _along(learner.model, learner.num_symbols, learner.params, symbols)
    parts = dict(zip(names, map(np.asarray, states), strict=True))
    return States(symbols, parts, log_probabilities(np.asarray(logits)))


def predictions_from(learner: Learner, state: Vectors, symbols: np.ndarray) -> np.ndarray:
    """log q along symbols that follow a state: row 0 is read out of the state itself.

    state: arrays (B, width). symbols: int (B, R). Returns float64 (B, R, K+1), nats.
    """
    logits = _from(learner.model, learner.num_symbols, learner.params, state, symbols)
    return log_probabilities(np.asarray(logits))


@partial(jax.jit, static_argnums=(0, 1))
def _along(model: Model, num_symbols: int, params: Params, symbols: Array) -> tuple[State, Array]:
    def step(state: State, x: Array) -> tuple[State, tuple[State, Array]]:
        after, logits = model.step(params, state, x)
        return after, (after, logits)

    xs = jnp.swapaxes(encode(symbols, num_symbols), 0, 1)
    _, stacked = lax.scan(step, model.initial_state((symbols.shape[0],)), xs)
    return jax.tree.map(lambda rows: jnp.swapaxes(rows, 0, 1), stacked)


@partial(jax.jit, static_argnums=(0, 1))
def _from(model: Model, num_symbols: int, params: Params, state: State, symbols: Array) -> Array:
    first = model.read_out(params, state[0])
    xs = jax.nn.one_hot(symbols[:, :-1].T, num_symbols + 1, dtype=jnp.float32)
    _, rest = lax.scan(lambda s, x: model.step(params, s, x), tuple(state), xs)
    return jnp.swapaxes(jnp.concatenate([first[None], rest]), 0, 1)
