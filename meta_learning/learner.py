"""The meta-learner: a sequence model that predicts the next symbol of a process's streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from autoregressive import checkpoint
from autoregressive.checkpoint import CheckpointError, check_params, part
from autoregressive.model import Model, make_model
from autoregressive.pace import SCORING, tell
from autoregressive.scores import normalised
from autoregressive.training import Trainer
from meta_learning.processes import Process, drawn_places
from meta_learning.recipes import Recipe

# Symbols evaluated in one compiled call: bounds the memory of a prediction.
_EVALUATION_CHUNK = 2**18
# Weights times symbols in one such call: some seconds on two cores.
_EVALUATION_WORK = 2**38
# What a learning curve holds, a number each point.
CURVES = ("symbols", "train_loss", "held_out_loss", "held_out_gap")
# Which of a seed's random keys is used for what.
INIT, TRAINING, HELD_OUT, TEST, PAIRS = range(5)


def learner_model(num_symbols: int, cell: str = "lstm", hidden: int = 32) -> Model:
    """The network of the coursework: cell -> ReLU -> 64 -> ReLU -> K + 1 outcomes."""
    return make_model(cell, hidden, num_symbols + 1, num_symbols + 1)


def encode(symbols: Array, num_symbols: int) -> Array:
    """The network's inputs RESET, x_1, .., x_{L-1}, one-hot: (B, L) -> float32 (B, L, K+1)."""
    start = jnp.full((*symbols.shape[:-1], 1), num_symbols, symbols.dtype)
    shifted = jnp.concatenate([start, symbols[..., :-1]], axis=-1)
    return jax.nn.one_hot(shifted, num_symbols + 1, dtype=jnp.float32)


