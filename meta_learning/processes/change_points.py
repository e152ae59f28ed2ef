"""Probabilities that change at unknown places: Bayesian online change-point detection.

Before place t let s be where the current stretch of one p started, n_s the counts since then and
w_t(s) = p(s | x_<t). Then (Adams and MacKay 2007, "Bayesian online changepoint detection")

    p(x_t = k | x_<t) = sum over s <= t of w_t(s) (alpha_k + n_s,k) / sum(alpha + n_s)
    w_{t+1}(s)        = (1 - hazard) w_t(s) p(x_t | s) / p(x_t | x_<t)    for s <= t
    w_{t+1}(t + 1)    = hazard

O(t) work at place t, with w in logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array, lax

from autoregressive.precision import float64
from meta_learning.processes.base import (
    Predictor,
    Process,
    Streams,
    checked,
    draws_in_task,
    log_normalised,
    with_reset,
)
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.parameters import (
    ALPHA,
    Parameter,
    check_alpha,
    read_number,
    show,
)

# Numbers in the table of counts of one compiled call: it stays in a processor's cache.
_CHUNK = 2**14


@dataclass(frozen=True)
class ChangePoints(Process):
    """p ~ Dirichlet(alpha); each symbol from Categorical(p); after each symbol p is drawn anew with
    probability ``hazard``. No RESET, and nothing tells where p changed.

    alpha: K >= 2 numbers from 1e-6 to 1e6. hazard: in [0, 1]. Errors: ValueError for anything else.
    Latent: p at every place (batch, length, K).
    """

    alpha: tuple[float, ...]
    hazard: float

    name = "change-points"
    parameters: ClassVar[dict[str, Parameter]] = {
        "alpha": ALPHA,
        "hazard": Parameter(read_number, "probability of a new p after each symbol", "0.05"),
    }
    latent_name = "p at every place"

    def __init__(self, alpha: Sequence[float] = (1.0, 1.0, 1.0), hazard: float = 0.05):
        object.__setattr__(self, "alpha", check_alpha(alpha))
        if not 0 <= float(hazard) <= 1:
            raise ValueError(f"hazard must be between 0 and 1; got {hazard:g}")
        object.__setattr__(self, "hazard", float(hazard))

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @property
    def task_length(self) -> float:
        return math.inf

    @property
    def title(self) -> str:
        return (
            f"change points at hazard {self.hazard:g}, p from Dirichlet({show(self.alpha, ', ')})"
        )

    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        n = draws_in_task(math.inf, draws)
        places = jnp.arange(n)[:, None, None]
        with (
            numpyro.plate("draw", n, dim=-3),
            numpyro.plate("stream", streams, dim=-2),
            numpyro.plate("task", tasks, dim=-1),
        ):
            # Every place has a p in store; what is used is that of the last change.
            fresh = numpyro.sample("fresh", dist.Dirichlet(np.asarray(self.alpha)))
            changed = numpyro.sample("changed", dist.Bernoulli(probs=np.asarray(self.hazard)))
            last = lax.cummax(jnp.where(changed == 1, places, 0), axis=0)
            p = numpyro.deterministic("p", jnp.take_along_axis(fresh, last[..., None], axis=0))
            return numpyro.sample("x", dist.Categorical(p), obs=symbols)

    def latent_of(self, sites: Any) -> Any:
        p = sites["p"]["value"]  # (draws, streams, tasks, K)
        return jnp.moveaxis(p, 0, 2).reshape(p.shape[1], -1, self.num_symbols)

    def log_first(self) -> np.ndarray:
        return np.log(self.alpha) - np.log(math.fsum(self.alpha))

    def log_predictive(self, symbols: Any) -> np.ndarray:
        symbols = checked(symbols, self.num_symbols, math.inf)
        length = symbols.shape[-1]
        flat = symbols.reshape(-1, length).astype(np.int32)
        # Every call has as many streams, so that a stream's bits do not depend on its company.
        rows = 8 * max(1, _CHUNK // (8 * max(length, 1) * self.num_symbols))
        out = np.empty((*flat.shape, self.num_symbols))
        with float64():
            for start in range(0, len(flat) if length else 0, rows):
                chunk = flat[start : start + rows]
                padded = np.pad(chunk, ((0, rows - len(chunk)), (0, 0)))
                found = _predictive(np.asarray(self.alpha), np.asarray(self.hazard), padded)
                out[start : start + len(chunk)] = np.asarray(found)[: len(chunk)]
        return with_reset(out.reshape(*symbols.shape, self.num_symbols), math.inf)

    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        return with_reset(log_normalised(streams.latent), math.inf)

    def ladder(self) -> dict[str, Predictor]:
        """Bayes that believes in no change points, and Bayes with a wrong hazard: a tenth of it, or
        0.1 where it is 0."""
        return {
            "no_change_points": DirichletCategorical(self.alpha, math.inf).log_predictive,
            "bayes_wrong_hazard": self.replace({"hazard": self.hazard / 10 or 0.1}).log_predictive,
        }

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls((1.3, 1, 0.5), 0.3), cls((10, 0.4), 0.05))


@jax.jit
def _predictive(alpha: Array, hazard: Array, symbols: Array) -> Array:
    """log p(x_t | x_<t) in nats. symbols: int32 (B, L). Returns (B, L, K)."""
    batch, length = symbols.shape
    starts = jnp.arange(length)

    def step(carry: tuple[Array, Array], inputs: tuple[Array, Array]) -> tuple[Any, Array]:
        log_w, counts = carry  # by start: (B, L) and (B, L, K)
        t, x = inputs
        weights = alpha[None, None] + counts
        total = weights.sum(-1)
        # The weights of starts can differ by any factor, predictives of one place by a bounded one:
        # their mean may be taken outside logarithms.
        highest = log_w.max(-1, keepdims=True)
        share = jnp.exp(log_w - highest) / total
        mean = jnp.einsum("bs,bsk->bk", share, weights)
        log_p = jnp.log(mean) - jnp.log(mean.sum(-1, keepdims=True))
        came = jax.nn.one_hot(x, len(alpha), dtype=alpha.dtype)
        log_likelihood = jnp.log((weights * came[:, None]).sum(-1) / total)
        log_came = (log_p * came).sum(-1, keepdims=True)
        started = (starts <= t)[None]
        # Normalised anew, lest rounding add up over a long stream.
        log_w = log_w - highest - jnp.log(jnp.exp(log_w - highest).sum(-1, keepdims=True))
        log_w = jnp.where(started, jnp.log1p(-hazard) + log_w + log_likelihood - log_came, -jnp.inf)
        log_w = jnp.where((starts == t + 1)[None], jnp.log(hazard), log_w)
        counts = counts + jnp.where(started[..., None], came[:, None], 0.0)
        return (log_w, counts), log_p

    log_w = jnp.broadcast_to(jnp.where(starts == 0, 0.0, -jnp.inf), (batch, length))
    counts = jnp.zeros((batch, length, len(alpha)), alpha.dtype)
    _, rows = lax.scan(step, (log_w, counts), (starts, symbols.T))
    return jnp.swapaxes(rows, 0, 1)
