"""Predictors by counts that advance step by step, as a network does: so that one code serves both.

An urn holds alpha_k balls of each symbol; a symbol that came is put back with ``added`` more of its
kind, and RESET empties it to alpha (Polya's urn; Blackwell and MacQueen 1973). With the process's alpha
and one ball added it is the exact Bayesian predictive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import jax.numpy as jnp
from jax import Array

from autoregressive.broadcast import align


class Stepwise(Protocol):
    """What is rolled forward: ``autoregressive.model.Model``, or an urn. Hashable."""

    def initial_state(self, batch: tuple[int, ...] = ()) -> Any:
        """The state before the first input, with leading axes ``batch``."""

    def step(self, params: Any, state: Any, x: Array) -> tuple[Any, Array]:
        """x one-hot (..., K+1) -> the new state and logits (..., K+1) for what follows."""


@dataclass(frozen=True)
class Urn:
    """q(k) proportional to alpha_k + added * n_k, with n the counts since RESET; RESET is left out."""

    alpha: tuple[float, ...]
    added: float = 1.0

    def initial_state(self, batch: tuple[int, ...] = ()) -> Array:
        """Counts of 0, float32 ``(*batch, K)``."""
        return jnp.zeros((*batch, len(self.alpha)), jnp.float32)

    def step(self, params: Any, state: Array, x: Array) -> tuple[Array, Array]:
        """Counts (..., K) after x, one-hot (..., K+1), and logits (..., K+1); ``params`` is not used."""
        x, state = align(x, state), align(state, x)
        counts = jnp.where(x[..., -1:] > 0, 0.0, state + x[..., :-1])
        weights = align(jnp.asarray(self.alpha, jnp.float32), counts) + self.added * counts
        never = jnp.full((*counts.shape[:-1], 1), -jnp.inf, jnp.float32)
        return counts, jnp.concatenate([jnp.log(weights), never], axis=-1)


def bayes(alpha: tuple[float, ...]) -> Urn:
    """The exact predictive (alpha_k + n_k) / (sum(alpha) + sum(n)); alpha: K pseudo-counts."""
    return Urn(alpha)


def memoryless(alpha: tuple[float, ...]) -> Urn:
    """Always alpha / sum(alpha); alpha: K pseudo-counts."""
    return Urn(alpha, added=0.0)


def kt(alpha: tuple[float, ...]) -> Urn:
    """Krichevsky and Trofimov's (1981) 1/2 for every symbol, whatever alpha (K,) is."""
    return Urn((0.5,) * len(alpha))
