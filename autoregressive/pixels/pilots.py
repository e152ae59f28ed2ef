"""Pilot runs that teach the look-ahead, and more of them where the first ones disagree.

A pilot that does not look ahead visits completions that the observed pixels to come rule out. What it
teaches sends the next pilot nearer to the posterior, whose particles are then learnt from too, all
together: the variance of log Z^ halves where it is large (of MNIST digits with a 14 x 14 hole), and
a round costs a quarter of a set of runs.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int8, Key

from autoregressive.pixels.lookahead import Lookahead, Pilot, learn
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.particles import pilot

_ROUNDS, _RUNS, _PARTICLES = 3, 4, 128
# Pilots whose log Z^ scatter by less than this are enough.
_CALM = 0.15
# Numbers that all rounds may keep.
_NUMBERS = 2**26


def slots_for(missing: int) -> int:
    """Places for missing pixels, in steps of 32, so that images share their compiled programs."""
    return -(-missing // 32) * 32


def look_ahead(
    network: PixelNetwork, image: Int8[np.ndarray, "1 P"], key: Key[jax.Array, ""]
) -> Lookahead | None:
    """The look-ahead of one image, from pilots; None for a network without a state. To be called
    inside ``float64``."""
    leaves = jax.tree.leaves(jax.eval_shape(lambda: network.model.initial_state((1,))))
    if not leaves:
        return None
    missing = int((image < 0).sum())
    slots = slots_for(missing)
    width = min(sum(leaf.size for leaf in leaves), 128)
    particles = min(_PARTICLES, max(16, _NUMBERS // (slots * width * _RUNS * _ROUNDS)))
    made: Pilot | None = None
    ahead: Lookahead | None = None
    for number in range(_ROUNDS):
        found, log_evidence = pilot(
            network.model,
            network.params,
            jnp.float64(network.first_pixel),
            jnp.asarray(image),
            jax.random.split(jax.random.fold_in(key, number), (1, _RUNS)),
            ahead,
            particles=particles,
            slots=slots,
        )
        made = found if made is None else together(made, found)
        ahead = learn(made, jnp.asarray([missing]), slots)
        if np.asarray(log_evidence).std(ddof=1) < _CALM:
            break
    return ahead


def together(one: Pilot, other: Pilot) -> Pilot:
    """The particles of both; each's parents are among its own."""
    shifted = other._replace(parents=other.parents + one.parents.shape[-1])
    pairs = zip(one, shifted, strict=True)
    # Axes: image, missing pixel, particle; at the end of an image there is no missing pixel.
    return Pilot(*(jnp.concatenate(pair, axis=min(2, pair[0].ndim - 1)) for pair in pairs))
