"""Generative processes with exact answers, one a file. A new one joins by its line in PROCESSES."""

from __future__ import annotations

from autoregressive.registry import UnknownName
from meta_learning.processes.base import Process, Streams
from meta_learning.processes.change_points import ChangePoints
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.entropy_rate import EntropyRate, entropy_rate
from meta_learning.processes.fixed_categorical import FixedCategorical
from meta_learning.processes.hidden_markov import HiddenMarkov
from meta_learning.processes.known_hidden_markov import (
    Even,
    GoldenMean,
    Mess3,
    RandomRandomXor,
    ZeroOneRandom,
)
from meta_learning.processes.live_and_die import LiveAndDie
from meta_learning.processes.machine import Machine, log_normalise
from meta_learning.processes.markov_chain import MarkovChain
from meta_learning.processes.mixture import Mixture
from meta_learning.processes.parameters import (
    ALPHA,
    TASK_LENGTH,
    Parameter,
    check_alpha,
    check_probabilities,
    check_symbol_number,
    check_task_length,
    json_task_length,
    read_number,
    read_numbers,
)
from meta_learning.processes.partition_tree import PartitionTree
from meta_learning.processes.places import (
    count_symbols,
    drawn_places,
    stream_length,
    task_counts,
    with_reset,
)
from meta_learning.processes.stationary_chain import StationaryChain
from meta_learning.processes.succession import log_succession
from meta_learning.processes.task_pool import TaskPool

__all__ = [
    "ALPHA",
    "PROCESSES",
    "TASK_LENGTH",
    "ChangePoints",
    "DirichletCategorical",
    "EntropyRate",
    "Even",
    "FixedCategorical",
    "GoldenMean",
    "HiddenMarkov",
    "LiveAndDie",
    "Machine",
    "MarkovChain",
    "Mess3",
    "Mixture",
    "Parameter",
    "PartitionTree",
    "Process",
    "RandomRandomXor",
    "StationaryChain",
    "Streams",
    "TaskPool",
    "ZeroOneRandom",
    "check_alpha",
    "check_probabilities",
    "check_symbol_number",
    "check_task_length",
    "count_symbols",
    "drawn_places",
    "entropy_rate",
    "json_task_length",
    "log_normalise",
    "log_succession",
    "process_kind",
    "read_number",
    "read_numbers",
    "stream_length",
    "task_counts",
    "with_reset",
]

PROCESSES: dict[str, type[Process]] = {
    kind.name: kind
    for kind in (
        DirichletCategorical,
        FixedCategorical,
        ChangePoints,
        LiveAndDie,
        PartitionTree,
        MarkovChain,
        StationaryChain,
        Mixture,
        HiddenMarkov,
        Mess3,
        ZeroOneRandom,
        GoldenMean,
        Even,
        RandomRandomXor,
        TaskPool,
    )
}


def process_kind(name: str) -> type[Process]:
    """A process's class by its name. Errors: ValueError for an unknown one."""
    if name not in PROCESSES:
        raise UnknownName("process", name, PROCESSES)
    return PROCESSES[name]
