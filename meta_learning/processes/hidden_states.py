"""What all processes with a hidden state share: the forward algorithm, the draws, the oracle.

With T^(x)_ij = p(symbol x, next state j | state i), whose sum over x and j is 1, and
f_t(i) = p(z_t = i | x_<t), z_t the state before symbol t,

    p(x_t = k | x_<t) = sum over i, j of f_t(i) T^(k)_ij
    f_{t+1}(j)        = sum over i of f_t(i) T^(x_t)_ij / p(x_t | x_<t)

This is the forward algorithm (Rabiner 1989, "A tutorial on hidden Markov models", section III.A) for
symbols that come with the transition; a symbol that the state emits is the case T^(x)_ij = B_ix A_ij.
f is held in logarithms, since a state whose probability would underflow can become likely again.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64, Int, Int64, Integer
from numpyro.contrib.control_flow import scan

from autoregressive.broadcast import AnyArray
from meta_learning.processes.base import Process, draws_in_task, move_draws_last
from meta_learning.processes.machine import HORIZON, Machine
from meta_learning.processes.mixed_states import belief_table
from meta_learning.processes.types import (
    Belief,
    Coordinates,
    Entry,
    Latent,
    Matrices,
    Sites,
    Symbol,
    Symbols,
)

# The least probability of a state in a belief that is read off a network's state, in float32.
SMALLEST = 1e-6


@dataclass(frozen=True)
class HiddenStates(Process):
    """A hidden state that moves with every symbol.

    Latent: the state before each symbol (batch, tasks, draws). Belief: log p(state | x_<t), (S,).
    """

    latent_name = "the hidden state before each symbol"

    @abstractmethod
    def edges_as(self, number: Entry) -> Matrices:
        """T^(x)_ij, nested (K, S, S), with entries of the type ``number``: float or Fraction."""

    @abstractmethod
    def first_state(self) -> tuple[float, ...]:
        """p(a task's first state), (S,)."""

    @abstractmethod
    def wrong_model(self) -> Process:
        """Another process of the same K and T, in which the reference "bayes_wrong_model" believes."""

    @property
    def matrices(self) -> Float64[np.ndarray, "symbols states states"]:
        """T^(x)_ij = p(symbol x, next state j | state i), float64 (K, S, S)."""
        return np.asarray(self.edges_as(float), np.float64)

    @property
    def num_symbols(self) -> int:
        return len(self.matrices)

    def model(
        self,
        symbols: Integer[AnyArray, "n {streams} {tasks}"] | None = None,
        *,
        streams: int = 1,
        tasks: int = 1,
        draws: int | None = None,
    ) -> Integer[AnyArray, "n {streams} {tasks}"] | None:
        n = draws_in_task(self.task_length, draws)
        if n == 0:
            numpyro.deterministic("z", jnp.zeros((0, streams, tasks), jnp.int32))
            return None
        # By logits: the sampler for probabilities can return an outcome of probability 0.
        shows, moves = _log(self.matrices.sum(-1).T), _log(self.matrices)

        def step(
            logits: Float[Array, "streams tasks states"],
            observed: Integer[AnyArray, "streams tasks"] | None,
        ) -> tuple[Float[Array, "streams tasks states"], Integer[Array, "streams tasks"]]:
            z = numpyro.sample("z", dist.Categorical(logits=logits))
            x = numpyro.sample("x", dist.Categorical(logits=shows[z]), obs=observed)
            return moves[x, z], x

        first = _log(self.first_state())
        begin = jnp.broadcast_to(first, (streams, tasks, len(first)))
        return scan(step, begin, symbols, length=n)[1]

    def latent_of(self, sites: Sites) -> Latent:
        return move_draws_last(sites["z"]["value"])

    def initial_belief(self, draws: int = HORIZON) -> Float[Array, " states"]:
        return _log(self.first_state())

    def update(self, belief: Float[Array, " states"], symbol: Symbol) -> Float[Array, " states"]:
        after = jax.nn.logsumexp(belief[:, None] + _log(self.matrices)[symbol], axis=0)
        total = jax.nn.logsumexp(after)
        return jnp.where(jnp.isneginf(total), belief, after - total)

    def log_predictive_of(
        self, belief: Float[Array, " states"]
    ) -> Float[Array, " {self.num_symbols}"]:
        return jax.nn.logsumexp(belief[None] + _log(self.matrices.sum(-1)), axis=-1)

    def log_predictive_given(
        self, latent: Latent, belief: Belief, place: Int[Array, ""]
    ) -> Float[Array, " {self.num_symbols}"]:
        # A task without draws has no state; what is returned for it is not read.
        state = jnp.append(latent, 0)[place]
        return _log(self.matrices.sum(-1))[:, state]

    def coordinates(self, belief: Float[Array, " states"]) -> Coordinates:
        """state_probabilities (S,), p(state | x_<t); posterior_mean (K,), the predictive."""
        return {
            "state_probabilities": jnp.exp(belief),
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
        }

    def to_numbers(self, belief: Float[Array, " states"]) -> Float[Array, " states"]:
        """p(state | x_<t), (S,)."""
        return jnp.exp(belief)

    def from_numbers(self, numbers: Float[Array, " states"]) -> Float[Array, " states"]:
        """Normalised, and no state below ``SMALLEST``: a 0 that is only rounding would make the next
        symbol impossible."""
        p = jnp.maximum(numbers, SMALLEST)
        return jnp.log(p) - jnp.log(p.sum())

    def statistic(self, symbols: Symbols) -> Int64[np.ndarray, "*streams m"] | None:
        """The number of the belief, (..., 1), for a process that has few beliefs; -1 after symbols that
        cannot come. None where it has too many, such as Mess3, which has infinitely many."""
        table = _belief_table(self)
        if table is None:
            return None
        symbols = np.asarray(symbols)
        found = np.zeros(symbols.shape[:-1], np.int64)
        for place in range(symbols.shape[-1]):
            found = table[found, symbols[..., place]]
        return found[..., None]

    def ladder(self) -> dict[str, Machine]:
        """Bayes given only the last symbol of the task and its place, and Bayes of ``wrong_model``."""
        return {"last_symbol_only": LastSymbol(self), "bayes_wrong_model": self.wrong_model()}


# p(state) given no symbol, and given the last symbol alone.
Marginals = tuple[Float[Array, " states"], Float[Array, " states"]]


@dataclass(frozen=True)
class LastSymbol(Machine):
    """Bayes of ``process`` given only the last symbol and its place. Belief: ``Marginals``."""

    process: HiddenStates

    @property
    def num_symbols(self) -> int:
        return self.process.num_symbols

    @property
    def task_length(self) -> float:
        return self.process.task_length

    def initial_belief(self, draws: int = HORIZON) -> Marginals:
        start = jnp.asarray(self.process.first_state())
        return start, start

    def update(self, belief: Marginals, symbol: Symbol) -> Marginals:
        matrices = jnp.asarray(self.process.matrices)
        marginal, _ = belief
        after, moved = marginal @ matrices[symbol], marginal @ matrices.sum(0)
        total = after.sum()
        return moved, jnp.where(total > 0, after / total, moved)

    def log_predictive_of(self, belief: Marginals) -> Float[Array, " {self.num_symbols}"]:
        return jnp.log(jnp.asarray(self.process.matrices).sum(-1) @ belief[1])


@lru_cache(maxsize=64)
def _belief_table(process: HiddenStates) -> Int64[np.ndarray, "beliefs symbols"] | None:
    from fractions import Fraction

    return belief_table(process.edges_as(Fraction), process.first_state())


def _log(
    p: Float[np.ndarray, "*shape"] | tuple[float, ...],
) -> Float[Array, "*shape"]:
    with np.errstate(divide="ignore"):
        return jnp.asarray(np.log(p))
