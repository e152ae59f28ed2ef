"""The meta-learner: a sequence model that predicts the next symbol of a process's streams."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32, Integer, PRNGKeyArray, Shaped

from autoregressive import training_runs
from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Params
from autoregressive.header import Header, Settings, get_text, get_whole
from autoregressive.model import Model, make_model
from autoregressive.network import Network
from autoregressive.pace import SCORING, tell
from autoregressive.scores import log_softmax
from autoregressive.training import Trainer
from autoregressive.vectors import WIDE
from meta_learning.processes import Process, Streams, drawn_places
from meta_learning.processes.types import ArrayLike, Symbols
from meta_learning.recipes import Recipe

# Symbols evaluated in one compiled call: bounds the memory of a prediction.
_EVALUATION_CHUNK = 2**18
# Parameters times symbols in one such call: some seconds on two cores.
_EVALUATION_WORK = 2**38
# Numbers folded into a seed's random key, one a purpose: those of any training, and more.
INIT, TRAINING = training_runs.INIT, training_runs.TRAINING
HELD_OUT, TEST, PAIRS = range(2, 5)


def learner_model(num_symbols: int, cell: str = "lstm", hidden: int = 32) -> Model:
    """The network of the coursework: cell -> ReLU -> 64 -> ReLU -> K + 1 outcomes.

    Errors: ValueError for an unknown cell or a size < 1.
    """
    return make_model(cell, hidden, num_symbols + 1, num_symbols + 1)


def encode(
    symbols: Integer[AnyArray, "*batch length"], num_symbols: int
) -> Float32[Array, "*batch length {num_symbols+1}"]:
    """The network's inputs RESET, x_1, .., x_{L-1}, one-hot: (B, L) -> float32 (B, L, K+1)."""
    start = jnp.full((*symbols.shape[:-1], 1), num_symbols, symbols.dtype)
    shifted = jnp.concatenate([start, symbols[..., :-1]], axis=-1)
    return jax.nn.one_hot(shifted, num_symbols + 1, dtype=jnp.float32)


