"""Learners from the cache, or trained now; a run that was stopped goes on where it was."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from autoregressive.checkpoint import CheckpointError, settings_digest
from autoregressive.pace import TRAINING as PACE_OF_TRAINING
from autoregressive.pace import tell
from autoregressive.resume import History, Unfinished, cache_may_fail
from autoregressive.training import TrainState, fit
from autoregressive.versions import versions
from meta_learning.learner import (
    CURVES,
    HELD_OUT,
    INIT,
    TRAINING,
    Learner,
    encode,
    learner_model,
    make_trainer,
)
from meta_learning.processes import Process, drawn_places
from meta_learning.recipes import Recipe

log = logging.getLogger(__name__)

# Weights times symbols in one compiled chunk: some seconds on two cores.
_CHUNK_WORK = 10**10
# Held-out symbols: 512 streams of about 100.
HELD_OUT_SYMBOLS = 51_200


class Point(NamedTuple):
    """A point of the learning curves while training runs. Losses in nats, mean over seeds."""

    iteration: int
    iterations: int
    train_loss: float
    held_out_loss: float


def stream_length(task_length: float) -> int:
    """L of test streams: whole tasks, about 100 symbols. T * max(1, floor(100 / T)); 100 for inf."""
    if task_length == float("inf"):
        return 100
    return int(task_length) * max(1, 100 // int(task_length))


def learner_settings(
    process: Process, recipe: Recipe, cell: str, hidden: int, seed: int
) -> dict[str, Any]:
    """What decides a trained network, as JSON values: the identity under which it is cached."""
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

    folder: where finished networks are kept and where an unfinished run is saved; None keeps none.
    Errors: ValueError for an unknown cell or a size < 1; TrainingDiverged.
    """
    wanted = [learner_settings(process, recipe, cell, hidden, seed) for seed in seeds]
    found = {s["seed"]: _from_cache(folder, s) for s in wanted}
    missing = [s for s in wanted if found[s["seed"]] is None]
    if missing:
        if process.task_length < math.inf and process.task_length > recipe.unroll:
            log.warning(
                "tasks of T=%d are longer than the unroll of %d: the network never sees a RESET; "
                "a longer --unroll shows it some",
                process.task_length,
                recipe.unroll,
            )
        for learner in _train_together(process, recipe, missing, folder, on_point):
            found[learner.settings["seed"]] = learner
            with cache_may_fail(folder):
                if folder is not None:
                    learner.save(_network_path(folder, learner.settings))
    return [one for seed in seeds if (one := found[seed]) is not None]


