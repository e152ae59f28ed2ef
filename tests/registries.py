"""The registries that members of one's own join, and the examples that do."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from analysis import extensions
from analysis.comparison.metrics import METRICS
from autoregressive.cells import CELLS
from autoregressive.images.datasets import DATASETS
from autoregressive.images.masks import MASKS
from meta_learning.processes import PROCESSES
from meta_learning.references import REFERENCES

FOLDER = Path(__file__).parents[1] / "docs" / "examples"
REGISTRIES = (PROCESSES, CELLS, DATASETS, MASKS, REFERENCES, METRICS)


@contextmanager
def registries_as_they_were():
    """Within, members may join and files be loaded; afterwards none did."""
    before = [dict(registry) for registry in REGISTRIES]
    try:
        yield
    finally:
        for registry, members in zip(REGISTRIES, before, strict=True):
            registry.clear()
            registry.update(members)
        # What is loaded is part of every kept result's key, which later tests may look for.
        extensions.forget()
