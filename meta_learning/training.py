"""Training learners: those in the cache are loaded, and a run that was stopped is resumed."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Float32, Integer

from autoregressive import pace
from autoregressive.cells.base import Params
from autoregressive.checkpoint import settings_digest
from autoregressive.header import Settings
from autoregressive.model import Model
from autoregressive.resume import History, Value
from autoregressive.training import TrainState, fit
from autoregressive.training_runs import (
    Stop,
    TrainingRun,
    find_or_train,
    get_curves,
    get_seed,
)
from autoregressive.versions import versions
from meta_learning.learner import (
    HELD_OUT,
    INIT,
    TRAINING,
    Learner,
    encode,
    learner_model,
    make_trainer,
)
from meta_learning.processes import Process, drawn_places
from meta_learning.processes.places import stream_length
from meta_learning.recipes import Recipe

log = logging.getLogger(__name__)

# Parameters times symbols in one compiled chunk: some seconds on two cores.
_CHUNK_WORK = 10**10
# Held-out symbols: 512 streams of about 100.
HELD_OUT_SYMBOLS = 51_200
# Numbers of hidden states (streams x places x hidden) in memory at once where streams are scored.
_HELD_OUT_UNITS = 2**24

# Of one seed, or of all seeds.
LossAndGap = tuple[Float32[Array, "*seeds"], Float32[Array, "*seeds"]]


class Point(NamedTuple):
    """A point of the learning curves while training runs. Losses in nats a symbol, mean over seeds."""

    iteration: int
    iterations: int
    train_loss: float
    held_out_loss: float


def learner_settings(
    process: Process, recipe: Recipe, cell: str, hidden: int, seed: int
) -> Settings:
    """What determines a trained network, as JSON values: the identity under which it is cached."""
    return {
        "process": {"name": process.name, **process.settings()},
        "num_symbols": process.num_symbols,
        "cell": cell,
        "hidden": hidden,
        "recipe": recipe.settings(),
        "seed": seed,
    }


def train(
    process: Process,
    recipe: Recipe,
    *,
    seeds: Sequence[int] = (0,),
    cell: str = "lstm",
    hidden: int = 32,
    folder: Path | None = None,
    on_point: Callable[[Point], None] = lambda point: None,
) -> list[Learner]:
    """One learner a seed. Those found under ``folder`` are loaded, the rest trained together.

    folder: where finished networks are kept and an unfinished run is saved; None keeps nothing.
    on_point: called at every point of the learning curves. Errors: ValueError for an unknown cell or a
    size < 1; TrainingDiverged.
    """
    wanted = [learner_settings(process, recipe, cell, hidden, seed) for seed in seeds]

    def train_missing(missing: list[Settings]) -> list[Learner]:
        if process.task_length < math.inf and process.task_length > recipe.unroll:
            log.warning(
                "tasks of T=%d are longer than the unroll of %d: the network never sees a RESET; "
                "a longer --unroll shows it some",
                process.task_length,
                recipe.unroll,
            )
        return _train_together(process, recipe, missing, folder, on_point)

    return find_or_train(Learner, wanted, folder, train_missing)


def train_start(learner: Learner, process: Process, recipe: Recipe, iterations: int) -> Learner:
    """``learner`` as it was after the first ``iterations`` of its training, by ``train_stages``."""
    (stage,) = train_stages(learner, process, recipe, [iterations])
    return stage


def train_stages(
    learner: Learner, process: Process, recipe: Recipe, iterations: Sequence[int]
) -> Iterator[Learner]:
    """``learner`` as it was after each number of ``iterations`` of its training, trained once more.

    process, recipe: those of its training. iterations: increasing. It is the same up to rounding: its
    seed, streams and schedule are. Its history is empty. Errors: TrainingDiverged.
    """
    key = jax.random.key(learner.settings["seed"])
    trainer = make_trainer(process, learner.model, recipe)
    params = learner.model.init(jax.random.fold_in(key, INIT), recipe.timescale)
    state = trainer.init(jax.tree.map(lambda leaf: leaf[None], params))
    keys = jax.random.fold_in(key, TRAINING)[None]
    for progress in fit(trainer, state, keys, None, iterations):
        params = get_seed(trainer.get_params(progress.state), 0)
        yield Learner(learner.model, params, learner.num_symbols, learner.settings)


def _train_together(
    process: Process,
    recipe: Recipe,
    settings: list[Settings],
    folder: Path | None,
    on_point: Callable[[Point], None],
) -> list[Learner]:
    pace.tell(pace.TRAINING, 0, recipe.iterations)
    model = learner_model(process.num_symbols, settings[0]["cell"], settings[0]["hidden"])
    every = recipe.iterations_per_point
    points = {*range(every, recipe.iterations, every), recipe.iterations}
    run = TrainingRun(
        make_trainer(process, model, recipe),
        settings,
        lambda key: model.init(key, recipe.timescale),
        _stops(model, recipe, len(settings), points),
        points,
        Learner.curves,
    )
    evaluate, bayes = _held_out(process, model, run)

    def measure(stop: Stop, history: History) -> dict[str, Value]:
        loss, gap = evaluate(stop.state)
        return {
            "symbols": stop.iteration * recipe.batch_size * recipe.unroll,
            "train_loss": np.asarray(stop.loss, np.float32),
            "held_out_loss": np.asarray(loss),
            "held_out_gap": np.asarray(gap),
        }

    def on_stop(stop: Stop, history: History) -> None:
        if stop.point is not None and stop.iteration:
            train_loss = float(stop.loss.mean())
            held_out_loss = float(np.asarray(stop.point["held_out_loss"]).mean())
            on_point(Point(stop.iteration, recipe.iterations, train_loss, held_out_loss))

    state, history = run.run(folder, settings_digest(settings), measure, on_stop)
    averaged = run.trainer.get_params(state)
    return [
        Learner(
            model,
            get_seed(averaged, i),
            process.num_symbols,
            {**of_seed, "versions": versions()},
            get_curves(history, i) | {"bayes_loss": np.asarray(bayes[i])},
        )
        for i, of_seed in enumerate(settings)
    ]


def _stops(model: Model, recipe: Recipe, seeds: int, points: set[int]) -> list[int]:
    """Where compiled chunks end: at the points, and between them where those are far apart."""
    init = jax.eval_shape(model.init, jax.random.key(0))
    weights = seeds * sum(leaf.size for leaf in jax.tree.leaves(init))
    most = max(1, _CHUNK_WORK // (weights * recipe.batch_size * recipe.unroll))
    every = recipe.iterations_per_point
    between = range(most, recipe.iterations, most) if most < every else ()
    return sorted({*points, *between})


def _held_out(
    process: Process, model: Model, run: TrainingRun
) -> tuple[Callable[[TrainState], LossAndGap], list[float]]:
    """A function that scores a training state on held-out streams, and Bayes's loss there, by seed.

    Each seed has its own streams. The function gives the mean loss and the gap KL(Bayes || network) at
    drawn places, nats, each (seeds,).
    """
    num_symbols, length = process.num_symbols, stream_length(process.task_length)
    drawn = drawn_places(length, process.task_length)
    streams = max(2, HELD_OUT_SYMBOLS // length)
    held_out = jnp.stack(
        [process.sample(jax.random.fold_in(k, HELD_OUT), streams, length) for k in run.keys]
    )
    log_bayes = np.stack([process.log_predictive(symbols) for symbols in np.asarray(held_out)])
    bayes = [
        _bayes_loss(rows, symbols, drawn)
        for rows, symbols in zip(log_bayes, np.asarray(held_out), strict=True)
    ]
    targets = jnp.asarray(np.exp(log_bayes[..., drawn, :]), jnp.float32)

    pieces = _held_out_pieces(streams, length * model.cell.hidden)

    Symbols = Integer[Array, "streams length"]
    Predictive = Float[Array, "streams drawn outcomes"]

    @jax.jit
    def evaluate(state: TrainState) -> LossAndGap:
        def one_seed(seed: tuple[Params, Symbols, Predictive]) -> LossAndGap:
            params, symbols, p = seed

            def score(piece: tuple[Symbols, Predictive]) -> LossAndGap:
                symbols, p = piece
                log_q = jax.nn.log_softmax(
                    model.logits(params, encode(symbols, num_symbols))[:, drawn, :]
                )
                here = symbols[:, drawn]
                picked = jnp.take_along_axis(log_q, here[..., None], -1)
                return -picked.mean(), (jax.scipy.special.xlogy(p, p) - p * log_q).sum(-1).mean()

            if pieces == 1:
                return score((symbols, p))
            cut = jax.tree.map(lambda x: x.reshape(pieces, -1, *x.shape[1:]), (symbols, p))
            loss, gap = jax.lax.map(score, cut)
            return loss.mean(), gap.mean()

        return jax.lax.map(one_seed, (run.trainer.get_params(state), held_out, targets))

    return evaluate, bayes


def _held_out_pieces(streams: int, units: int) -> int:
    """Into how many equal pieces the streams are cut, so that each fits in memory. units: numbers of
    hidden states of one stream."""
    return next(
        n
        for n in range(1, streams + 1)
        if streams % n == 0 and (streams // n * units <= _HELD_OUT_UNITS or n == streams)
    )


def _bayes_loss(
    log_bayes: Float[np.ndarray, "streams length outcomes"],
    symbols: Integer[np.ndarray, "streams length"],
    drawn: Bool[np.ndarray, " length"],
) -> float:
    """Bayes's mean loss at drawn places, NaN where there are none."""
    picked = np.take_along_axis(log_bayes, symbols[..., None], -1)[..., 0][:, drawn]
    return float(-picked.mean()) if picked.size else float("nan")
