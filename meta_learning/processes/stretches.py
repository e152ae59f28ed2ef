"""Probabilities that are drawn anew at unknown places: what all such processes share.

Places between two changes are a stretch. Before place t let s be where its stretch started, n_s the
counts since then and w_t(s) = p(s | x_<t). Then (Adams and MacKay 2007, "Bayesian online changepoint
detection"), with h(n) the probability of a change after a stretch's n-th symbol,

    p(x_t = k | x_<t) = sum over s <= t of w_t(s) (alpha_k + n_s,k) / sum(alpha + n_s)
    v_t(s)            = w_t(s) p(x_t | s) / p(x_t | x_<t)
    w_{t+1}(s)        = (1 - h(t + 1 - s)) v_t(s)                 for s <= t
    w_{t+1}(t + 1)    = sum over s <= t of h(t + 1 - s) v_t(s)

w is held in logarithms, for every start that a task can have: O(draws) work a place.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array, lax
from jaxtyping import Float, Float64, Int, Integer, Num

from autoregressive.broadcast import AnyArray
from autoregressive.precision import float64
from meta_learning.processes.base import Process, Streams, draws_in_task
from meta_learning.processes.machine import HORIZON, log_normalise
from meta_learning.processes.places import with_reset
from meta_learning.processes.types import Belief, Coordinates, Latent, Sites, Symbol


@dataclass(frozen=True)
class Stretches(Process):
    """p ~ Dirichlet(alpha) for each stretch; its symbols from Categorical(p). No RESET, and nothing
    tells where p changed. A subclass says where it may, and holds a belief.

    alpha: K >= 2 numbers from 1e-6 to 1e6. Latent: p at every place (batch, length, K).
    """

    alpha: tuple[float, ...] = (1.0, 1.0, 1.0)

    latent_name = "p at every place"

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @abstractmethod
    def draw_changes(self, places: Int[Array, " n"]) -> Num[Array, "n streams tasks"]:
        """NumPyro: 1 where p is drawn anew before the place, else 0. Called inside the plates of
        places, streams and tasks. What it says of place 0 does not matter."""

    def model(
        self,
        symbols: Integer[AnyArray, "n {streams} {tasks}"] | None = None,
        *,
        streams: int = 1,
        tasks: int = 1,
        draws: int | None = None,
    ) -> Integer[AnyArray, "n {streams} {tasks}"] | None:
        n = draws_in_task(math.inf, draws)
        places = jnp.arange(n)
        with (
            numpyro.plate("draw", n, dim=-3),
            numpyro.plate("stream", streams, dim=-2),
            numpyro.plate("task", tasks, dim=-1),
        ):
            # A p is drawn for every place, and the one at the last change is used: shapes stay fixed.
            fresh = numpyro.sample("fresh", dist.Dirichlet(np.asarray(self.alpha)))
            changed = self.draw_changes(places)
            last = lax.cummax(jnp.where(changed == 1, places[:, None, None], 0), axis=0)
            p = numpyro.deterministic("p", jnp.take_along_axis(fresh, last[..., None], axis=0))
            return numpyro.sample("x", dist.Categorical(p), obs=symbols)

    def latent_of(self, sites: Sites) -> Latent:
        p = sites["p"]["value"]  # (draws, streams, tasks, K)
        return jnp.moveaxis(p, 0, 2).reshape(p.shape[1], -1, self.num_symbols)

    def log_predictive_given(
        self, latent: Latent, belief: Belief, place: Int[Array, ""]
    ) -> Float[Array, " {self.num_symbols}"]:
        return log_normalise(latent[place])

    def log_predictive_given_latent(
        self, streams: Streams
    ) -> Float64[np.ndarray, "batch length {self.num_symbols+1}"]:
        with float64():
            p = np.asarray(streams.latent, np.float64)
            return with_reset(np.asarray(log_normalise(p)), math.inf)

    def probabilities_given_latent(
        self, streams: Streams
    ) -> Float[Array, "batch length {self.num_symbols+1}"]:
        p = jnp.exp(log_normalise(jnp.asarray(streams.latent)))
        return jnp.pad(p, [(0, 0), (0, 0), (0, 1)])  # there is no RESET


class Starts(NamedTuple):
    """Belief over the place s where the current stretch started.

    place: how many draws came before, int scalar. log_weights: log w(s), nats (capacity,), -inf for a
    start still to come. counts: of each symbol since each start (capacity, K). capacity: the draws that
    the belief can take in, and one.
    """

    place: Int[Array, ""]
    log_weights: Float[Array, " capacity"]
    counts: Float[Array, "capacity symbols"]


class FromStarts(Stretches):
    """Stretches whose end depends on nothing but their length. Belief: ``Starts``."""

    @abstractmethod
    def split(
        self, log_weights: Float[Array, " capacity"], lengths: Int[Array, " capacity"]
    ) -> tuple[Float[Array, " capacity"], Float[Array, ""]]:
        """log v(s) (capacity,) and the stretches' lengths n, 1 or more -> log of (1 - h(n)) v(s), and of
        the sum of h(n) v(s). Where a start is still to come, v is 0 and n means nothing."""

    def initial_belief(self, draws: int = HORIZON) -> Starts:
        """All weight on a start at place 0. After more than ``draws`` symbols it predicts NaN."""
        log_weights = jnp.where(jnp.arange(draws + 1) == 0, 0.0, -jnp.inf)
        counts = jnp.zeros((draws + 1, self.num_symbols))
        return Starts(jnp.zeros((), int), log_weights, counts)

    def update(self, belief: Starts, symbol: Symbol) -> Starts:
        place, log_w, counts = belief
        starts = jnp.arange(len(log_w))
        came = jax.nn.one_hot(symbol, self.num_symbols, dtype=counts.dtype)
        weights = jnp.asarray(self.alpha)[None] + counts
        log_likelihood = jnp.log((weights * came[None]).sum(-1) / weights.sum(-1))
        log_came = (self.log_predictive_of(belief) * came).sum()
        # Normalised at each step, or rounding would add up over a long stream.
        log_v = log_w - jax.nn.logsumexp(log_w) + log_likelihood - log_came
        log_stay, log_new = self.split(log_v, jnp.maximum(place + 1 - starts, 1))
        log_w = jnp.where(starts <= place, log_stay, -jnp.inf)
        log_w = jnp.where(starts == place + 1, log_new, log_w)
        counts = counts + jnp.where((starts <= place)[:, None], came[None], 0.0)
        return Starts(place + 1, log_w, counts)

    def log_predictive_of(self, belief: Starts) -> Float[Array, " {self.num_symbols}"]:
        weights = jnp.asarray(self.alpha)[None] + belief.counts
        # Not in logarithms: starts' predictives of one place differ by a bounded factor, so a start
        # whose weight underflows has no say in their mean.
        share = jnp.exp(belief.log_weights - belief.log_weights.max()) / weights.sum(-1)
        log_p = log_normalise(share @ weights)
        return jnp.where(belief.place < len(share), log_p, jnp.nan)

    def coordinates(self, belief: Starts) -> Coordinates:
        """run_length (1,): expected draws since p last changed. counts (K,): expected counts of the
        symbols since then. posterior_mean (K,): the predictive."""
        w = jax.nn.softmax(belief.log_weights)
        return {
            "run_length": (w * (belief.place - jnp.arange(len(w)))).sum(keepdims=True),
            "counts": w @ belief.counts,
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
        }

    def to_numbers(self, belief: Starts) -> Starts:
        """w(s) in place of its logarithm, and the counts times w(s), of which means make sense."""
        w = jax.nn.softmax(belief.log_weights)
        return Starts(belief.place, w, w[:, None] * belief.counts)

    def from_numbers(self, numbers: Starts) -> Starts:
        """w(s) normalised; the counts since each start scaled to the number of draws since it."""
        place, w, counts = (jnp.maximum(leaf, 0) for leaf in numbers)
        starts = jnp.arange(len(w))
        w = jnp.where(starts <= place, w, 0.0)
        w = jnp.where(w.sum() > 0, w, jnp.where(starts <= place, 1.0, 0.0))
        total = counts.sum(-1, keepdims=True)
        shares = jnp.where(
            total > 0, counts / jnp.where(total > 0, total, 1.0), 1 / self.num_symbols
        )
        since = jnp.maximum(place - starts, 0)[:, None]
        return Starts(place, jnp.log(w) - jnp.log(w.sum()), since * shares)
