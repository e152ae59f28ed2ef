"""Tasks that all have the same known probabilities: 'changing tasks' that never change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64, Int64, Integer

from meta_learning.processes.base import Process, Streams
from meta_learning.processes.machine import HORIZON
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_probabilities,
    format_numbers,
    read_numbers,
)
from meta_learning.processes.types import Latent, Sites, Symbol, Symbols


@dataclass(frozen=True)
class FixedCategorical(Process):
    """Symbols i.i.d. from Categorical(p) with p known, the same in every task.

    p: K >= 2 numbers in [0, 1] that sum to 1 within 1e-6. T as for DirichletCategorical. Latent: p
    (batch, tasks, K). There is nothing to learn: the belief is empty.
    """

    p: tuple[float, ...]
    T: float

    name = "fixed-categorical"
    parameters: ClassVar[dict[str, Parameter]] = {
        "p": Parameter(
            read_numbers, "probabilities, one a symbol", "0.2,0.3,0.5", check_probabilities
        ),
        "T": TASK_LENGTH,
    }
    latent_name = "p, as Bayes does"

    @property
    def num_symbols(self) -> int:
        return len(self.p)

    @property
    def title(self) -> str:
        return f"p = ({format_numbers(self.p, ', ')}), T={self.T:g}"

    def latent(self) -> Latent:
        return jnp.asarray(self.p)

    def draw_distribution(self, latent: Latent) -> dist.Distribution | None:
        # By logits: the sampler for probabilities can return a first symbol of probability 0.
        return dist.Categorical(logits=jnp.log(latent))

    def latent_of(self, sites: Sites) -> Latent:
        plates = (len(sites[name]["value"]) for name in ("stream", "task"))
        return jnp.broadcast_to(jnp.asarray(self.p), (*plates, self.num_symbols))

    def initial_belief(self, draws: int = HORIZON) -> Float[Array, "0"]:
        return jnp.zeros(0)

    def update(self, belief: Float[Array, "0"], symbol: Symbol) -> Float[Array, "0"]:
        return belief

    def log_predictive_of(self, belief: Float[Array, "0"]) -> Float[Array, " {self.num_symbols}"]:
        return jnp.log(jnp.asarray(self.p))

    def log_predictive_along(
        self, draws: Integer[np.ndarray, "*tasks n"]
    ) -> Float64[np.ndarray, "*tasks n {self.num_symbols}"]:
        return np.broadcast_to(self.log_first(), (*draws.shape, self.num_symbols))

    def log_predictive_given_latent(
        self, streams: Streams
    ) -> Float64[np.ndarray, "batch length {self.num_symbols+1}"]:
        return self.log_predictive(streams.symbols)

    def statistic(self, symbols: Symbols) -> Int64[np.ndarray, "*streams m"]:
        return np.zeros((*np.shape(symbols)[:-1], 1), np.int64)

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls((1, 0, 0), 5), cls((0.25, 0.75), math.inf), cls((0, 0.5, 0.5), 3))
