"""Markov chains with an unknown transition matrix that start from their own stationary distribution.

The streams of in-context Markov chains (Edelman et al. 2024; Park et al. 2024). With pi the stationary
distribution of the matrix P, f the task's first symbol, n its transition counts and means over rows
P_j ~ Dirichlet(alpha_j + n_j):

    p(x_t = k | x_<t, x_{t-1} = j) = E[pi_f P_jk] / E[pi_f]

(alpha_jk + n_jk) / sum over k, which leaves the first symbol out, is Bayes only where that says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64, Int, Int64, Integer

from meta_learning.processes.base import Process
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.machine import HORIZON, Machine, at_distinct, log_normalise
from meta_learning.processes.markov_chain import MarkovChain, Transitions, check_rows, format_rows
from meta_learning.processes.parameters import TASK_LENGTH, Parameter, read_rows
from meta_learning.processes.places import counts_before
from meta_learning.processes.stationary import stationary_means, stationary_of
from meta_learning.processes.types import Coordinates, Latent, Symbol, Symbols


class Begun(NamedTuple):
    """Belief: what a Markov chain's is, and the task's first symbol, K before any."""

    transitions: Transitions
    first: Int[Array, ""]


def _check_rows(alpha: Sequence[Any], name: str) -> tuple[tuple[float, ...], ...]:
    rows = check_rows(alpha, name)
    least = min(map(min, rows))
    if len(rows) > 3 or least < 0.1:
        raise ValueError(
            "alpha of stationary-chain, whose predictor is a quadrature, is for 2 or 3 symbols and 0.1 "
            f"or more; got {len(rows)} symbols and {least:g}: take markov-chain for others"
        )
    return rows


@dataclass(frozen=True)
class StationaryChain(Process):
    """Row j of each task's transition matrix ~ Dirichlet(alpha_j); the task's first symbol comes from
    that matrix's stationary distribution, the symbol after j from row j.

    alpha: 2 or 3 rows of as many numbers from 0.1 to 1e6, or one row that stands for all. T: as for
    DirichletCategorical. Errors: ValueError for anything else. Latent: the matrix (batch, tasks, K, K).
    Belief: ``Begun``. The predictor is good to 1e-8 nats for two symbols, to 1e-12 where alpha is 1/2
    or more; for three to some 1e-4 at a task's start, and better with every symbol
    (``stationary_means``).
    """

    alpha: tuple[Any, ...] = (1.0, 1.0)
    T: float = 11

    most_beliefs = 32
    name = "stationary-chain"
    parameters: ClassVar[dict[str, Parameter]] = {
        "alpha": Parameter(
            read_rows,
            "prior pseudo-counts of each row of the transition matrix, or one row for all",
            "1,1",
            _check_rows,
        ),
        "T": TASK_LENGTH,
    }
    latent_name = "each task's transition matrix"

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @property
    def title(self) -> str:
        prior = format_rows(self.alpha)
        return f"stationary Markov chains with rows from Dirichlet({prior}), T={self.T:g}"

    def latent(self) -> Latent:
        return numpyro.sample("rows", dist.Dirichlet(np.asarray(self.alpha)).to_event(1))

    @property
    def _chain(self) -> MarkovChain:
        """The same matrices, from another first symbol."""
        return MarkovChain(self.alpha, self.T)

    def initial_belief(self, draws: int = HORIZON) -> Begun:
        return Begun(self._chain.initial_belief(draws), jnp.full((), self.num_symbols, jnp.int32))

    def update(self, belief: Begun, symbol: Symbol) -> Begun:
        begins = belief.first == self.num_symbols
        first = jnp.where(begins, jnp.asarray(symbol, jnp.int32), belief.first)
        return Begun(self._chain.update(belief.transitions, symbol), first)

    def log_predictive_of(self, belief: Begun) -> Float[Array, " {self.num_symbols}"]:
        (counts, last), K = belief.transitions, self.num_symbols
        concentration = jnp.asarray(self.alpha, counts.dtype) + counts
        # Before any symbol the first is what comes, and no row is asked for.
        first, row = (jnp.where(s == K, 0, s) for s in (belief.first, last))
        means = stationary_means(concentration, first, row)
        return log_normalise(jnp.where(last == K, means.start, means.next))

    def log_predictive_along(
        self, draws: Integer[np.ndarray, "*tasks n"]
    ) -> Float64[np.ndarray, "*tasks n {self.num_symbols}"]:
        """Computed once for all places with the same belief: there are far fewer beliefs than places."""
        K, n = self.num_symbols, draws.shape[-1]
        moves = np.zeros((*draws.shape, K * K), np.int64)
        moves[..., 1:, :] = counts_before(K * draws[..., :-1] + draws[..., 1:], K * K)
        ends = np.full((*draws.shape, 2), K)
        ends[..., 1:, 0], ends[..., 1:, 1] = draws[..., :-1], draws[..., :1]
        beliefs = np.concatenate([moves, ends], -1)
        return at_distinct(partial(_predictive, self), beliefs, max(n, K + 1), self.most_beliefs)

    def log_predictive_given(
        self, latent: Latent, belief: Begun, place: Int[Array, ""]
    ) -> Float[Array, " {self.num_symbols}"]:
        last = belief.transitions.last
        row = jnp.where(last == self.num_symbols, stationary_of(latent), latent[last])
        return log_normalise(row)

    def coordinates(self, belief: Begun) -> Coordinates:
        """As a Markov chain's, and first_symbol (K,) with a 1 at it."""
        found = dict(self._chain.coordinates(belief.transitions))
        found["first_symbol"] = jnp.eye(self.num_symbols + 1)[belief.first, :-1]
        return {**found, "posterior_mean": jnp.exp(self.log_predictive_of(belief))}

    def statistic(self, symbols: Symbols) -> Int64[np.ndarray, "*streams m"]:
        """A Markov chain's, and the first symbol, K before any."""
        symbols = np.asarray(symbols)
        none = np.full((*symbols.shape[:-1], 1), self.num_symbols)
        first = symbols[..., :1] if symbols.shape[-1] else none
        return np.concatenate([self._chain.statistic(symbols), first], axis=-1)

    def ladder(self) -> dict[str, Machine]:
        """The bigram rule, Bayes of chains from a known first distribution; Bayes of i.i.d. symbols,
        with the mean of the rows of alpha for its prior (unigrams)."""
        mean = tuple(np.asarray(self.alpha).mean(0))
        return {"bigram": self._chain, "iid_dirichlet": DirichletCategorical(mean, self.T)}

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls(((3, 1), (1, 2)), 5), cls((1, 1), float("inf")))


@partial(jax.jit, static_argnums=0)
def _predictive(
    process: StationaryChain, rows: Integer[Array, "rows numbers"]
) -> Float[Array, "rows symbols"]:
    """rows: transition counts, the last symbol and the first."""

    def one(row: Integer[Array, " numbers"]) -> Float[Array, " symbols"]:
        K = process.num_symbols
        counts = row[: K * K].reshape(K, K).astype(float)
        return process.log_predictive_of(Begun(Transitions(counts, row[-2]), row[-1]))

    return jax.vmap(one)(rows)
