"""Probabilities that change at unknown places with one and the same probability after each symbol:
Bayesian online change-point detection, as ``stretches`` says it, with h(n) the hazard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Int, Num

from meta_learning.processes.base import Process
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.live_and_die import LiveAndDie
from meta_learning.processes.machine import Machine
from meta_learning.processes.parameters import ALPHA, Parameter, format_numbers, probability
from meta_learning.processes.partition_tree import PartitionTree
from meta_learning.processes.stretches import FromStarts


@dataclass(frozen=True)
class ChangePoints(FromStarts):
    """p ~ Dirichlet(alpha); each symbol from Categorical(p); after each symbol p is drawn anew with
    probability ``hazard``. No RESET, and nothing tells where p changed.

    alpha: K >= 2 numbers from 1e-6 to 1e6. hazard: in [0, 1]. Errors: ValueError for anything else.
    Latent: p at every place (batch, length, K). Belief: ``Starts``.
    """

    hazard: float = 0.05

    name = "change-points"
    parameters: ClassVar[dict[str, Parameter]] = {
        "alpha": ALPHA,
        "hazard": probability("probability of a new p after each symbol", "0.05"),
    }

    @property
    def title(self) -> str:
        alpha = format_numbers(self.alpha, ", ")
        return f"change points at hazard {self.hazard:g}, p from Dirichlet({alpha})"

    def draw_changes(self, places: Int[Array, " n"]) -> Num[Array, "n streams tasks"]:
        return numpyro.sample("changed", dist.Bernoulli(probs=np.asarray(self.hazard)))

    def split(
        self, log_weights: Float[Array, " capacity"], lengths: Int[Array, " capacity"]
    ) -> tuple[Float[Array, " capacity"], Float[Array, ""]]:
        return jnp.log1p(-self.hazard) + log_weights, jnp.log(self.hazard)

    def ladder(self) -> dict[str, Machine]:
        """Bayes that believes in no change points; Bayes with a wrong hazard: a tenth of it, or 0.1
        where it is 0; Bayes of the two other priors over changes, which need no hazard."""
        return {
            "no_change_points": DirichletCategorical(self.alpha, math.inf),
            "bayes_wrong_hazard": self.replace({"hazard": self.hazard / 10 or 0.1}),
            "live_and_die": LiveAndDie(self.alpha),
            "partition_tree": PartitionTree(self.alpha),
        }

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls((1.3, 1, 0.5), 0.3), cls((10, 0.4), 0.05))