def _train_together(
    process: Process,
    recipe: Recipe,
    settings: list[dict[str, Any]],
    folder: Path | None,
    on_point: Callable[[Point], None],
) -> list[Learner]:
    tell(PACE_OF_TRAINING, 0, recipe.iterations)
    num_symbols = process.num_symbols
    model = learner_model(num_symbols, settings[0]["cell"], settings[0]["hidden"])
    trainer = make_trainer(process, model, recipe)
    roots = [jax.random.key(s["seed"]) for s in settings]
    inits = [model.init(jax.random.fold_in(k, INIT), recipe.timescale) for k in roots]
    # Compiled as one program: dozens of small ones would take a second.
    state = jax.jit(lambda inits: trainer.init(jax.tree.map(lambda *x: jnp.stack(x), *inits)))(
        inits
    )
    keys = jnp.stack([jax.random.fold_in(k, TRAINING) for k in roots])

    length = stream_length(process.task_length)
    drawn = drawn_places(length, process.task_length)
    held_out_streams = max(2, HELD_OUT_SYMBOLS // length)
    held_out = jnp.stack(
        [process.sample(jax.random.fold_in(k, HELD_OUT), held_out_streams, length) for k in roots]
    )
    log_bayes = np.stack([process.log_predictive(symbols) for symbols in np.asarray(held_out)])
    bayes = [
        _bayes_loss(rows, symbols, drawn)
        for rows, symbols in zip(log_bayes, np.asarray(held_out), strict=True)
    ]
    targets = jnp.asarray(np.exp(log_bayes[..., drawn, :]), jnp.float32)

    @jax.jit
    def evaluate(state: TrainState) -> tuple[Any, Any]:
        """Held-out loss at drawn places, and the gap KL(Bayes || network) there, each (seeds,)."""

        def one(seed: Any) -> Any:
            params, symbols, p = seed
            log_q = jax.nn.log_softmax(
                model.logits(params, encode(symbols, num_symbols))[:, drawn, :]
            )
            here = symbols[:, drawn]
            picked = jnp.take_along_axis(log_q, here[..., None], -1)
            return -picked.mean(), (jax.scipy.special.xlogy(p, p) - p * log_q).sum(-1).mean()

        return jax.lax.map(one, (trainer.averaged(state), held_out, targets))

    run = Unfinished(
        folder, settings_digest(settings), {"settings": settings, "versions": versions()}
    )
    state, history = run.resume(state, CURVES)
    if not history["symbols"]:
        add_point(history, 0, np.full(len(settings), np.nan), *evaluate(state))
    every = recipe.iterations_per_point
    points = {*range(every, recipe.iterations, every), recipe.iterations}
    weights = sum(leaf.size for leaf in jax.tree.leaves(state.params))  # of all seeds
    most = max(1, _CHUNK_WORK // (weights * recipe.batch_size * recipe.unroll))
    between = range(most, recipe.iterations, most) if most < every else ()
    with run.saved_on_interrupt():
        for progress in fit(trainer, state, keys, None, sorted({*points, *between})):
            state = progress.state
            if progress.iteration not in points:
                run.keep(state, history)
                continue
            held_out_loss, held_out_gap = evaluate(state)
            symbols = progress.iteration * recipe.batch_size * recipe.unroll
            add_point(history, symbols, progress.loss, held_out_loss, held_out_gap)
            run.keep(state, history)
            on_point(
                Point(
                    progress.iteration,
                    recipe.iterations,
                    float(progress.loss.mean()),
                    float(held_out_loss.mean()),
                )
            )
    averaged = trainer.averaged(state)
    run.done()

    learners = []
    for index, of_seed in enumerate(settings):
        curves = {name: np.asarray(history[name])[:, index] for name in CURVES[1:]}
        curves["symbols"] = np.asarray(history["symbols"], np.int64)
        curves["bayes_loss"] = np.asarray(bayes[index])
        params = jax.tree.map(lambda leaf, i=index: leaf[i], averaged)
        header = {**of_seed, "versions": versions()}
        learners.append(Learner(model, params, num_symbols, header, curves))
    return learners


def add_point(history: History, symbols: int, *losses: Any) -> None:
    """Adds a point to the learning curves, in the order of their names; one number a seed each."""
    history["symbols"].append(symbols)
    for name, values in zip(CURVES[1:], losses, strict=True):
        history[name].append(np.asarray(values, np.float32))


def _bayes_loss(log_bayes: np.ndarray, symbols: np.ndarray, drawn: np.ndarray) -> float:
    """Bayes's mean loss at drawn places, NaN where there are none."""
    picked = np.take_along_axis(log_bayes, symbols[..., None], -1)[..., 0][:, drawn]
    return float(-picked.mean()) if picked.size else float("nan")


def _from_cache(folder: Path | None, settings: dict[str, Any]) -> Learner | None:
    if folder is None:
        return None
    path = _network_path(folder, settings)
    if not path.exists():
        return None
    try:
        learner = Learner.load(path)
    except CheckpointError as error:
        log.warning("training anew: %s", error)
        return None
    made_by = learner.settings.get("versions", {})
    if made_by != versions():
        other = [f"{k} {v}" for k, v in made_by.items() if versions().get(k) != v]
        log.warning("training anew: the cached %s was written by %s", path, ", ".join(other))
        return None
    return learner


def _network_path(folder: Path, settings: dict[str, Any]) -> Path:
    identity = {k: v for k, v in settings.items() if k != "versions"}
    return folder / "networks" / f"{settings_digest(identity)}.safetensors"
