"""A training from its seeds to finished networks: several at once, resumed, or found in a folder.

Training on symbols and training on pixels each say which trainer, where chunks end, and what learning
curves measure; what they share is here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, PRNGKeyArray, PyTree, Shaped

from autoregressive.checkpoint import CheckpointError, settings_digest
from autoregressive.header import Settings
from autoregressive.network import Network
from autoregressive.resume import History, Unfinished, Value, warn_if_unwritable
from autoregressive.training import Trainer, TrainState, fit
from autoregressive.versions import versions

log = logging.getLogger(__name__)

Tree = TypeVar("Tree")
N = TypeVar("N", bound=Network)
# Numbers folded into a seed's random key, one a purpose. A kind of network may have more, from 2 on.
INIT, TRAINING = range(2)


class Stop(NamedTuple):
    """A moment of training, after a compiled chunk or before the first.

    loss: the chunk's mean loss by seed, NaN before the first. seconds: spent on training since the last
    point of the curves, or since this process began; measuring is not counted. rate: iterations a second
    in this process. point: the learning curves' values here by name; None between their points.
    """

    state: TrainState
    iteration: int
    loss: Float[np.ndarray, " seeds"]
    seconds: float
    rate: float
    point: dict[str, Value] | None = None


@dataclass(frozen=True)
class TrainingRun:
    """What is trained. Seeds share one program; each has the bits that it has alone.

    settings: for each seed, what determines its network, ``seed`` included. init: a random key ->
    parameters. stops: iterations after which a compiled chunk ends. points: those of them at which
    learning curves are measured. curves: names of these. saved: iterations after which the state is
    written even if the last save was a moment ago. data: passed to the trainer.
    """

    trainer: Trainer
    settings: Sequence[Settings]
    init: Callable[[PRNGKeyArray], PyTree[Array]]
    stops: Sequence[int]
    points: Collection[int]
    curves: Sequence[str]
    saved: Collection[int] = ()
    data: PyTree[Array] = None

    @property
    def keys(self) -> list[PRNGKeyArray]:
        """The random key of each seed, into which ``INIT``, ``TRAINING`` and others are folded."""
        return [jax.random.key(s["seed"]) for s in self.settings]

    def run(
        self,
        folder: Path | None,
        name: str,
        measure: Callable[[Stop, History], Mapping[str, Value]],
        on_stop: Callable[[Stop, History], None] = lambda stop, history: None,
    ) -> tuple[TrainState, History]:
        """Trains to the last stop; resumes the run of this ``name`` under ``folder`` if there is one.

        measure: gives the curves' values at a point, by name. on_stop: called at every stop, and before
        the first unless the run is resumed; a run that is interrupted in it calls it for the same stop
        again when it is resumed. Returns the last state, and the curves as lists. Errors:
        TrainingDiverged.
        """
        fresh = self._fresh()
        identity = {"settings": list(self.settings), "versions": versions()}
        unfinished = Unfinished(folder, name, identity)
        state, history = unfinished.resume(fresh, self.curves)

        def measure_and_tell(stop: Stop) -> None:
            if stop.iteration in self.points or not stop.iteration:
                point = dict(measure(stop, history))
                for curve in self.curves:
                    history[curve].append(point[curve])
                stop = stop._replace(point=point)
            on_stop(stop, history)

        if not history[self.curves[0]]:
            measure_and_tell(Stop(state, 0, np.full(len(self.settings), np.nan), 0.0, 0.0))
        keys = jnp.stack([jax.random.fold_in(key, TRAINING) for key in self.keys])
        first, started = int(state.iteration[0]), time.monotonic()
        # Seconds of measuring so far, and of training up to the last point of the curves.
        measuring, at_point = 0.0, 0.0
        with unfinished.save_on_interrupt():
            for progress in fit(self.trainer, state, keys, self.data, self.stops):
                state, pause = progress.state, time.monotonic()
                seconds = pause - started - measuring
                rate = (progress.iteration - first) / max(seconds, 1e-9)
                measure_and_tell(
                    Stop(state, progress.iteration, progress.loss, seconds - at_point, rate)
                )
                if progress.iteration in self.points:
                    at_point = seconds
                unfinished.keep(state, history, save=progress.iteration in self.saved)
                measuring += time.monotonic() - pause
        unfinished.remove()
        return state, history

    def _fresh(self) -> TrainState:
        inits = [self.init(jax.random.fold_in(key, INIT)) for key in self.keys]
        # Compiled as one program: dozens of small ones would take a second.
        return jax.jit(
            lambda inits: self.trainer.init(jax.tree.map(lambda *leaves: jnp.stack(leaves), *inits))
        )(inits)


def get_seed(tree: Tree, index: int) -> Tree:
    """One seed's part of a tree of arrays (seeds, ...)."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def get_curves(history: History, index: int) -> dict[str, Shaped[np.ndarray, " points"]]:
    """One seed's learning curves (points,). A curve of single numbers is the same for all seeds."""
    curves = {name: np.asarray(values) for name, values in history.items()}
    return {name: v[:, index] if v.ndim == 2 else v for name, v in curves.items()}


def find_or_train(
    kind: type[N],
    settings: Sequence[Settings],
    folder: Path | None,
    train: Callable[[list[Settings]], list[N]],
) -> list[N]:
    """One network for each of ``settings``: from ``folder``, or else trained, and kept there.

    train: trains the networks of all settings that it is given, those not found, together. A folder that
    cannot be written is a warning. Errors: those of ``train``.
    """
    found = {}
    if folder is not None:
        for one in settings:
            network = find_network(kind, network_path(folder, one), one)
            if network is not None:
                found[settings_digest(one)] = network
    missing = {settings_digest(s): s for s in settings if settings_digest(s) not in found}
    if missing:
        trained = train(list(missing.values()))
        for (digest, one), network in zip(missing.items(), trained, strict=True):
            found[digest] = network
            if folder is not None:
                with warn_if_unwritable(folder):
                    network.save(network_path(folder, one))
    return [found[settings_digest(one)] for one in settings]


def find_network(kind: type[N], path: Path, settings: Settings) -> N | None:
    """The network at ``path`` if it was trained with these settings and these versions, else None; the
    log says why not. settings: without the versions."""
    if not path.exists():
        return None
    try:
        network = kind.load(path)
    except CheckpointError as error:
        log.warning("training anew: %s", error)
        return None
    its = {k: v for k, v in network.settings.items() if k != "versions"}
    if settings_digest(its) != settings_digest(settings):
        log.warning("training anew: %s is another network", path)
        return None
    made_by = network.settings.get("versions", {})
    if made_by != versions():
        other = [f"{k} {v}" for k, v in made_by.items() if versions().get(k) != v]
        log.warning("training anew: %s was written by %s", path, ", ".join(other) or "no version")
        return None
    return network


def network_path(folder: Path, settings: Settings) -> Path:
    """Where the network that ``settings`` determine is kept under ``folder``."""
    return folder / "networks" / f"{settings_digest(settings)}.safetensors"
