"""Particles on their way through the image, from its first missing pixel to its end."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float64, Int8, Int16, Int32

from autoregressive.cells.base import Params, State
from autoregressive.model import Model
from autoregressive.pixels.lookahead import features, guesses, log_probs
from autoregressive.pixels.particle_steps import Problem, Swarm, branch, draw, merge, observe
from autoregressive.pixels.selection import effective
from autoregressive.precision import to_float64

# Below this share of effective particles they are selected.
RESAMPLED = 0.5


class Record(NamedTuple):
    """Of a pilot, by missing pixel: as ``Pilot``."""

    features: Array
    logits: Array
    seen: Array
    alive: Array


class Carry(NamedTuple):
    state: State
    now: Swarm
    parents: Int16[Array, "M G S"]
    bits: Int8[Array, "M G S"]
    record: Record | None


def walk(
    model: Model,
    params: Params,
    first_pixel: Float64[Array, ""],
    images: Int8[Array, "n P"],
    problem: Problem,
    size: int,
    slots: int,
    pilot: bool,
) -> Carry:
    """All particles from the first missing pixel to the end."""
    n, places = images.shape
    groups = problem.first.shape[0]
    each = groups // n * size
    params = to_float64(params)
    start = jnp.min(problem.first)
    if_first = jnp.log(first_pixel) - jnp.log1p(-first_pixel)

    def past(t: Int32[Array, ""], state: State) -> State:
        x = jnp.maximum(images[:, t - 1], 0).astype(jnp.float64)
        return model.step(params, state, x[:, None])[0]

    state = lax.fori_loop(1, start, past, to_float64(model.initial_state((n,))))
    latest = jnp.maximum(images[:, jnp.maximum(start - 1, 0)], 0)
    zeros = jnp.zeros((groups, size))
    now = Swarm(
        jnp.broadcast_to(jnp.where(jnp.arange(size) > 0, -jnp.inf, 0.0)[None], (groups, size)),
        zeros,
        zeros,
        jnp.zeros((groups,), jnp.int32),
        jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32)[None], (groups, size)),
        jnp.repeat(latest, each).reshape(groups, size).astype(jnp.int8),
    )
    state = jax.tree.map(lambda leaf: jnp.repeat(leaf, each, axis=0), state)
    shape = (slots, groups, size)
    record = None
    if pilot:
        width = jax.eval_shape(features, state).shape[1]
        record = Record(
            jnp.zeros((*shape, width), jnp.float32),
            jnp.zeros(shape),
            jnp.zeros(shape),
            jnp.zeros(shape, bool),
        )
    history = (jnp.zeros(shape, jnp.int16), jnp.zeros(shape, jnp.int8))

    def step(t: Int32[Array, ""], carry: Carry) -> Carry:
        x = carry.now.bits.reshape(-1, 1).astype(jnp.float64)
        state, logits = model.step(params, carry.state, x)
        z = jnp.where(t == 0, if_first, logits[..., 0]).reshape(groups, size)
        # x_0 has a probability of its own, and nothing comes before it.
        state = jax.tree.map(lambda new, old: jnp.where(t == 0, old, new), state, carry.state)
        return _advance(problem, t, carry, state, z, slots)

    return lax.fori_loop(start, places, step, Carry(state, now, *history, record))


def _advance(
    problem: Problem,
    t: Int32[Array, ""],
    carry: Carry,
    state: State,
    z: Float64[Array, "G S"],
    slots: int,
) -> Carry:
    """The carry after pixel t, whose logits are z."""
    both = log_probs(z)
    seen = observe(problem, t, carry.now, both)
    missing = problem.order[t] < slots

    def choose(seen: Swarm) -> tuple[Swarm, State]:
        groups, size = z.shape
        guess = jnp.zeros_like(both)
        if problem.lookahead is not None:
            k = jnp.minimum(problem.order[t], slots - 1)[:, None]

            def here(leaf: Array) -> Array:
                return jnp.take_along_axis(leaf, k.reshape(-1, *(1,) * (leaf.ndim - 1)), 1)[:, 0]

            at = jax.tree.map(here, problem.lookahead)
            guess = guesses(at, features(state).reshape(groups, size, -1))
        ahead = carry.now.log_weights + jax.nn.logsumexp(both + guess, axis=-1)
        poor = missing & (effective(ahead) < RESAMPLED * size)
        rich = missing & ~poor
        found = lax.cond(
            jnp.any(rich),
            lambda: merge(rich, draw(problem, t, carry.now, both, guess), seen),
            lambda: seen,
        )

        def branched() -> tuple[Swarm, State]:
            new = merge(poor, branch(problem, t, carry.now, both, guess), found)
            flat = (jnp.arange(groups)[:, None] * size + new.parents).reshape(-1)
            return new, jax.tree.map(lambda leaf: leaf[flat], state)

        return lax.cond(jnp.any(poor), branched, lambda: (found, state))

    def only_see(seen: Swarm) -> tuple[Swarm, State]:
        return seen, state

    now, after = lax.cond(jnp.any(missing), choose, only_see, seen)
    k, rows = problem.order[t], jnp.arange(len(missing))

    def keep(history: tuple[Array, ...], new: tuple[Array, ...]) -> tuple[Array, ...]:
        pairs = zip(history, new, strict=True)
        return tuple(h.at[k, rows].set(v.astype(h.dtype), mode="drop") for h, v in pairs)

    parents, bits = keep((carry.parents, carry.bits), (now.parents, now.bits))
    record = carry.record
    if record is not None:
        rows_of = features(state).reshape(*z.shape, -1)
        alive = now.log_weights > -jnp.inf
        record = Record(*keep(record, (rows_of, z, carry.now.seen, alive)))
    return Carry(after, now, parents, bits, record)
