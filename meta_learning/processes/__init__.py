"""Generative processes with exact answers, one a file. A new one joins by its line in PROCESSES."""

from __future__ import annotations

from meta_learning.processes.base import Process
from meta_learning.processes.change_points import ChangePoints
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.fixed_categorical import FixedCategorical
from meta_learning.processes.hidden_markov import HiddenMarkov
from meta_learning.processes.markov_chain import MarkovChain
from meta_learning.processes.mixture import Mixture

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
        raise ValueError(f"unknown process {name!r}: expected one of {', '.join(PROCESSES)}")
    return PROCESSES[name]
