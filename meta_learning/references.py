"""The reference ladder: exact predictors, from the oracle down to one without memory.

All but the oracle are a ``Machine``, as the exact predictor is. Those of one process stand in its own
``ladder``, those of any process in REFERENCES. As a ``Predictor`` each is a function of sampled streams
that returns log p(x_t | x_<t), float64 nats (batch, length, K+1): the type that networks return too. All
know T.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from jax import Array
from jaxtyping import Float, Float64, Integer

from meta_learning.processes.base import Process, Streams
from meta_learning.processes.machine import HORIZON, Machine
from meta_learning.processes.types import Symbol

Predictor = Callable[[Streams], Float64[np.ndarray, "batch length outcomes"]]


def ladder(
    prior: Process, source: Process, only: Collection[str] | None = None
) -> dict[str, Predictor]:
    """The references by name: "oracle", "bayes", those of the prior's own ladder, and ``REFERENCES``.

    prior: the process that all but the oracle believe in. source: the process that made the streams
    to be scored, whose latent values the oracle knows; of the same K and T. only: the names wanted;
    None is all.
    """
    machines = {"bayes": prior, **prior.ladder()}
    machines |= {name: reference(prior) for name, reference in REFERENCES.items()}
    predictors: dict[str, Predictor] = {
        "oracle": source.log_predictive_given_latent,
        **{name: _of_symbols(machine) for name, machine in machines.items()},
    }
    return {n: p for n, p in predictors.items() if only is None or n in only}


def _of_symbols(machine: Machine) -> Predictor:
    return lambda streams: machine.log_predictive(streams.symbols)


@dataclass(frozen=True)
class Reference(Machine):
    """A machine that predicts the tasks of ``prior``, the process believed in: its K and T."""

    prior: Process

    @property
    def num_symbols(self) -> int:
        return self.prior.num_symbols

    @property
    def task_length(self) -> float:
        return self.prior.task_length


@dataclass(frozen=True)
class Memoryless(Reference):
    """Always predicts the distribution of a task's first symbol."""

    def initial_belief(self, draws: int = HORIZON) -> Float[Array, " {self.num_symbols}"]:
        return self.prior.log_predictive_of(self.prior.initial_belief(0))

    def update(
        self, belief: Float[Array, " {self.num_symbols}"], symbol: Symbol
    ) -> Float[Array, " {self.num_symbols}"]:
        return belief

    def log_predictive_of(
        self, belief: Float[Array, " {self.num_symbols}"]
    ) -> Float[Array, " {self.num_symbols}"]:
        return belief

    def log_predictive_along(
        self, draws: Integer[np.ndarray, "*tasks n"]
    ) -> Float64[np.ndarray, "*tasks n {self.num_symbols}"]:
        return np.broadcast_to(self.log_first(), (*draws.shape, self.num_symbols))


# The process believed in -> the reference.
REFERENCES: dict[str, Callable[[Process], Machine]] = {"memoryless": Memoryless}
