"""Tasks that each follow one of finitely many given distributions; ``components`` predicts them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from meta_learning.processes.base import Process
from meta_learning.processes.components import Components
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.machine import Machine
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_distribution,
    check_distributions,
    read_numbers,
    read_rows,
)


@dataclass(frozen=True)
class Mixture(Components):
    """A component c ~ Categorical(weights) for every task; symbols i.i.d. from Categorical(p_c).

    p: one row of K >= 2 probabilities a component. T as for DirichletCategorical. weights: one a
    component, summing to 1; None is equal weights. Errors: ValueError for anything else. Latent: the
    component (batch, tasks). Belief: the counts n.
    """

    p: tuple[tuple[float, ...], ...] = ((0.6, 0.3, 0.1), (0.1, 0.6, 0.3), (0.3, 0.1, 0.6))
    T: float = 20
    weights: tuple[float, ...] | None = None

    name = "mixture"
    parameters: ClassVar[dict[str, Parameter]] = {
        "p": Parameter(
            read_rows,
            "probabilities of the symbols, a row a component",
            "0.6,0.3,0.1/0.1,0.3,0.6",
            check_distributions,
        ),
        "T": TASK_LENGTH,
        "weights": Parameter(
            read_numbers, "probabilities of the components, else equal", "0.7,0.3"
        ),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        size = len(self.p)
        weights = [1 / size] * size if self.weights is None else self.weights
        self.keep("weights", check_distribution(weights, "weights", size))

    @property
    def num_symbols(self) -> int:
        return len(self.p[0])

    @property
    def title(self) -> str:
        return f"a mixture of {len(self.p)} categoricals, T={self.T:g}"

    @property
    def components(self) -> Float64[np.ndarray, "components symbols"]:
        return np.asarray(self.p)

    @property
    def component_prior(self) -> Float64[np.ndarray, " components"]:
        return np.asarray(self.weights)

    def ladder(self) -> dict[str, Machine]:
        """Laplace's and Krichevsky and Trofimov's rules, which do not know the components."""
        return {
            name: DirichletCategorical((value,) * self.num_symbols, self.T)
            for name, value in (("laplace", 1.0), ("kt", 0.5))
        }

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls(((0.6, 0.3, 0.1), (0.1, 0.1, 0.8)), 5, (0.3, 0.7)),
            cls(((0.999, 0.001), (0.3, 0.7), (0.5, 0.5)), math.inf, (0.5, 0.5, 0)),
            cls(((0.5, 0.5, 0), (0, 0.2, 0.8)), 4),
        )
