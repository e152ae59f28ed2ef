"""An unfinished training on disk. The whole state is saved: a resumed run ends with the same bits."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from autoregressive import checkpoint
from autoregressive.checkpoint import CheckpointError
from autoregressive.header import Header
from autoregressive.training import TrainingDiverged, TrainState

log = logging.getLogger(__name__)

# Seconds between two saves: a killed run loses so many; an interrupt (Ctrl-C) loses nothing.
SAVE_EVERY_S = 2.0
# The largest share of the time that goes into saving: a wide network's state is gigabytes.
_SAVING_SHARE = 0.05
# Bytes of a saved run's header and learning curves, at most, beside its state.
_BESIDE_STATE = 2**28
# A learning curve's value at a point: one number, or one for each seed.
Value = int | float | np.generic | Float[np.ndarray, "..."]
History = dict[str, list[Value]]


class Unfinished:
    """Where a run is saved while it trains, under ``folder``; None saves nothing.

    name: of the file, which tells the run from others in the folder. settings: what determines the run,
    as JSON values, versions included. A file with other settings is not resumed from.
    """

    def __init__(self, folder: Path | None, name: str, settings: Header):
        self.folder = folder
        self.path = None if folder is None else folder / "unfinished" / f"{name}.safetensors"
        self.header = {"kind": "unfinished", **settings}
        self.saved_at, self.saving_s = time.monotonic(), 0.0
        self.latest: tuple[TrainState, History] | None = None

    def resume(self, fresh: TrainState, curves: Sequence[str]) -> tuple[TrainState, History]:
        """The saved state and learning curves, or ``fresh`` and empty curves where none fit. curves:
        their names. Why a file does not fit is logged."""
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
        """Remembers the latest state, and writes it if ``save``, or if the last save was a while ago."""
        # A copy: the caller adds a point to its curves before it keeps the state of that point.
        self.latest = (state, {name: list(values) for name, values in history.items()})
        pause = max(SAVE_EVERY_S, self.saving_s / _SAVING_SHARE)
        if save or time.monotonic() - self.saved_at > pause:
            self.save()

    def save(self) -> None:
        """Writes the latest state. Where the folder cannot be written that is only a warning: the run
        goes on, and cannot be resumed."""
        if self.path is None or self.latest is None:
            return
        state, history = self.latest
        started = time.monotonic()
        tensors = {f"state.{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))}
        tensors |= {f"history.{name}": np.asarray(v) for name, v in history.items()}
        with warn_if_unwritable(self.folder):
            checkpoint.save(self.path, tensors, self.header)
        self.saved_at = time.monotonic()
        self.saving_s = self.saved_at - started

    @contextmanager
    def save_on_interrupt(self) -> Iterator[None]:
        """Inside it, Ctrl-C saves the latest state and is raised again; a run that diverges leaves no
        file to resume from."""
        try:
            yield
        except TrainingDiverged:
            self.remove()
            raise
        except KeyboardInterrupt:
            self.save()
            if self.path is not None and self.path.exists():
                log.warning("saved: the same command goes on from here")
            raise

    def remove(self) -> None:
        """Removes the file: the run is finished."""
        if self.path is not None:
            with warn_if_unwritable(self.folder):
                self.path.unlink(missing_ok=True)


def _most_bytes(state: TrainState) -> int:
    """The largest file that can hold this state."""
    return sum(x.nbytes for x in jax.tree.leaves(state)) + _BESIDE_STATE


@contextmanager
def warn_if_unwritable(folder: Path | None) -> Iterator[None]:
    """Inside it, a file that cannot be written is a warning, one a folder and reason, not an error."""
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
