"""Tasks whose probabilities come from a Dirichlet: the coursework's process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpyro
import numpyro.distributions as dist

from meta_learning.processes.base import (
    Predictor,
    Process,
    Streams,
    drawn_places,
    draws_in_task,
    log_normalised,
    repeated,
    task_counts,
    with_reset,
)
from meta_learning.processes.parameters import (
    ALPHA,
    TASK_LENGTH,
    Parameter,
    check_alpha,
    check_task_length,
    json_task_length,
    show,
)


@dataclass(frozen=True)
class DirichletCategorical(Process):
    """p ~ Dirichlet(alpha) for every task; symbols i.i.d. from Categorical(p).

    alpha: K >= 2 numbers from 1e-6 to 1e6. T: the task's length with its RESET, an integer from 1 to
    100,000 or math.inf. Errors: ValueError for anything else. Latent: p (batch, tasks, K).

    With n the counts of the task so far, the predictive is (alpha_k + n_k) / sum(alpha + n): the mean of
    the conjugate posterior Dirichlet(alpha + n).
    """

    alpha: tuple[float, ...]
    T: float

    name = "dirichlet-categorical"
    parameters: ClassVar[dict[str, Parameter]] = {"alpha": ALPHA, "T": TASK_LENGTH}
    latent_name = "each task's p"

    def __init__(self, alpha: Sequence[float], T: float):
        object.__setattr__(self, "alpha", check_alpha(alpha))
        object.__setattr__(self, "T", check_task_length(T))

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @property
    def task_length(self) -> float:
        return self.T

    @property
    def title(self) -> str:
        return f"Dirichlet({show(self.alpha, ', ')}), T={json_task_length(self.T) or 'inf'}"

    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        n = draws_in_task(self.T, draws)
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            p = numpyro.sample("p", dist.Dirichlet(np.asarray(self.alpha)))
            if n == 0:
                return None
            with numpyro.plate("draw", n, dim=-3):
                return numpyro.sample("x", dist.Categorical(p), obs=symbols)

    def posterior(self, counts: Any) -> dist.Dirichlet:
        """The conjugate posterior over p after ``counts`` (..., K): Dirichlet(alpha + counts), a NumPyro
        distribution of batch shape (...). Errors: ValueError where counts do not end in K."""
        counts = np.asarray(counts)
        if counts.shape[-1:] != (self.num_symbols,):
            raise ValueError(
                f"counts must end in an axis of {self.num_symbols}, one count a symbol; "
                f"got shape {counts.shape}"
            )
        return dist.Dirichlet(np.asarray(self.alpha) + counts)

    def log_first(self) -> np.ndarray:
        return np.log(self.alpha) - np.log(math.fsum(self.alpha))

    def log_predictive(self, symbols: Any) -> np.ndarray:
        weights = np.asarray(self.alpha) + task_counts(symbols, self.num_symbols, self.T)
        log_p = np.log(weights) - np.log(weights.sum(-1, keepdims=True))
        return with_reset(log_p, self.T)

    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        return repeated(log_normalised(streams.latent), np.shape(streams.symbols)[-1], self.T)

    def ladder(self) -> dict[str, Predictor]:
        """Bayes with a wrong alpha; Laplace's rule of succession (alpha = 1); Krichevsky and Trofimov
        (1981), alpha = 1/2."""
        return {
            "bayes_wrong_alpha": self.replace({"alpha": wrong_alpha(self.alpha)}).log_predictive,
            "laplace": self.replace({"alpha": (1.0,) * self.num_symbols}).log_predictive,
            "kt": self.replace({"alpha": (0.5,) * self.num_symbols}).log_predictive,
        }

    def posterior_interval(self, symbols: Any) -> tuple[np.ndarray, np.ndarray] | None:
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
