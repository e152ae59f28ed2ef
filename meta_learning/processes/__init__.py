"""Generative processes with exact answers, one a file. A new one joins by its line in PROCESSES."""

from __future__ import annotations

from autoregressive.registry import UnknownName
from meta_learning.processes.base import (
    Process,
    Streams,
    drawn_places,
    task_counts,
    with_reset,
)
from meta_learning.processes.change_points import ChangePoints
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.fixed_categorical import FixedCategorical
from meta_learning.processes.hidden_markov import HiddenMarkov
from meta_learning.processes.markov_chain import MarkovChain
from meta_learning.processes.mixture import Mixture
from meta_learning.processes.parameters import (
    check_alpha,
    check_probabilities,
    check_task_length,
    json_task_length,
)

__all__ = [
    "PROCESSES",
    "ChangePoints",
    "DirichletCategorical",
    "FixedCategorical",
    "HiddenMarkov",
    "MarkovChain",
    "Mixture",
    "Process",
    "Streams",
    "check_alpha",
    "check_probabilities",
    "check_task_length",
    "drawn_places",
    "json_task_length",
    "process_kind",
    "task_counts",
    "with_reset",
]

PROCESSES: dict[str, type[Process]] = {
    kind.name: kind
    for kind in (
        DirichletCategorical,
        FixedCategorical,
        ChangePoints,
        MarkovChain,
        Mixture,
        HiddenMarkov,
    )
}


def process_kind(name: str) -> type[Process]:
    """A process's class by its name. Errors: ValueError for an unknown one."""
    if name not in PROCESSES:
        raise UnknownName("process", name, PROCESSES)
    return PROCESSES[name]
