"""Linear recurrences over whole sequences, h_t = a_t h_{t-1} + b_t, element by element.

A step is an affine map, and maps compose associatively: a GPU takes all places in a tree of depth
log2 of the length (Martin and Cundy 2018). A CPU has no use for more work in fewer turns
and goes place by place. The backward pass is the same recurrence the other way round, so the
states are all that is kept.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Inexact

from autoregressive.broadcast import AnyArray, align
from autoregressive.cells.base import ParallelCell, Params, State

# Which form: place by place, or in a tree.
LOOP, TREE = "loop", "tree"
# (factors, terms, the state before) -> the state after the last place, and that after every place.
Advance = Callable[[Array, Array, Array], tuple[Array, Array]]


def one_place(
    factors: Inexact[Array, "..."], terms: Inexact[Array, "..."], before: Inexact[Array, "..."]
) -> tuple[Inexact[Array, "..."], Inexact[Array, "..."]]:
    """The state after one place, twice. Leading axes that only some of the three have are broadcast."""
    kept = align(factors, before) * align(before, factors)
    after = align(kept, terms) + align(terms, kept)
    return after, after


def all_places(
    factors: Inexact[Array, "..."], terms: Inexact[Array, "T ..."], before: Inexact[Array, "..."]
) -> tuple[Inexact[Array, "..."], Inexact[Array, "T ..."]]:
    """``linear_recurrence`` with its last state."""
    states = linear_recurrence(align(factors, terms), terms, before)
    return states[-1], states


def linear_recurrence(
    factors: Inexact[Array, "#T ..."],
    terms: Inexact[Array, "T ..."],
    start: Inexact[Array, "..."],
    form: str | None = None,
) -> Inexact[Array, "T ..."]:
    """h_t = factors_t h_{t-1} + terms_t for t = 0 .. T-1, with h_{-1} = start; real or complex.

    factors: broadcast against terms (T, ...). form: ``LOOP`` or ``TREE``; None takes the one for
    the device that JAX uses. Returns h (T, ...).
    """
    if form is None:
        form = LOOP if jax.default_backend() == "cpu" else TREE
    return _recurrence(form, jnp.broadcast_to(factors, terms.shape), terms, start)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _recurrence(form: str, factors: Array, terms: Array, start: Array) -> Array:
    return _along(form, factors, terms, start)


def _along(form: str, factors: Array, terms: Array, start: Array, reverse: bool = False) -> Array:
    if form == LOOP:

        def step(h: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
            h = now[0] * h + now[1]
            return h, h

        return lax.scan(step, start, (factors, terms), reverse=reverse)[1]

    def after(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
        return other[0] * one[0], other[0] * one[1] + other[1]

    first = -1 if reverse else 0
    terms = terms.at[first].add(factors[first] * start)
    return lax.associative_scan(after, (factors, terms), reverse=reverse)[1]


def _forward(form: str, factors: Array, terms: Array, start: Array):
    states = _along(form, factors, terms, start)
    return states, (factors, start, states)


def _backward(form: str, kept: tuple[Array, Array, Array], d_states: Array):
    # d_t = the cotangent of h_t, from its own place and from all later ones.
    factors, start, states = kept
    following = jnp.concatenate([factors[1:], jnp.zeros_like(factors[:1])])
    d_terms = _along(form, following, d_states, jnp.zeros_like(start), reverse=True)
    before = jnp.concatenate([start[None], states[:-1]])
    return d_terms * before, d_terms, factors[0] * d_terms[0]


_recurrence.defvjp(_forward, _backward)


@dataclass(frozen=True)
class LinearCell(ParallelCell):
    """A cell whose layers are linear recurrences: one body serves one place and all."""

    def step(
        self, params: Params, state: State, x: Float[AnyArray, "*batch {self.inputs}"]
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        return self.advance(one_place, params, state, x)

    def unroll(
        self, params: Params, state: State, xs: Float[AnyArray, "T B {self.inputs}"]
    ) -> tuple[State, Float[Array, "T B {self.hidden}"]]:
        return self.advance(all_places, params, state, xs)

    @abstractmethod
    def advance(
        self,
        recur: Advance,
        params: Params,
        state: State,
        x: Float[AnyArray, "*batch {self.inputs}"],
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        """The state after, and what comes out: of one place, or of all with time first, as ``recur``
        takes them."""
