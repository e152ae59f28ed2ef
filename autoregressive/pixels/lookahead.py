"""What the observed pixels still to come are worth to a particle: a guess that steers the choice.

At a missing pixel the best choice would weigh a value by p(all observed pixels after it | all before).
A pilot run tells how the particles fared; going backwards through the missing pixels, the logarithm of
that probability is fitted by ridge regression to the network's state and the chosen value, as in
controlled sequential Monte Carlo (Heng, Bishop, Deligiannidis and Doucet 2020). The guess decides where
particles go, the weights make up for it: a bad one costs precision, never the right answer.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Float64, Int, Int8, Shaped

from autoregressive.cells.base import State
from autoregressive.matrices import solve

# Of standardised features, for one particle's worth of data.
_RIDGE = 1.0
# Particles this many nats below the best are as good as lost.
_LOST = 15.0
# States of more numbers than this are projected at random.
_MOST_FEATURES = 128


class Lookahead(NamedTuple):
    """For each image and missing pixel in order: log of the guess is bias + features @ slope for the
    values 0 and 1, cut to the range that the pilot saw."""

    bias: Float64[Array, "n M 2"]
    slope: Float64[Array, "n M D 2"]
    least: Float64[Array, "n M"]
    most: Float64[Array, "n M"]


class Pilot(NamedTuple):
    """What a pilot run leaves at each missing pixel, before the choice but for ``alive``, ``parents``
    and ``bits``. features: of the states. logits: of the pixel. seen: log probability of the observed
    pixels so far. alive: whether a particle weighs anything. end: ``seen`` at the image's end."""

    features: Float[Array, "n M N D"]
    logits: Float64[Array, "n M N"]
    seen: Float64[Array, "n M N"]
    alive: Bool[Array, "n M N"]
    parents: Int[Array, "n M N"]
    bits: Int8[Array, "n M N"]
    end: Float64[Array, "n N"]


def features(state: State) -> Float64[Array, "B D"]:
    """The state's numbers, one row a particle; many of them are projected to fewer at random."""
    rows = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(state)]
    if not rows:
        raise ValueError("a look-ahead needs a network with a state")
    flat = jnp.concatenate(rows, axis=1)
    width = flat.shape[1]
    if width <= _MOST_FEATURES:
        return flat
    shape = (width, _MOST_FEATURES)
    return flat @ (jax.random.normal(jax.random.key(0), shape, flat.dtype) / width**0.5)


def guesses(at: Lookahead, of: Float[Array, "G S D"]) -> Float64[Array, "G S 2"]:
    """Log of the guess for both values of a missing pixel, of S particles in each of G groups. at: the
    group's row of ``Lookahead`` at that pixel."""
    linear = at.bias[:, None] + jnp.einsum("gsd,gdx->gsx", of.astype(jnp.float64), at.slope)
    return jnp.clip(linear, at.least[:, None, None], at.most[:, None, None])


@partial(jax.jit, static_argnames="slots")
def learn(pilot: Pilot, missing: Shaped[Array, " n"], slots: int) -> Lookahead:
    """The look-ahead of each image from its pilot. missing: how many pixels each misses, up to
    ``slots``."""
    return jax.vmap(partial(_of_one, slots))(pilot, missing)


def _of_one(slots: int, pilot: Pilot, missing: Shaped[Array, ""]) -> Lookahead:
    width = pilot.features.shape[-1]
    after = jnp.concatenate([pilot.seen[1:], pilot.end[None]])

    def step(last: Lookahead, k: Array) -> tuple[Lookahead, Lookahead]:
        """The guess at missing pixel k from the one at k + 1."""
        following = jnp.minimum(k + 1, slots - 1)
        guess = guesses(
            jax.tree.map(lambda leaf: leaf[None], last), pilot.features[following][None]
        )[0]
        z = pilot.logits[following]
        both = jnp.stack([-jax.nn.softplus(z), -jax.nn.softplus(-z)], axis=-1)
        is_last = k + 1 >= missing
        parents = pilot.parents[k]
        gained = jnp.where(is_last, pilot.end, after[k]) - pilot.seen[k][parents]
        worth = gained + jnp.where(is_last, 0.0, jax.nn.logsumexp(both + guess, axis=-1))
        fit = _ridge(pilot.features[k][parents], pilot.bits[k], worth, pilot.alive[k])
        fit = jax.tree.map(lambda new, old: jnp.where(k < missing, new, old), fit, last)
        return fit, fit

    nothing = Lookahead(jnp.zeros(2), jnp.zeros((width, 2)), jnp.zeros(()), jnp.zeros(()))
    return lax.scan(step, nothing, jnp.arange(slots), reverse=True)[1]


def _ridge(
    rows: Float[Array, "N D"],
    bits: Int8[Array, " N"],
    worth: Float64[Array, " N"],
    alive: Bool[Array, " N"],
) -> Lookahead:
    """``worth`` as a linear function of a particle's features, another one for each value."""
    rows = rows.astype(jnp.float64)
    best = jnp.max(jnp.where(alive, worth, -jnp.inf))
    worth = jnp.where(alive, jnp.maximum(worth, best - _LOST), 0.0)
    weight = alive.astype(jnp.float64)
    count = weight.sum()
    mean = (weight @ rows) / count
    centred = rows - mean[None]
    scale = jnp.sqrt((weight @ centred**2) / count) + 1e-2
    side = (bits.astype(jnp.float64) - 0.5)[:, None]
    standard = centred / scale[None]
    design = jnp.concatenate([standard, side, side * standard], axis=1)
    middle = (weight @ worth) / count
    weighted = design * weight[:, None]
    gram = weighted.T @ design + _RIDGE * jnp.eye(design.shape[1])
    found = solve(gram, weighted.T @ (worth - middle))
    width = rows.shape[1]
    sides = jnp.array([-0.5, 0.5])
    slope = (found[:width, None] + found[width + 1 :, None] * sides[None]) / scale[:, None]
    bias = middle + sides * found[width] - mean @ slope
    return Lookahead(bias, slope, jnp.min(jnp.where(alive, worth, jnp.inf)), best)
