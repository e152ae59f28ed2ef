"""Tasks that each follow one of finitely many known distributions.

With n_k the counts of the task so far, component c has posterior weight proportional to
w_c product over k of p_ck^{n_k}, and the predictive is the weighted mean of the components' p (Bishop
2006, section 9.2, with known components).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array

from autoregressive.broadcast import align
from meta_learning.processes.base import Process
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.machine import HORIZON, Machine
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_distribution,
    check_distributions,
    json_task_length,
    read_numbers,
    read_rows,
)
from meta_learning.processes.places import count_symbols


@dataclass(frozen=True)
class Mixture(Process):
    """A component c ~ Categorical(weights) for every task; symbols i.i.d. from Categorical(p_c).

    p: one row of K >= 2 probabilities a component. T as for DirichletCategorical. weights: one a
    component, summing to 1; None is equal weights. Errors: ValueError for anything else. Latent: the
    component (batch, tasks). Belief: the counts n.
    """

    p: tuple[tuple[float, ...], ...] = ((0.6, 0.3, 0.1), (0.1, 0.6, 0.3), (0.3, 0.1, 0.6))
    T: float = 20
    weights: tuple[float, ...] | None = None

    name = "mixture"
    parameters: ClassVar[dict[str, Parameter]] = {
        "p": Parameter(
            read_rows,
            "probabilities of the symbols, a row a component",
            "0.6,0.3,0.1/0.1,0.3,0.6",
            check_distributions,
        ),
        "T": TASK_LENGTH,
        "weights": Parameter(
            read_numbers, "probabilities of the components, else equal", "0.7,0.3"
        ),
    }
    latent_name = "each task's component"

    def __post_init__(self) -> None:
        super().__post_init__()
        size = len(self.p)
        weights = [1 / size] * size if self.weights is None else self.weights
        self.keep("weights", check_distribution(weights, "weights", size))

    @property
    def num_symbols(self) -> int:
        return len(self.p[0])

    @property
    def title(self) -> str:
        return f"a mixture of {len(self.p)} categoricals, T={json_task_length(self.T) or 'inf'}"

    def latent(self) -> Any:
        # By logits: the samplers for probabilities can return a first entry of probability 0.
        return numpyro.sample("component", dist.Categorical(logits=_log(self.weights)))

    def draw_distribution(self, latent: Any) -> Any:
        p = jnp.asarray(self.p)[latent]
        return dist.Categorical(p) if np.all(self.p) else dist.Categorical(logits=jnp.log(p))

    def initial_belief(self, draws: int = HORIZON) -> Array:
        return jnp.zeros(self.num_symbols)

    def update(self, belief: Array, symbol: Array) -> Array:
        return belief + jax.nn.one_hot(symbol, self.num_symbols, dtype=belief.dtype)

    def log_weights(self, counts: Any) -> Array:
        """log p(component | counts) in nats: (..., K) -> (..., components)."""
        p, counts = np.asarray(self.p), jnp.asarray(counts, float)
        # 0 log 0 is 0: what a component never makes counts only where it came.
        log_p = np.log(np.where(p > 0, p, 1.0))
        ruled_out = (counts @ (p == 0).T.astype(float)) > 0
        log_likelihood = counts @ log_p.T
        prior = align(_log(self.weights), log_likelihood)
        log_w = jnp.where(ruled_out, -jnp.inf, prior + log_likelihood)
        total = jax.nn.logsumexp(log_w, axis=-1, keepdims=True)
        return jnp.where(jnp.isneginf(total), prior, log_w - total)

    def log_predictive_of(self, belief: Any) -> Array:
        return jnp.log(jnp.exp(self.log_weights(belief)) @ jnp.asarray(self.p))

    def log_predictive_given(self, latent: Any, belief: Any, place: Array) -> Array:
        return jnp.log(jnp.asarray(self.p))[latent]

    def coordinates(self, belief: Array) -> dict[str, Array]:
        """component_weights (components,), counts (K,) and posterior_mean (K,), the predictive."""
        return {
            "component_weights": jnp.exp(self.log_weights(belief)),
            "counts": belief,
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
        }

    def statistic(self, symbols: Any) -> np.ndarray:
        return count_symbols(symbols, self.num_symbols)

    def ladder(self) -> dict[str, Machine]:
        """Laplace's and Krichevsky and Trofimov's rules, which do not know the components."""
        return {
            name: DirichletCategorical((value,) * self.num_symbols, self.T)
            for name, value in (("laplace", 1.0), ("kt", 0.5))
        }

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls(((0.6, 0.3, 0.1), (0.1, 0.1, 0.8)), 5, (0.3, 0.7)),
            cls(((0.999, 0.001), (0.3, 0.7), (0.5, 0.5)), math.inf, (0.5, 0.5, 0)),
            cls(((0.5, 0.5, 0), (0, 0.2, 0.8)), 4),
        )


def _log(p: Any) -> Array:
    return jnp.log(jnp.asarray(p))
