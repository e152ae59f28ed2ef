"""An unfinished training on disk: the whole state, so that it ends with the bits it would have had."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autoregressive import checkpoint
from autoregressive.checkpoint import CheckpointError
from autoregressive.header import Header
from autoregressive.training import TrainingDiverged, TrainState

log = logging.getLogger(__name__)

# A kill loses about this many seconds of training; an interrupt loses nothing.
SAVE_EVERY_S = 2.0
# Of training, at most this share is spent on saving: a wide network's state is gigabytes.
_SAVING_SHARE = 0.05
# Header and learning curves of a run that is saved, beside its state.
_BESIDE_STATE = 2**28
# What a learning curve has at a point: one number, or an array with one a seed.
Value = Any
History = dict[str, list[Value]]


class Unfinished:
    """Where a run is saved while it trains, under ``folder``; None saves nothing.

    name: tells the run from others in the same folder.
    settings: what decides the run, as JSON values, versions included. A file with other settings is
    not gone on from.
    """

    def __init__(self, folder: Path | None, name: str, settings: Header):
        self.folder = folder
        self.path = None if folder is None else folder / "unfinished" / f"{name}.safetensors"
        self.header = {"kind": "unfinished", **settings}
        self.saved_at, self.saving_s = time.monotonic(), 0.0
        self.latest: tuple[TrainState, History] | None = None

    def resume(self, fresh: TrainState, curves: Sequence[str]) -> tuple[TrainState, History]:
        """The saved state and learning curves, or ``fresh`` and empty curves of those names."""
        empty: History = {name: [] for name in curves}
        if self.path is None or not self.path.exists():
            return fresh, empty
        try:
            tensors, header = checkpoint.load(self.path, _most_bytes(fresh))
        except CheckpointError as error:
            log.warning("starting anew: %s", error)
            return fresh, empty
        leaves, structure = jax.tree.flatten(fresh)
        stored = [tensors.get(f"state.{i}") for i in range(len(leaves))]
        fits = all(
            s is not None and s.shape == x.shape and s.dtype == x.dtype
            for s, x in zip(stored, leaves, strict=True)
        )
        if header != self.header or not fits:
            log.warning("starting anew: %s was written by another version", self.path)
            return fresh, empty
        state = jax.tree.unflatten(structure, [jnp.asarray(s) for s in stored])
        log.info("going on from iteration %d", int(state.iteration[0]))
        return state, {name: list(tensors[f"history.{name}"]) for name in curves}

    def keep(self, state: TrainState, history: History, save: bool = False) -> None:
        """Remembers the latest state, and writes it if the last time was a while ago, or ``save``."""
        # A copy: the caller adds points to its curves before it keeps the state they belong to.
        self.latest = (state, {name: list(values) for name, values in history.items()})
        pause = max(SAVE_EVERY_S, self.saving_s / _SAVING_SHARE)
        if save or time.monotonic() - self.saved_at > pause:
            self.save()

    def save(self) -> None:
        """Writes the latest state. A folder that cannot be written is a warning: it costs time, not
        the result."""
        if self.path is None or self.latest is None:
            return
        state, history = self.latest
        started = time.monotonic()
        tensors = {f"state.{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))}
        tensors |= {f"history.{name}": np.asarray(v) for name, v in history.items()}
        with cache_may_fail(self.folder):
            checkpoint.save(self.path, tensors, self.header)
        self.saved_at = time.monotonic()
        self.saving_s = self.saved_at - started

    @contextmanager
    def save_on_interrupt(self) -> Iterator[None]:
        """Inside it, Ctrl-C saves the latest state before it goes on its way, and a run that diverged
        leaves nothing to go on from."""
        try:
            yield
        except TrainingDiverged:
            self.done()
            raise
        except KeyboardInterrupt:
            self.save()
            if self.path is not None and self.path.exists():
                log.warning("saved: the same command goes on from here")
            raise

    def done(self) -> None:
        """Removes the file: the run is finished."""
        if self.path is not None:
            with cache_may_fail(self.folder):
                self.path.unlink(missing_ok=True)


def _most_bytes(state: TrainState) -> int:
    """Of a file that holds this state."""
    return sum(x.nbytes for x in jax.tree.leaves(state)) + _BESIDE_STATE


@contextmanager
def cache_may_fail(folder: Path | None) -> Iterator[None]:
    """Inside it, a file that cannot be written is one warning, not an error."""
    try:
        yield
    except OSError as error:
        _warn_once(folder, error.strerror or str(error))


@cache
def _warn_once(folder: Path | None, reason: str) -> None:
    log.warning(
        "cannot keep networks under %s (%s); set META_LEARN_CACHE to a writable folder",
        folder,
        reason,
    )
