"""What is to be learnt, its exact answer, and the learner."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Loaded on first use, so that `meta-learn --help` does not wait for JAX.
_PUBLIC = {
    "DirichletCategorical": "meta_learning.processes",
    "FixedCategorical": "meta_learning.processes",
    "ChangePoints": "meta_learning.processes",
    "LiveAndDie": "meta_learning.processes",
    "PartitionTree": "meta_learning.processes",
    "MarkovChain": "meta_learning.processes",
    "Mixture": "meta_learning.processes",
    "HiddenMarkov": "meta_learning.processes",
    "Mess3": "meta_learning.processes",
    "ZeroOneRandom": "meta_learning.processes",
    "GoldenMean": "meta_learning.processes",
    "Even": "meta_learning.processes",
    "RandomRandomXor": "meta_learning.processes",
    "TaskPool": "meta_learning.processes",
    "entropy_rate": "meta_learning.processes",
    "Process": "meta_learning.processes",
    "Streams": "meta_learning.processes",
    "PROCESSES": "meta_learning.processes",
    "ladder": "meta_learning.references",
    "Learner": "meta_learning.learner",
    "RECIPES": "meta_learning.recipes",
    "train": "meta_learning.training",
    "EXPERIMENTS": "meta_learning.experiments",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'meta_learning' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
