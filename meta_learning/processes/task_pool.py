"""Tasks out of a pool: M parameter vectors drawn once from a Dirichlet, of which each task picks one.

Networks lie between two behaviours: remembering the pool, and learning the prior that it came from
(Raventós, Paul, Chen and Ganguli 2023, for linear regression). Both have an exact predictor: Bayes of
the pool, from the weights of its components, and Bayes of the prior, from counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64

from meta_learning.processes.base import Process
from meta_learning.processes.components import Components
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.machine import Machine
from meta_learning.processes.parameters import (
    ALPHA,
    TASK_LENGTH,
    Parameter,
    check_whole,
    format_numbers,
    read_number,
)
from meta_learning.processes.types import Coordinates, Latent

# A network of some hundred units could not hold more weights than these.
MOST_COORDINATES = 64


@dataclass(frozen=True)
class TaskPool(Components):
    """Each task has one of ``pool`` vectors p, all equally likely; symbols i.i.d. from Categorical(p).

    The vectors are drawn once from Dirichlet(alpha), with the seed ``pool_seed``. alpha, T: as for
    DirichletCategorical. pool: from 1 to 100,000. pool_seed: a whole number from 0 to 2^32 - 1. Errors:
    ValueError for anything else. Latent: the component (batch, tasks). Belief: the counts n.
    """

    alpha: tuple[float, ...] = (1.0, 1.0, 1.0)
    pool: int = 16
    pool_seed: int = 0
    T: float = 20

    name = "task-pool"
    second = "prior"
    parameters: ClassVar[dict[str, Parameter]] = {
        "alpha": ALPHA,
        "pool": Parameter(
            read_number,
            "how many parameter vectors tasks are picked from",
            "16",
            lambda value, name: check_whole(value, name, 1, 100_000),
        ),
        "pool_seed": Parameter(
            read_number,
            "seed of the draw of the pool",
            "0",
            lambda value, name: check_whole(value, name, 0, 2**32 - 1),
        ),
        "T": TASK_LENGTH,
    }

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @property
    def title(self) -> str:
        return (
            f"a pool of {self.pool} tasks from Dirichlet({format_numbers(self.alpha, ', ')}), "
            f"T={self.T:g}"
        )

    @property
    def components(self) -> Float64[np.ndarray, "{self.pool} {self.num_symbols}"]:
        # A copy: JAX caches what it made of one and the same array, in float32 or float64.
        return draw_pool(self.alpha, self.pool, self.pool_seed).copy()

    @property
    def component_prior(self) -> Float64[np.ndarray, " {self.pool}"]:
        return np.full(self.pool, 1 / self.pool)

    def latent(self) -> Latent:
        # By one number a task: a Categorical's sampler draws one for every member.
        return numpyro.sample("component", dist.DiscreteUniform(0, self.pool - 1))

    @property
    def prior(self) -> DirichletCategorical:
        """What the pool was drawn from: the limit of an infinite pool."""
        return DirichletCategorical(self.alpha, self.T)

    def coordinates(self, belief: Float[Array, " {self.num_symbols}"]) -> Coordinates:
        """counts (K,); posterior_mean (K,), the predictive; prior_mean (K,), Bayes of the prior's
        predictive; component_weights (pool,) for pools of up to ``MOST_COORDINATES``."""
        found = {
            "counts": belief,
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
            "prior_mean": jnp.exp(self.prior.log_predictive_of(belief)),
        }
        if self.pool <= MOST_COORDINATES:
            found["component_weights"] = jnp.exp(self.log_weights(belief))
        return found

    def ladder(self) -> dict[str, Machine]:
        """Bayes of the prior, which does not know the pool."""
        return {"prior": self.prior}

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls((1, 1, 1), 3, 0, 5),)


@lru_cache(maxsize=64)
def draw_pool(
    alpha: tuple[float, ...], pool: int, seed: int
) -> Float64[np.ndarray, "{pool} {len(alpha)}"]:
    """``pool`` draws from Dirichlet(alpha), float64 (pool, K), not writable.

    They are computed from the bits of NumPy's Philox generator, which all versions share, while its
    Dirichlet draws may change: so a saved network finds its own pool again. A pool of M is the first M
    of a larger one. A draw from Gamma(alpha) is one from Gamma(alpha + 1) times U^(1/alpha) (Marsaglia
    and Tsang 2000), here in logarithms, so that small alphas do not underflow.
    """
    from scipy.special import gammaincinv

    shape = np.asarray(alpha)
    bits = np.random.Philox(seed).random_raw(2 * pool * len(alpha)).reshape(pool, 2, len(alpha))
    uniform = ((bits >> np.uint64(11)) + 0.5) * 2.0**-53
    log_gamma = np.log(gammaincinv(shape + 1, uniform[:, 0])) + np.log(uniform[:, 1]) / shape
    weights = np.exp(log_gamma - log_gamma.max(1, keepdims=True))
    found = weights / weights.sum(1, keepdims=True)
    found.setflags(write=False)
    return found
