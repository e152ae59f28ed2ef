"""Which branches go on: unbiased choice of S out of 2S weighted ones, none of them twice.

At a missing pixel every particle branches into both values. Fearnhead and Clifford (2003): with c
such that sum_i min(1, w_i / c) = S, branch i stays with probability min(1, w_i / c) and then weighs
max(w_i, c). Heavy branches stay for certain and the sum of the weights does not change; while no more
than S branches weigh anything, all of them stay (c = 0) and what follows is exact enumeration.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float64, Int32

# Newton's steps end by themselves, at one of the weights: far sooner than this.
_MOST_STEPS = 60
# Up to here it is faster to compare all pairs than to search.
_COMPARED = 64


class Selection(NamedTuple):
    """branches: which one each particle becomes. log_weights: of the particles. kept: where the
    branch ``keep`` went."""

    branches: Int32[Array, "G S"]
    log_weights: Float64[Array, "G S"]
    kept: Int32[Array, " G"]


def threshold(weights: Float64[Array, "G N"], keep: int) -> Float64[Array, "G 1"]:
    """c of the module's text for each row of weights >= 0, 0 where no more than ``keep`` are above 0.

    Newton's method on sum_i min(w_i, c) - keep c, concave and piecewise linear in c: from the right
    it goes down and ends after finitely many steps.
    """

    def newton(c: Float64[Array, "G 1"]) -> Float64[Array, "G 1"]:
        light = weights < c
        rest = jnp.where(light, weights, 0.0).sum(1, keepdims=True)
        heavy = weights.shape[1] - light.sum(1, keepdims=True, dtype=jnp.int32)
        return jnp.where(rest > 0, rest / jnp.maximum(keep - heavy, 1), 0.0)

    # c, the c before it, and the number of steps.
    Carry = tuple[Float64[Array, "G 1"], Float64[Array, "G 1"], Int32[Array, ""]]

    def goes_on(carry: Carry) -> Array:
        c, before, steps = carry
        return jnp.any(c < before) & (steps < _MOST_STEPS)

    def step(carry: Carry) -> Carry:
        c, _, steps = carry
        return jnp.minimum(newton(c), c), c, steps + 1

    start = weights.sum(1, keepdims=True) / keep
    above = jnp.full_like(start, jnp.inf)
    return lax.while_loop(goes_on, step, (start, above, jnp.int32(0)))[0]


def select(
    log_weights: Float64[Array, "G N"],
    uniform: Float64[Array, " G"],
    keep: int,
    forced: Int32[Array, " G"] | None = None,
) -> Selection:
    """``keep`` of the N branches of each row, by systematic sampling with one ``uniform`` a row.

    Particles stay in the order of their branches. forced: a branch that is given to stay (conditional
    Monte Carlo); the others are then chosen as they are where it does (Whiteley, Andrieu and Doucet
    2010). Slots that are left over weigh nothing (-inf).
    """
    most = jnp.max(log_weights, axis=1, keepdims=True)
    weights = jnp.exp(log_weights - most)
    c = threshold(weights, keep)
    safe = jnp.where(c > 0, c, 1.0)
    stays = jnp.where(c > 0, jnp.minimum(weights / safe, 1.0), (weights > 0).astype(weights.dtype))
    upto = jnp.cumsum(stays, axis=1)
    if forced is None:
        offset = uniform[:, None]
    else:
        own = jnp.take_along_axis(stays, forced[:, None], 1)
        point = jnp.take_along_axis(upto, forced[:, None], 1) - own * (1 - uniform[:, None])
        kept = jnp.clip(jnp.floor(point), 0, keep - 1).astype(jnp.int32)
        offset = point - jnp.floor(point)
    points = jnp.arange(keep, dtype=weights.dtype)[None] + offset
    index = _first_above(upto, points)
    filled = index < log_weights.shape[1]
    index = jnp.minimum(index, log_weights.shape[1] - 1)
    if forced is None:
        kept = jnp.zeros((len(index), 1), jnp.int32)
    else:
        here = jnp.arange(keep, dtype=jnp.int32)[None] == kept
        index = jnp.where(here, forced[:, None], index)
        filled = filled | here
    chosen = jnp.take_along_axis(log_weights, index, 1)
    least = jnp.where(c > 0, jnp.log(safe) + most, -jnp.inf)
    return Selection(index, jnp.where(filled, jnp.maximum(chosen, least), -jnp.inf), kept[:, 0])


def effective(log_weights: Float64[Array, "G S"]) -> Float64[Array, " G"]:
    """The effective number of particles, (sum w)^2 / sum w^2."""
    weights = jnp.exp(log_weights - jnp.max(log_weights, axis=1, keepdims=True))
    return weights.sum(1) ** 2 / (weights**2).sum(1)


def _first_above(
    rising: Float64[Array, "G N"], points: Float64[Array, "G S"]
) -> Int32[Array, "G S"]:
    """Where ``rising`` first exceeds each point; N where it never does."""
    if points.shape[1] <= _COMPARED:
        below = rising[:, None, :] <= points[:, :, None]
        return below.sum(2, dtype=jnp.int32)
    search = jax.vmap(lambda row, at: jnp.searchsorted(row, at, side="right"))
    return search(rising, points).astype(jnp.int32)