@dataclass(frozen=True, eq=False)
class Learner:
    """A trained network as a predictor.

    num_symbols: K, without RESET. settings: how it came to be, as JSON values. history: the learning
    curves, arrays of one length: ``symbols``, ``train_loss``, ``held_out_loss``, ``held_out_gap``
    (KL from Bayes), and the number ``bayes_loss``, in nats a drawn symbol.
    """

    model: Model
    params: dict[str, Array]
    num_symbols: int
    settings: dict[str, Any]
    history: dict[str, np.ndarray] = field(default_factory=dict)

    def log_predictive(self, symbols: Any) -> np.ndarray:
        """log q(x_t | x_<t) in nats. symbols: int (..., L). Returns float64 (..., L, K+1).

        The network runs in float32; its logits are normalised in float64, so every row sums to 1.
        Errors: ValueError where a symbol is outside 0..K.
        """
        symbols = self.checked(symbols)
        flat = symbols.reshape(-1, symbols.shape[-1])
        weights = sum(leaf.size for leaf in self.params.values())
        most = min(_EVALUATION_CHUNK, _EVALUATION_WORK // weights)
        rows = max(1, min(most // max(flat.shape[-1], 1), len(flat)))
        out = np.empty((*flat.shape, self.num_symbols + 1))
        for start in range(0, len(flat), rows):
            chunk = flat[start : start + rows]
            # A short last chunk is padded, so that one compiled program serves all.
            padded = np.pad(chunk, ((0, rows - len(chunk)), (0, 0)))
            logits = _logits(self.model, self.num_symbols, self.params, padded)
            out[start : start + len(chunk)] = normalised(np.asarray(logits)[: len(chunk)])
            tell(SCORING, start + len(chunk), len(flat))
        return out.reshape(*symbols.shape, self.num_symbols + 1)

    def checked(self, symbols: Any) -> np.ndarray:
        """The symbols as an array. Errors: ValueError as for ``log_predictive``."""
        symbols = np.asarray(symbols)
        if symbols.ndim < 1 or symbols.shape[-1] < 1 or symbols.dtype.kind not in "iu":
            raise ValueError(
                f"symbols must be whole numbers with a last axis of one or more places; "
                f"got {symbols.dtype} {symbols.shape}"
            )
        if symbols.size and not (symbols.min() >= 0 and symbols.max() <= self.num_symbols):
            raise ValueError(
                f"this network knows the symbols 0..{self.num_symbols}, RESET included; "
                f"got {symbols.min()}..{symbols.max()}"
            )
        return symbols

    def save(self, path: str | Path) -> None:
        """Writes the network, its settings and its learning curves. Errors: OSError."""
        tensors = {f"params.{k}": np.asarray(v) for k, v in self.params.items()}
        tensors |= {f"history.{k}": np.asarray(v) for k, v in self.history.items()}
        checkpoint.save(path, tensors, {"kind": "meta-learner", **self.settings})

    @classmethod
    def load(cls, path: str | Path) -> Learner:
        """Reads what ``save`` wrote.

        Errors: CheckpointError where the file is no checkpoint, is damaged, holds another kind of
        network, or its tensors do not fit the network its header describes.
        """
        tensors, header = checkpoint.load(path)
        kind = header.pop("kind", None)
        if kind != "meta-learner":
            raise CheckpointError(f"{path} holds a {kind!r}, expected a 'meta-learner'")
        try:
            _check_settings(header)
            num_symbols = header["num_symbols"]
            model = learner_model(num_symbols, header["cell"], header["hidden"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: the header is incomplete or wrong: {error}") from None
        params, history = part(tensors, "params."), part(tensors, "history.")
        check_params(path, jax.eval_shape(model.init, jax.random.key(0)), params)
        _check_history(path, history)
        return cls(
            model,
            {k: jnp.asarray(v) for k, v in params.items()},
            num_symbols,
            header,
            history,
        )


def _check_settings(header: dict[str, Any]) -> None:
    """Errors: ValueError, TypeError where what names files or is multiplied is not a plain number."""
    recipe = header.get("recipe", {})
    if not isinstance(recipe, dict):
        raise TypeError(f"recipe is {type(recipe).__name__}, expected an object")
    sizes = {name: recipe.get(name, 1) for name in ("iterations", "batch_size", "unroll")}
    sizes |= {name: header[name] for name in ("num_symbols", "hidden")}
    for name, value in {**sizes, "seed": header.get("seed", 0)}.items():
        if type(value) is not int or not 0 <= value < 2**31:
            raise ValueError(f"{name} is {value!r}, expected a whole number below 2**31")


def _check_history(path: str | Path, history: dict[str, np.ndarray]) -> None:
    """Errors: CheckpointError unless the learning curves are there in one length, or not at all."""
    curves = [history.get(name) for name in CURVES]
    lengths = {None if c is None or c.ndim != 1 else len(c) for c in curves}
    floor = history.get("bayes_loss")
    if history and (len(lengths) > 1 or None in lengths or floor is None or floor.size != 1):
        raise CheckpointError(f"{path}: the learning curves are incomplete or of different lengths")


def _logits_of(model: Model, num_symbols: int, params: Any, symbols: Array) -> Array:
    return model.logits(params, encode(symbols, num_symbols))


_logits = jax.jit(_logits_of, static_argnums=(0, 1))


def losses(
    model: Model, num_symbols: int, params: Any, symbols: Array, drawn: np.ndarray
) -> tuple[Array, Array]:
    """Mean of -log q over all places, and over the drawn ones, in nats: scalars, float32.

    symbols: int (B, L). drawn: bool (L,), ``drawn_places``; where there is none the second is 0.
    """
    logits = _logits_of(model, num_symbols, params, symbols)
    targets = jax.nn.one_hot(symbols, num_symbols + 1, dtype=jnp.float32)
    nats = optax.softmax_cross_entropy(logits, targets)
    weights = jnp.asarray(drawn / max(drawn.sum(), 1), jnp.float32)
    return nats.mean(), (nats.mean(0) * weights).sum()


def make_trainer(process: Process, model: Model, recipe: Recipe) -> Trainer:
    """Trains ``model`` on fresh streams of ``process``, drawn on the device, cut at the unroll.

    The loss is the mean of -log q(x_t | x_<t) over all places; what is reported, over drawn ones.
    """
    drawn = drawn_places(recipe.unroll, process.task_length)

    def loss(params: Any, symbols: Array) -> tuple[Array, Array]:
        return losses(model, process.num_symbols, params, symbols, drawn)

    def draw(data: Any, key: Array, start: Array, n: int) -> Array:
        def one(iteration: Array) -> Array:
            key_now = jax.random.fold_in(key, iteration)
            return process.sample(key_now, recipe.batch_size, recipe.unroll)

        return jax.vmap(one)(start + jnp.arange(n))

    how = recipe.optimization
    return Trainer(
        loss,
        how.transformation(recipe.iterations),
        draw,
        how.averaging * recipe.iterations,
    )