@dataclass(frozen=True, eq=False, repr=False)
class Learner(Network):
    """A trained network as a predictor.

    num_symbols: K, without RESET. settings: how it came to be, as JSON values. history: the learning
    curves (points,) ``symbols``, ``train_loss``, ``held_out_loss`` and ``held_out_gap``, which is
    KL(Bayes || network), and the number ``bayes_loss``; all but the first in nats a drawn symbol.
    """

    kind = "meta-learner"
    curves = ("symbols", "train_loss", "held_out_loss", "held_out_gap")
    floors = ("bayes_loss",)
    model: Model
    params: Params
    num_symbols: int
    settings: Settings
    history: dict[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)

    def log_predictive(
        self, symbols: Symbols
    ) -> Float64[np.ndarray, "*streams length {self.num_symbols+1}"]:
        """log q(x_t | x_<t) in nats. symbols: int (..., L). Returns float64 (..., L, K+1).

        The network runs in float32; its logits are normalised in float64, so every row sums to 1.
        Errors: ValueError where a symbol is outside 0..K, or the network's weights are so large that
        its logits are NaN or all -inf.
        """
        symbols = self.check(symbols)
        flat = symbols.reshape(-1, symbols.shape[-1])
        weights = sum(leaf.size for leaf in self.params.values())
        most = min(_EVALUATION_CHUNK, _EVALUATION_WORK // weights)
        out = np.empty((*flat.shape, self.num_symbols + 1))
        for where, logits in self.run_in_chunks(flat, most // flat.shape[-1]):
            out[where] = log_probabilities(logits)
            tell(SCORING, where.stop, len(flat))
        return out.reshape(*symbols.shape, self.num_symbols + 1)

    def run(
        self, rows: Integer[np.ndarray, "n length"]
    ) -> Float[Array, "n length {self.num_symbols+1}"]:
        return _logits(self.model, self.num_symbols, self.params, rows)

    def check(self, rows: ArrayLike) -> Integer[np.ndarray, "*streams length"]:
        """The symbols as an array. Errors: ValueError as for ``log_predictive``."""
        symbols = np.asarray(rows)
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

    @classmethod
    def read_header(cls, header: Header) -> tuple[Model, Settings]:
        num_symbols = get_whole(header, "num_symbols")
        model = learner_model(num_symbols, get_text(header, "cell"), get_whole(header, "hidden"))
        return model, {"num_symbols": num_symbols}


def log_probabilities(
    logits: Float[np.ndarray, "*places outcomes"],
) -> Float64[np.ndarray, "*places outcomes"]:
    """A network's logits (..., K+1) as float64 log-probabilities; a logit of -inf is probability 0.

    Errors: ValueError where a row is no distribution: it has a NaN, or its largest logit is infinite.
    """
    if not np.isfinite(logits.max(-1)).all():
        raise ValueError(
            "the network's outputs are no probabilities on some stream: NaN, or beyond float32; train "
            "it anew"
        )
    return log_softmax(logits)


def _logits_of(
    model: Model, num_symbols: int, params: Params, symbols: Integer[AnyArray, "*batch length"]
) -> Float[Array, "*batch length {num_symbols+1}"]:
    return model.logits(params, encode(symbols, num_symbols))


_logits = jax.jit(_logits_of, static_argnums=(0, 1), compiler_options=WIDE)


def losses(
    model: Model,
    num_symbols: int,
    params: Params,
    symbols: Integer[AnyArray, "batch length"],
    drawn: Bool[np.ndarray, " length"],
    targets: Float[Array, "batch length {num_symbols+1}"] | None = None,
) -> tuple[Float32[Array, ""], Float32[Array, ""]]:
    """Means of -log q in nats over all places, and over the drawn ones: scalars, float32.

    symbols: int (B, L). drawn: bool (L,), of ``drawn_places``; where none is drawn the second is 0.
    targets: probabilities of the symbols, by which -log q is weighted; None: of the symbol that came.
    """
    logits = _logits_of(model, num_symbols, params, symbols)
    if targets is None:
        targets = jax.nn.one_hot(symbols, num_symbols + 1, dtype=jnp.float32)
    nats = optax.softmax_cross_entropy(logits, targets)
    weights = jnp.asarray(drawn / max(drawn.sum(), 1), jnp.float32)
    return nats.mean(), (nats.mean(0) * weights).sum()


def make_trainer(process: Process, model: Model, recipe: Recipe) -> Trainer:
    """Trains ``model`` on fresh streams of ``process``, drawn on the device and cut at the unroll.

    The loss is the mean over all places of -log q(x_t | x_<t), or of the cross-entropy from the oracle
    where the recipe's targets say so; the reported one is the mean over drawn places.
    """
    drawn = drawn_places(recipe.unroll, process.task_length)
    oracle = recipe.targets == "oracle"

    def loss(
        params: Params, batch: Integer[Array, "batch length"] | Streams
    ) -> tuple[Float32[Array, ""], Float32[Array, ""]]:
        if not isinstance(batch, Streams):
            return losses(model, process.num_symbols, params, batch, drawn)
        targets = process.probabilities_given_latent(batch)
        return losses(model, process.num_symbols, params, batch.symbols, drawn, targets)

    def draw(
        data: None, key: PRNGKeyArray, start: Int[Array, ""], n: int
    ) -> Int32[Array, "n batch length"] | Streams:
        def one(iteration: Int[Array, ""]) -> Int32[Array, "batch length"] | Streams:
            key_now = jax.random.fold_in(key, iteration)
            streams = process.sample_with_latent(key_now, recipe.batch_size, recipe.unroll)
            return streams if oracle else streams.symbols

        return jax.vmap(one)(start + jnp.arange(n))

    how = recipe.optimization
    return Trainer(
        loss,
        how.transformation(recipe.iterations),
        draw,
        how.averaging * recipe.iterations,
        recipe.batch_size,
    )
