"""Tasks that each follow one of finitely many known distributions: what these processes share.

With n_k the counts of the task so far, component c has posterior weight proportional to
w_c product over k of p_ck^{n_k}, and the predictive is the weighted mean of the components' p (Bishop
2006, section 9.2, with known components).
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64, Int, Int64, Integer, Shaped

from autoregressive.broadcast import AnyArray, align
from meta_learning.processes.base import Process
from meta_learning.processes.machine import HORIZON, at_distinct
from meta_learning.processes.places import count_symbols, counts_before
from meta_learning.processes.types import Belief, Coordinates, Latent, Symbol, Symbols

# Rows of counts times components in one compiled call: bounds its memory.
_AT_ONCE = 2**20


class Components(Process):
    """Each task has a component; its symbols are i.i.d. from the component's p.

    Latent: the component (batch, tasks). Belief: the counts n.
    """

    latent_name = "each task's component"

    @property
    @abstractmethod
    def components(self) -> Float64[np.ndarray, "components symbols"]:
        """p of every component, float64 (components, K)."""

    @property
    @abstractmethod
    def component_prior(self) -> Float64[np.ndarray, " components"]:
        """The probability of each component, float64 (components,)."""

    @property
    def num_symbols(self) -> int:
        return self.components.shape[1]

    def latent(self) -> Latent:
        # By logits: the samplers for probabilities can return a first entry of probability 0.
        return numpyro.sample("component", dist.Categorical(logits=_log(self.component_prior)))

    def draw_distribution(self, latent: Latent) -> dist.Distribution | None:
        components = self.components
        p = jnp.asarray(components)[latent]
        return dist.Categorical(p) if np.all(components) else dist.Categorical(logits=jnp.log(p))

    def initial_belief(self, draws: int = HORIZON) -> Float[Array, " {self.num_symbols}"]:
        return jnp.zeros(self.num_symbols)

    def update(
        self, belief: Float[Array, " {self.num_symbols}"], symbol: Symbol
    ) -> Float[Array, " {self.num_symbols}"]:
        return belief + jax.nn.one_hot(symbol, self.num_symbols, dtype=belief.dtype)

    def log_weights(
        self, counts: Shaped[AnyArray, "*batch {self.num_symbols}"]
    ) -> Float[Array, "*batch components"]:
        """log p(component | counts) in nats: (..., K) -> (..., components)."""
        p, counts = self.components, jnp.asarray(counts, float)
        prior = _log(self.component_prior)
        # 0 log 0 is 0: a symbol that a component never makes rules it out only where it came.
        log_p = np.log(np.where(p > 0, p, 1.0))
        ruled_out = (counts @ jnp.asarray(p == 0, counts.dtype).T) > 0
        log_likelihood = counts @ jnp.asarray(log_p.T)
        prior = align(prior, log_likelihood)
        log_w = jnp.where(ruled_out, -jnp.inf, prior + log_likelihood)
        total = jax.nn.logsumexp(log_w, axis=-1, keepdims=True)
        return jnp.where(jnp.isneginf(total), prior, log_w - total)

    def log_predictive_of(
        self, belief: Shaped[Array, "*batch {self.num_symbols}"]
    ) -> Float[Array, "*batch {self.num_symbols}"]:
        p, log_w = self.components, self.log_weights(belief)
        if np.all(p):
            return jnp.log(jnp.exp(log_w) @ jnp.asarray(p))
        # In logarithms: a symbol may only come from a component whose weight underflows in float64.
        log_w = log_w[..., None]
        return jax.nn.logsumexp(log_w + align(_log(p), log_w), axis=-2)

    def log_predictive_along(
        self, draws: Integer[np.ndarray, "*tasks n"]
    ) -> Float64[np.ndarray, "*tasks n {self.num_symbols}"]:
        """Computed once for all places with the same counts: there are far fewer counts than places."""
        counts = counts_before(draws, self.num_symbols)
        at_once = max(1, _AT_ONCE // len(self.components))
        return at_distinct(partial(_predictive, self), counts, draws.shape[-1], at_once)

    def log_predictive_given(
        self, latent: Latent, belief: Belief, place: Int[Array, ""]
    ) -> Float[Array, " {self.num_symbols}"]:
        return jnp.log(jnp.asarray(self.components))[latent]

    def coordinates(self, belief: Float[Array, " {self.num_symbols}"]) -> Coordinates:
        """component_weights (components,), counts (K,) and posterior_mean (K,), the predictive."""
        return {
            "component_weights": jnp.exp(self.log_weights(belief)),
            "counts": belief,
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
        }

    def from_numbers(
        self, numbers: Float[Array, " {self.num_symbols}"]
    ) -> Float[Array, " {self.num_symbols}"]:
        """Rounded where a component has a probability of 0: a count of 1e-6 would rule it out."""
        return numbers if np.all(self.components) else jnp.round(numbers)

    def statistic(self, symbols: Symbols) -> Int64[np.ndarray, "*streams m"]:
        return count_symbols(symbols, self.num_symbols)


@partial(jax.jit, static_argnums=0)
def _predictive(
    process: Components, counts: Integer[Array, "rows symbols"]
) -> Float[Array, "rows symbols"]:
    return process.log_predictive_of(counts)


def _log(p: Float[np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.log(jnp.asarray(p))
