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
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64, Int, Int64, Integer
from numpyro.contrib.control_flow import scan

from autoregressive.broadcast import AnyArray
from meta_learning.processes.base import Process, draws_in_task
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.machine import HORIZON, Machine, log_normalise
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_alpha,
    format_numbers,
    read_rows,
)
from meta_learning.processes.stationary import stationary_distribution
from meta_learning.processes.succession import log_succession
from meta_learning.processes.types import Coordinates, Latent, Symbol, Symbols


class Transitions(NamedTuple):
    """Belief. counts: how often symbol k followed j, (K, K) by [j, k]. last: the last symbol, an int
    scalar, K before any."""

    counts: Float[Array, "symbols symbols"]
    last: Int[Array, ""]


def check_rows(
    alpha: Sequence[float] | Sequence[Sequence[float]], name: str
) -> tuple[tuple[float, ...], ...]:
    """K rows of K. alpha: one row, which stands for all, or K. Errors: ValueError for anything else."""
    given: list[Any] = [alpha] if all(np.ndim(row) == 0 for row in alpha) else list(alpha)
    rows = [check_alpha(row, name) for row in given]
    K = len(rows[0])
    if len(rows) == 1:
        rows *= K
    if len(rows) != K or any(len(row) != K for row in rows):
        sizes = ", ".join(str(len(row)) for row in rows)
        raise ValueError(f"alpha of a Markov chain is one row, or K rows of K; got rows of {sizes}")
    return tuple(rows)


def format_rows(alpha: tuple[tuple[float, ...], ...]) -> str:
    """Rows in words, equal ones once: "5, 1 / 1, 5"."""
    return " / ".join(format_numbers(row, ", ") for row in dict.fromkeys(alpha))


@dataclass(frozen=True)
class MarkovChain(Process):
    """Row j of each task's transition matrix ~ Dirichlet(alpha_j); the symbol after j comes from row j.

    A task's first symbol comes from the stationary distribution of the matrix's prior mean, which is
    known. alpha: K rows of K numbers from 1e-6 to 1e6, or one row that stands for all; K rows are kept.
    T as for DirichletCategorical. Errors: ValueError for anything else. Latent: the matrix (batch,
    tasks, K, K). Belief: ``Transitions``.
    """

    alpha: tuple[Any, ...] = (1.0, 1.0, 1.0)
    T: float = 20

    name = "markov-chain"
    parameters: ClassVar[dict[str, Parameter]] = {
        "alpha": Parameter(
            read_rows,
            "prior pseudo-counts of each row of the transition matrix, or one row for all",
            "5,1,1/1,5,1/1,1,5",
            check_rows,
        ),
        "T": TASK_LENGTH,
    }
    latent_name = "each task's transition matrix"

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @property
    def title(self) -> str:
        return f"Markov chains with rows from Dirichlet({format_rows(self.alpha)}), T={self.T:g}"

    @property
    def start(self) -> Float64[np.ndarray, " {self.num_symbols}"]:
        """The distribution of a task's first symbol (K,)."""
        alpha = np.asarray(self.alpha)
        return np.asarray(stationary_distribution(alpha / alpha.sum(-1, keepdims=True), ""))

    def model(
        self,
        symbols: Integer[AnyArray, "n {streams} {tasks}"] | None = None,
        *,
        streams: int = 1,
        tasks: int = 1,
        draws: int | None = None,
    ) -> Integer[AnyArray, "n {streams} {tasks}"] | None:
        n = draws_in_task(self.T, draws)
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            rows = numpyro.sample("rows", dist.Dirichlet(np.asarray(self.alpha)).to_event(1))
        if n == 0:
            return None

        def step(
            p: Float[Array, "streams tasks symbols"],
            observed: Integer[AnyArray, "streams tasks"] | None,
        ) -> tuple[Float[Array, "streams tasks symbols"], Integer[Array, "streams tasks"]]:
            x = numpyro.sample("x", dist.Categorical(p), obs=observed)
            return jnp.take_along_axis(rows, x[..., None, None], axis=-2)[..., 0, :], x

        start = jnp.broadcast_to(jnp.asarray(self.start, rows.dtype), rows.shape[:-1])
        return scan(step, start, symbols, length=n)[1]

    def initial_belief(self, draws: int = HORIZON) -> Transitions:
        K = self.num_symbols
        return Transitions(jnp.zeros((K, K)), jnp.full((), K, jnp.int32))

    def update(self, belief: Transitions, symbol: Symbol) -> Transitions:
        # one_hot of K, before any symbol, is 0: no transition is counted.
        before, after = (
            jax.nn.one_hot(s, self.num_symbols, dtype=belief.counts.dtype)
            for s in (belief.last, symbol)
        )
        counts = belief.counts + before[:, None] * after[None]
        return Transitions(counts, jnp.asarray(symbol, jnp.int32))

    def log_predictive_of(self, belief: Transitions) -> Float[Array, " {self.num_symbols}"]:
        row = log_succession(jnp.asarray(self.alpha)[belief.last], belief.counts[belief.last])
        return jnp.where(belief.last == self.num_symbols, jnp.log(jnp.asarray(self.start)), row)

    def log_predictive_given(
        self, latent: Latent, belief: Transitions, place: Int[Array, ""]
    ) -> Float[Array, " {self.num_symbols}"]:
        start = jnp.log(jnp.asarray(self.start))
        return jnp.where(belief.last == self.num_symbols, start, log_normalise(latent[belief.last]))

    def coordinates(self, belief: Transitions) -> Coordinates:
        """transition_counts (K * K,), row by row; last_symbol (K,), one-hot; posterior_mean (K,), the
        predictive."""
        K = self.num_symbols
        return {
            "transition_counts": belief.counts.reshape(K * K),
            "last_symbol": jax.nn.one_hot(belief.last, K, dtype=belief.counts.dtype),
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
        }

    def statistic(self, symbols: Symbols) -> Int64[np.ndarray, "*streams m"]:
        """Transition counts (K * K), row by row, and the last symbol, K before any."""
        symbols, K = np.asarray(symbols), self.num_symbols
        moves = K * symbols[..., :-1] + symbols[..., 1:]
        counts = (moves[..., None] == np.arange(K * K)).sum(-2)
        last = symbols[..., -1:] if symbols.shape[-1] else np.full((*symbols.shape[:-1], 1), K)
        return np.concatenate([counts, last], axis=-1)

    def ladder(self) -> dict[str, Machine]:
        """Bayes that believes in i.i.d. symbols, with the mean of the rows of alpha for its prior;
        Laplace's and Krichevsky and Trofimov's rules row by row (alpha = 1 and 1/2)."""
        K = self.num_symbols
        return {
            "iid_dirichlet": DirichletCategorical(tuple(np.asarray(self.alpha).mean(0)), self.T),
            "laplace": self.replace({"alpha": (1.0,) * K}),
            "kt": self.replace({"alpha": (0.5,) * K}),
        }

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls(((5, 1, 1), (1, 5, 0.5), (1, 2, 3)), 5),
            cls(((1.3, 0.4), (2, 5)), math.inf),
        )
