"""Tasks whose probabilities come from a Dirichlet: the coursework's process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64, Int64, Integer, Shaped

from autoregressive.broadcast import AnyArray
from autoregressive.precision import float64
from meta_learning.processes.base import Interval, Process
from meta_learning.processes.machine import HORIZON, Machine
from meta_learning.processes.parameters import (
    ALPHA,
    TASK_LENGTH,
    Parameter,
    format_numbers,
)
from meta_learning.processes.places import (
    count_symbols,
    counts_before,
    drawn_places,
    task_counts,
)
from meta_learning.processes.succession import log_succession
from meta_learning.processes.types import ArrayLike, Coordinates, Latent, Symbol, Symbols


@dataclass(frozen=True)
class DirichletCategorical(Process):
    """p ~ Dirichlet(alpha) for every task; symbols i.i.d. from Categorical(p).

    alpha: K >= 2 numbers from 1e-6 to 1e6. T: the task's length with its RESET, an integer from 1 to
    100,000 or math.inf. Errors: ValueError for anything else. Latent: p (batch, tasks, K).

    With n the counts of the task so far, the predictive is (alpha_k + n_k) / sum(alpha + n): the mean of
    the conjugate posterior Dirichlet(alpha + n). Belief: n.
    """

    alpha: tuple[float, ...]
    T: float

    name = "dirichlet-categorical"
    parameters: ClassVar[dict[str, Parameter]] = {"alpha": ALPHA, "T": TASK_LENGTH}
    latent_name = "each task's p"

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @property
    def title(self) -> str:
        return f"Dirichlet({format_numbers(self.alpha, ', ')}), T={self.T:g}"

    def latent(self) -> Latent:
        return numpyro.sample("p", dist.Dirichlet(np.asarray(self.alpha)))

    def draw_distribution(self, latent: Latent) -> dist.Distribution | None:
        return dist.Categorical(latent)

    def initial_belief(self, draws: int = HORIZON) -> Float[Array, " {self.num_symbols}"]:
        return jnp.zeros(self.num_symbols)

    def update(
        self, belief: Float[Array, " {self.num_symbols}"], symbol: Symbol
    ) -> Float[Array, " {self.num_symbols}"]:
        return belief + jax.nn.one_hot(symbol, self.num_symbols, dtype=belief.dtype)

    def log_predictive_of(
        self, belief: Shaped[AnyArray, "*batch {self.num_symbols}"]
    ) -> Float[Array, "*batch {self.num_symbols}"]:
        return log_succession(self.alpha, belief)

    def log_predictive_along(
        self, draws: Integer[np.ndarray, "*tasks n"]
    ) -> Float64[np.ndarray, "*tasks n {self.num_symbols}"]:
        with float64():
            return np.asarray(self.log_predictive_of(counts_before(draws, self.num_symbols)))

    def coordinates(self, belief: Float[Array, " {self.num_symbols}"]) -> Coordinates:
        """counts (K,), posterior_mean (K,) and log_concentration (1,), log sum(alpha + n)."""
        return {
            "counts": belief,
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
            "log_concentration": jnp.log(math.fsum(self.alpha) + belief.sum(keepdims=True)),
        }

    def statistic(self, symbols: Symbols) -> Int64[np.ndarray, "*streams m"]:
        return count_symbols(symbols, self.num_symbols)

    def posterior(self, counts: ArrayLike) -> dist.Dirichlet:
        """The conjugate posterior over p after ``counts`` (..., K): Dirichlet(alpha + counts), a NumPyro
        distribution of batch shape (...). Errors: ValueError where counts do not end in K."""
        counts = np.asarray(counts)
        if counts.shape[-1:] != (self.num_symbols,):
            raise ValueError(
                f"counts must end in an axis of {self.num_symbols}, one count a symbol; "
                f"got shape {counts.shape}"
            )
        return dist.Dirichlet(np.asarray(self.alpha) + counts)

    def ladder(self) -> dict[str, Machine]:
        """Bayes with a wrong alpha; Laplace's rule of succession (alpha = 1); Krichevsky and Trofimov
        (1981), alpha = 1/2."""
        return {
            "bayes_wrong_alpha": self.replace({"alpha": wrong_alpha(self.alpha)}),
            "laplace": self.replace({"alpha": (1.0,) * self.num_symbols}),
            "kt": self.replace({"alpha": (0.5,) * self.num_symbols}),
        }

    def posterior_interval(self, symbols: Symbols) -> tuple[Interval, Interval] | None:
        """Quantiles of the marginals Beta(alpha_k + n_k, sum(alpha + n) - alpha_k - n_k): low and high
        (..., L, K), NaN at RESETs."""
        # scipy.stats.beta.ppf is this function; scipy.stats takes a third of a second to import.
        from scipy.special import betaincinv

        weights = np.asarray(self.alpha) + task_counts(symbols, self.num_symbols, self.T)
        rest = weights.sum(-1, keepdims=True) - weights
        low, high = betaincinv(weights, rest, 0.025), betaincinv(weights, rest, 0.975)
        resets = ~drawn_places(weights.shape[-2], self.T)
        low[..., resets, :] = high[..., resets, :] = np.nan
        return low, high

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls((10, 1, 1), 5),
            cls((0.3, 2.5), 4),
            cls((1.3, 1.3, 1.3, 1.3), 3),
            cls((1, 1, 1), 1),
            cls((2, 1), 2),
            cls((1.3, 1.3, 1.3), math.inf),
        )


def wrong_alpha(alpha: tuple[float, ...]) -> tuple[float, ...]:
    """1.3 everywhere, or (10, 1, .., 1) where alpha is that already: never ``alpha`` itself."""
    flat = (1.3,) * len(alpha)
    return (10.0, *(1.0,) * (len(alpha) - 1)) if alpha == flat else flat
