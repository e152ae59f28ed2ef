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
from autoregressive.pixels.particle_steps import (
    Problem,
    Swarm,
    branch,
    draw,
    merge,
    observe,
    thin,
)
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
    """last: of each particle at the end, which one it was at the last missing pixel."""

    state: State
    now: Swarm
    parents: Int16[Array, "M G S"]
    bits: Int8[Array, "M G S"]
    record: Record | None
    last: Int32[Array, "G K"]


def reach(model: Model, params: Params, images: Int8[Array, "n P"]) -> State:
    """The network's state of each image before the first pixel that any of them misses, in float64."""

    def past(t: Int32[Array, ""], state: State) -> State:
        x = jnp.maximum(images[:, t - 1], 0).astype(jnp.float64)
        return model.step(to_float64(params), state, x[:, None])[0]

    start = jnp.argmax((images < 0).any(0)).astype(jnp.int32)
    return lax.fori_loop(1, start, past, to_float64(model.initial_state((len(images),))))


def walk(
    model: Model,
    params: Params,
    first_pixel: Float64[Array, ""],
    images: Int8[Array, "n P"],
    problem: Problem,
    state: State,
    *,
    size: int,
    kept: int,
    slots: int,
    pilot: bool,
) -> Carry:
    """All particles from the first missing pixel, where ``state`` is (``reach``), to the last one, and
    ``kept`` of them to the end."""
    n, places = images.shape
    groups = problem.first.shape[0]
    each = groups // n * size
    params = to_float64(params)
    start = jnp.min(problem.first)
    if_first = jnp.log(first_pixel) - jnp.log1p(-first_pixel)

    latest = jnp.maximum(images[:, jnp.maximum(start - 1, 0)], 0)
    zeros = jnp.zeros((groups, size))
    now = Swarm(
        jnp.broadcast_to(jnp.where(jnp.arange(size) > 0, -jnp.inf, 0.0)[None], (groups, size)),
        zeros,
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

    def predict(
        t: Int32[Array, ""], state: State, now: Swarm
    ) -> tuple[State, Float64[Array, "G some"]]:
        x = now.bits.reshape(-1, 1).astype(jnp.float64)
        state_after, logits = model.step(params, state, x)
        z = jnp.where(t == 0, if_first, logits[..., 0]).reshape(groups, -1)
        # x_0 has a probability of its own, and nothing comes before it.
        return jax.tree.map(lambda new, old: jnp.where(t == 0, old, new), state_after, state), z

    def step(t: Int32[Array, ""], carry: Carry) -> Carry:
        state, z = predict(t, carry.state, carry.now)
        return _advance(problem, t, carry, state, z, slots)

    everyone = jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32)[None], (groups, size))
    begun = Carry(state, now, *history, record, everyone)
    if kept == size:
        return lax.fori_loop(start, places, step, begun)
    past_last = places - jnp.argmax((images < 0).any(0)[::-1]).astype(jnp.int32)
    end = lax.fori_loop(start, past_last, step, begun)
    fewer = thin(problem, end.now, kept)
    flat = (jnp.arange(groups)[:, None] * size + fewer.parents).reshape(-1)

    def see(t: Int32[Array, ""], carry: tuple[State, Swarm]) -> tuple[State, Swarm]:
        state, z = predict(t, *carry)
        return state, observe(problem, t, carry[1], log_probs(z))

    few = (jax.tree.map(lambda leaf: leaf[flat], end.state), fewer)
    state, now = lax.fori_loop(past_last, places, see, few)
    return end._replace(state=state, now=now, last=fewer.parents)


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
    return Carry(after, now, parents, bits, record, carry.last)
