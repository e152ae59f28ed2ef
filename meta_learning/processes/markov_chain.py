"""Tasks that are Markov chains with an unknown transition matrix.

Rows of the matrix have independent Dirichlet priors, so the posterior is conjugate row by row: with
n_jk the transitions from j to k seen in the task,

    p(x_t = k | x_<t, x_{t-1} = j) = (alpha_jk + n_jk) / sum over k of (alpha_jk + n_jk)

(Martin 1967, "Bayesian Decision Problems and Markov Chains").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.contrib.control_flow import scan

from meta_learning.processes.base import (
    Predictor,
    Process,
    Streams,
    checked,
    counts_so_far,
    draws_in_task,
    log_normalised,
    with_reset,
)
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_alpha,
    check_task_length,
    json_task_length,
    read_rows,
    show,
    stationary,
)


@dataclass(frozen=True)
class MarkovChain(Process):
    """Row j of each task's transition matrix ~ Dirichlet(alpha_j); the symbol after j from row j.

    alpha: K rows of K numbers from 1e-6 to 1e6, or one row that holds for all. T as for
    DirichletCategorical. The first symbol of a task comes from the stationary law of the prior mean of
    the matrix, which is known. Errors: ValueError for anything else. Latent: the matrix
    (batch, tasks, K, K).
    """

    alpha: tuple[tuple[float, ...], ...]
    T: float

    name = "markov-chain"
    parameters: ClassVar[dict[str, Parameter]] = {
        "alpha": Parameter(
            read_rows,
            "prior pseudo-counts of each row of the transition matrix, or one row for all",
            "5,1,1/1,5,1/1,1,5",
        ),
        "T": TASK_LENGTH,
    }
    latent_name = "each task's transition matrix"

    def __init__(self, alpha: Sequence[Any] = (1.0, 1.0, 1.0), T: float = 20):
        rows = [alpha] if all(np.ndim(row) == 0 for row in alpha) else list(alpha)
        checked_rows = [check_alpha(row) for row in rows]
        K = len(checked_rows[0])
        if len(checked_rows) == 1:
            checked_rows *= K
        if len(checked_rows) != K or any(len(row) != K for row in checked_rows):
            sizes = ", ".join(str(len(row)) for row in checked_rows)
            raise ValueError(
                f"alpha of a Markov chain is one row, or K rows of K; got rows of {sizes}"
            )
        object.__setattr__(self, "alpha", tuple(checked_rows))
        object.__setattr__(self, "T", check_task_length(T))

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @property
    def task_length(self) -> float:
        return self.T

    @property
    def title(self) -> str:
        rows = sorted(set(self.alpha), key=self.alpha.index)
        prior = " / ".join(show(row, ", ") for row in rows)
        return f"Markov chains with rows from Dirichlet({prior}), T={json_task_length(self.T) or 'inf'}"

    @property
    def start(self) -> np.ndarray:
        """The law of a task's first symbol (K,)."""
        alpha = np.asarray(self.alpha)
        return np.asarray(stationary(alpha / alpha.sum(-1, keepdims=True), ""))

    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        n = draws_in_task(self.T, draws)
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            rows = numpyro.sample("rows", dist.Dirichlet(np.asarray(self.alpha)).to_event(1))
        if n == 0:
            return None

        def step(p: Any, observed: Any) -> tuple[Any, Any]:
            x = numpyro.sample("x", dist.Categorical(p), obs=observed)
            return jnp.take_along_axis(rows, x[..., None, None], axis=-2)[..., 0, :], x

        start = jnp.broadcast_to(jnp.asarray(self.start, rows.dtype), rows.shape[:-1])
        return scan(step, start, symbols, length=n)[1]

    def latent_of(self, sites: Any) -> Any:
        return sites["rows"]["value"]

    def posterior_rows(self, symbols: Any) -> dist.Distribution:
        """The conjugate posterior over the transition matrix after a task's first draws (..., n):
        independent Dirichlets, one a row, as one NumPyro distribution of (K, K) events."""
        symbols = np.asarray(symbols)
        K = range(self.num_symbols)
        before, after = symbols[..., :-1], symbols[..., 1:]
        counts = [[((before == j) & (after == k)).sum(-1) for k in K] for j in K]
        return dist.Dirichlet(
            np.asarray(self.alpha) + np.moveaxis(np.asarray(counts), (0, 1), (-2, -1))
        ).to_event(1)

    def log_first(self) -> np.ndarray:
        return np.log(self.start)

    def log_predictive(self, symbols: Any) -> np.ndarray:
        K = self.num_symbols
        symbols = checked(symbols, K, self.T)
        before = _before(symbols, K)
        log_p = np.broadcast_to(self.log_first(), (*symbols.shape, K)).copy()
        for j in range(K):
            seen = counts_so_far([(before == j) & (symbols == k) for k in range(K)], self.T)
            weights = np.asarray(self.alpha[j]) + seen
            row = np.log(weights) - np.log(weights.sum(-1, keepdims=True))
            np.copyto(log_p, row, where=(before == j)[..., None])
        return with_reset(log_p, self.T)

    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        K = self.num_symbols
        symbols = np.asarray(streams.symbols)
        log_rows = log_normalised(streams.latent)
        places = np.arange(symbols.shape[-1])
        task = places // (len(places) if math.inf == self.T else int(self.T))
        before = _before(symbols, K)
        stream = np.arange(len(symbols))[:, None]
        log_p = log_rows[stream, task, np.minimum(before, K - 1)]
        log_p = np.where((before == K)[..., None], self.log_first(), log_p)
        return with_reset(log_p, self.T)

    def ladder(self) -> dict[str, Predictor]:
        """Bayes that believes in i.i.d. symbols, with the mean of the rows of alpha for its prior;
        Laplace's and Krichevsky and Trofimov's rules row by row (alpha = 1 and 1/2)."""
        mean = tuple(np.asarray(self.alpha).mean(0))
        K = self.num_symbols
        return {
            "iid_dirichlet": DirichletCategorical(mean, self.T).log_predictive,
            "laplace": self.replace({"alpha": (1.0,) * K}).log_predictive,
            "kt": self.replace({"alpha": (0.5,) * K}).log_predictive,
        }

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls(((5, 1, 1), (1, 5, 0.5), (1, 2, 3)), 5),
            cls(((1.3, 0.4), (2, 5)), math.inf),
        )


def _before(symbols: np.ndarray, K: int) -> np.ndarray:
    """The symbol before each place; RESET = K before a stream's first."""
    start = np.full((*symbols.shape[:-1], 1), K, symbols.dtype)
    return np.concatenate([start, symbols], axis=-1)[..., :-1]
