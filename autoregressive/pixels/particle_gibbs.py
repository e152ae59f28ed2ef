"""Chains of completions whose limit is the posterior: particle Gibbs (Andrieu, Doucet, Holenstein 2010).

A sweep is a conditional run (``particles``) that keeps the chain's completion; one of its particles,
drawn by its weight, is the next completion. Beside the completion a sweep gives the weighted share of
ones among all its particles: the expectation of the next completion given the run, whose mean over
sweeps is that of the completions, with less noise.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float64, Int8, Int32, Key

from autoregressive.cells.base import Params
from autoregressive.model import Model
from autoregressive.pixels.lookahead import Lookahead
from autoregressive.pixels.particle_walk import reach
from autoregressive.pixels.particles import runs
from autoregressive.vectors import WIDE


class Sweeps(NamedTuple):
    """Of K sweeps of C chains on each of n images, M places for missing pixels: log_evidence: of the
    conditional runs. marginals: shares of ones. drawn: the chains' completions. best, log_prob_best: as
    ``Particles``, over all sweeps."""

    log_evidence: Float64[Array, "K n C"]
    marginals: Float64[Array, "K n C M"]
    drawn: Int8[Array, "K n C M"]
    best: Int8[Array, "n M"]
    log_prob_best: Float64[Array, " n"]


@partial(
    jax.jit,
    static_argnums=0,
    static_argnames=("particles", "slots", "count"),
    compiler_options=WIDE,
)
def sweep(
    model: Model,
    params: Params,
    first_pixel: Float64[Array, ""],
    images: Int8[Array, "n P"],
    keys: Key[Array, "n C"],
    held: Int8[Array, "n C M"],
    lookahead: Lookahead | None,
    done: Int32[Array, ""],
    *,
    particles: int,
    slots: int,
    count: int,
) -> Sweeps:
    """``count`` sweeps, to be called inside ``float64``.

    keys: of each chain. held: its completion. done: sweeps before these. Images as ``particles.run``.
    """
    fold = jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (0, None))

    state = reach(model, params, images)
    Carry = tuple[Array, Array, Array]

    def one(carry: Carry, number: Int32[Array, ""]) -> tuple[Carry, tuple[Array, Array, Array]]:
        held, best, score = carry
        found = runs(
            model,
            params,
            first_pixel,
            images,
            fold(keys, number),
            held,
            lookahead,
            state,
            particles=particles,
            slots=slots,
        )
        better = found.log_prob_best > score
        best = jnp.where(better[:, None], found.best, best)
        score = jnp.maximum(found.log_prob_best, score)
        drawn = found.drawn[:, :, 0]
        return (drawn, best, score), (found.log_evidence, found.marginals, drawn)

    start = (held, held[:, 0], jnp.full((len(images),), -jnp.inf))
    numbers = done + jnp.arange(count, dtype=jnp.int32)
    (_, best, score), rows = lax.scan(one, start, numbers)
    return Sweeps(*rows, best, score)
