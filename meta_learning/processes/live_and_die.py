"""Probabilities that change ever more rarely the longer they have held: live-and-die coding.

After a stretch's n-th symbol p is drawn anew with probability 1/(2n): Willems (1996), "Coding for a
binary independent piecewise-identically-distributed source", and the linear live-and-die estimator of
Willems and Krom (1997). Its exact predictor, as ``stretches`` says it, needs no hazard, and is Bayes of
no other process. Genewein et al. (2023) call the two LIN and LAD, with alpha = 1/2 throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array, lax
from jaxtyping import Bool, Float, Int, Num

from meta_learning.processes.base import Process
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.machine import Machine
from meta_learning.processes.parameters import ALPHA, Parameter, format_numbers
from meta_learning.processes.partition_tree import PartitionTree
from meta_learning.processes.stretches import FromStarts


@dataclass(frozen=True)
class LiveAndDie(FromStarts):
    """p ~ Dirichlet(alpha); each symbol from Categorical(p); after the n-th symbol of a p it is drawn
    anew with probability 1/(2n). No RESET, and nothing tells where p changed.

    alpha: K >= 2 numbers from 1e-6 to 1e6. Errors: ValueError for anything else. Latent: p at every
    place (batch, length, K). Belief: ``Starts``.
    """

    name = "live-and-die"
    parameters: ClassVar[dict[str, Parameter]] = {"alpha": ALPHA}

    @property
    def title(self) -> str:
        alpha = format_numbers(self.alpha, ", ")
        return f"live and die, p from Dirichlet({alpha})"

    def draw_changes(self, places: Int[Array, " n"]) -> Num[Array, "n streams tasks"]:
        chance = numpyro.sample("chance", dist.Uniform(0.0, 1.0))

        def step(
            length: Float[Array, "streams tasks"], chance: Float[Array, "streams tasks"]
        ) -> tuple[Float[Array, "streams tasks"], Bool[Array, "streams tasks"]]:
            changed = chance < 0.5 / length
            return jnp.where(changed, 1.0, length + 1), changed

        # Place 0 is the first stretch's first symbol, whatever its chance.
        changed = lax.scan(step, jnp.ones_like(chance[0]), chance[1:])[1]
        changed = jnp.concatenate([jnp.zeros_like(chance[:1], dtype=bool), changed])
        return numpyro.deterministic("changed", changed.astype(int))

    def split(
        self, log_weights: Float[Array, " capacity"], lengths: Int[Array, " capacity"]
    ) -> tuple[Float[Array, " capacity"], Float[Array, ""]]:
        change = 0.5 / lengths
        log_new = jax.nn.logsumexp(jnp.log(change) + log_weights)
        return jnp.log1p(-change) + log_weights, log_new

    def ladder(self) -> dict[str, Machine]:
        """Bayes that believes in no change points, and Bayes of the partition tree."""
        return {
            "no_change_points": DirichletCategorical(self.alpha, math.inf),
            "partition_tree": PartitionTree(self.alpha),
        }

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls((1.3, 0.5)),)
