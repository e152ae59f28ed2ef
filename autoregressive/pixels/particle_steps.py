"""What one pixel does to particles: an observed one weighs them, a missing one is drawn or branches.

After the last missing pixel there is nothing to choose, and fewer particles do (``thin``).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float64, Int8, Int32

from autoregressive.pixels.lookahead import Lookahead
from autoregressive.pixels.selection import select


class Problem(NamedTuple):
    """Pixels by place and run. order: the how-manieth missing pixel of its image this is, M or more
    where observed. first: f. numbers: uniform ones, of each missing pixel, of ``thin``, and of what is
    drawn at the end. held: what each run keeps, or None."""

    pixels: Int8[Array, "P G"]
    order: Int32[Array, "P G"]
    first: Int32[Array, " G"]
    numbers: Float64[Array, "G N S"]
    held: Int8[Array, "M G"] | None
    lookahead: Lookahead | None


class Swarm(NamedTuple):
    """log_weights. log_probs: of all pixels from f on. seen: of the observed ones. ahead: the guess
    (``lookahead``) of those to come. held: which particle is held. parents, bits: where each came from,
    and its latest pixel."""

    log_weights: Float64[Array, "G S"]
    log_probs: Float64[Array, "G S"]
    seen: Float64[Array, "G S"]
    ahead: Float64[Array, "G S"]
    held: Int32[Array, " G"]
    parents: Int32[Array, "G S"]
    bits: Int8[Array, "G S"]


def observe(
    problem: Problem, t: Int32[Array, ""], now: Swarm, both: Float64[Array, "G S 2"]
) -> Swarm:
    """Weights by the observed pixel, of runs past their first missing one."""
    pixel = problem.pixels[t][:, None]
    log_p = jnp.where(pixel > 0, both[..., 1], both[..., 0])
    log_p = jnp.where((t >= problem.first)[:, None], log_p, 0.0)
    size = both.shape[1]
    return Swarm(
        now.log_weights + log_p,
        now.log_probs + log_p,
        now.seen + log_p,
        now.ahead - log_p,
        now.held,
        jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32)[None], both.shape[:2]),
        jnp.broadcast_to(pixel, both.shape[:2]),
    )


def draw(
    problem: Problem,
    t: Int32[Array, ""],
    now: Swarm,
    both: Float64[Array, "G S 2"],
    guess: Float64[Array, "G S 2"],
) -> Swarm:
    """Every particle draws its own value."""
    proposal = jax.nn.log_softmax(both + guess, axis=-1)
    bits = (_numbers(problem, t) < jnp.exp(proposal[..., 1])).astype(jnp.int8)
    same = jnp.broadcast_to(jnp.arange(both.shape[1], dtype=jnp.int32)[None], both.shape[:2])
    if problem.held is not None:
        given = _given(problem, t)
        bits = jnp.where(same == now.held[:, None], given[:, None], bits)
    one = bits > 0
    log_p = jnp.where(one, both[..., 1], both[..., 0])
    log_q = jnp.where(one, proposal[..., 1], proposal[..., 0])
    return Swarm(
        now.log_weights + log_p - log_q,
        now.log_probs + log_p,
        now.seen,
        jnp.where(one, guess[..., 1], guess[..., 0]),
        now.held,
        same,
        bits,
    )


def branch(
    problem: Problem,
    t: Int32[Array, ""],
    now: Swarm,
    both: Float64[Array, "G S 2"],
    guess: Float64[Array, "G S 2"],
) -> Swarm:
    """Every particle becomes two, of which S in all go on."""
    groups, size, _ = both.shape
    weights = (now.log_weights[..., None] + both + guess).reshape(groups, 2 * size)
    forced = None
    if problem.held is not None:
        forced = 2 * now.held + _given(problem, t).astype(jnp.int32)
    index, log_weights, held = select(weights, _numbers(problem, t)[:, 0], size, forced)

    def chosen(values: Float64[Array, "G S 2"]) -> Float64[Array, "G S"]:
        return jnp.take_along_axis(values.reshape(groups, 2 * size), index, 1)

    parents = index // 2
    ahead = chosen(guess)
    return Swarm(
        log_weights - ahead,
        chosen(now.log_probs[..., None] + both),
        jnp.take_along_axis(now.seen, parents, 1),
        ahead,
        held,
        parents,
        (index % 2).astype(jnp.int8),
    )


def thin(problem: Problem, now: Swarm, keep: int) -> Swarm:
    """``keep`` of S particles, by weight and guess; parents say which ones. The sum of the weights stays
    right in expectation."""
    forced = None if problem.held is None else now.held
    number = problem.numbers[:, -2, 0]
    index, log_weights, held = select(now.log_weights + now.ahead, number, keep, forced)

    def chosen(values: Array) -> Array:
        return jnp.take_along_axis(values, index, 1)

    ahead = chosen(now.ahead)
    return Swarm(
        log_weights - ahead,
        chosen(now.log_probs),
        chosen(now.seen),
        ahead,
        held,
        index,
        chosen(now.bits),
    )


def _numbers(problem: Problem, t: Int32[Array, ""]) -> Float64[Array, "G S"]:
    """The uniform numbers of a missing pixel."""
    k = jnp.minimum(problem.order[t], problem.numbers.shape[1] - 1)
    return jnp.take_along_axis(problem.numbers, k[:, None, None], 1)[:, 0]


def _given(problem: Problem, t: Int32[Array, ""]) -> Int8[Array, " G"]:
    """The held completions' value at a missing pixel."""
    assert problem.held is not None
    k = jnp.minimum(problem.order[t], problem.held.shape[0] - 1)
    return jnp.take_along_axis(problem.held, k[None], 0)[0]


def merge(which: Bool[Array, " G"], new: Swarm, old: Swarm) -> Swarm:
    """``new`` where ``which``, else ``old``."""

    def either(a: Array, b: Array) -> Array:
        return jnp.where(which.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(either, new, old)
