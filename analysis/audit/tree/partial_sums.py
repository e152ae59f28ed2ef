"""A walk's sums on disk: a walk that was stopped goes on from them, to the same bits."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import jax
import numpy as np

from analysis.audit.tree.prefix_tree import Sums, Walk
from autoregressive import checkpoint
from autoregressive.checkpoint import CheckpointError, settings_digest, tensors_digest
from autoregressive.header import Header
from autoregressive.resume import warn_if_unwritable
from autoregressive.versions import versions
from meta_learning.learner import Learner

log = logging.getLogger(__name__)

# A kill loses at most this many seconds.
_SAVE_EVERY_S = 2.0


class PartialSums:
    """A walk's sums and how far it has come.

    values: the sums, float64 (cells, columns). done: how many frontier nodes are in them; -1 where not
    even the stem is. frontier: how many there are; -1 where that is not known yet. folder: the cache;
    None keeps nothing. The file's name is a digest of the network's weights, the tree and the versions,
    and of the process where the sums depend on it.
    """

    def __init__(self, folder: Path | None, learner: Learner, walk: Walk):
        plan = walk.plan
        self.header: Header = {
            "kind": "exact-gap",
            "walk": {"name": type(walk).__name__, **walk.header},
            "params": tensors_digest({k: np.asarray(v) for k, v in learner.params.items()}),
            "model": repr(learner.model),
            "plan": [plan.symbols, plan.positions, plan.stem, plan.branch, plan.per_device],
            "platform": jax.default_backend(),
            "versions": versions(),
        }
        name = settings_digest(self.header)
        self.path = None if folder is None else folder / "exact-gap" / f"{name}.safetensors"
        self.folder = folder
        self.values = np.zeros(walk.shape)
        self.done, self.frontier = -1, -1
        self.saved = -1
        self.saved_at = time.monotonic()

    @property
    def complete(self) -> bool:
        """Whether the sums hold the whole tree."""
        return self.done == self.frontier >= 0

    def find(self) -> None:
        """Takes up what the file of the same network, tree and versions holds, if there is one."""
        if self.path is None or not self.path.exists():
            return
        try:
            tensors, header = checkpoint.load(self.path)
        except CheckpointError as error:
            log.warning("starting anew: %s", error)
            return
        values, done = tensors.get("sums"), tensors.get("done")
        if (
            header != self.header
            or values is None
            or done is None
            or (values.shape, values.dtype) != (self.values.shape, self.values.dtype)
            or (done.shape, done.dtype) != ((2,), np.int64)
        ):
            log.warning("starting anew: %s was written by another version", self.path)
            return
        self.values = values.copy()
        self.done, self.frontier = (int(number) for number in done)
        self.saved = self.done

    def begin(self, stem: Sums, frontier: int) -> None:
        """Takes the sums of the stem. frontier: how many nodes its last level has."""
        self.values[:] = stem
        self.frontier = frontier
        self.advance(0)

    def advance(self, done: int) -> None:
        """Takes note that the sums hold ``done`` frontier nodes, and writes them every few seconds."""
        self.done = done
        if time.monotonic() - self.saved_at > _SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Writes the sums, unless the file has them already."""
        if self.path is None or self.done == self.saved:
            return
        tensors = {"sums": self.values, "done": np.array([self.done, self.frontier], np.int64)}
        with warn_if_unwritable(self.folder):
            checkpoint.save(self.path, tensors, self.header)
        self.saved, self.saved_at = self.done, time.monotonic()
