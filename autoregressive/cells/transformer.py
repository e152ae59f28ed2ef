"""A small causal transformer as a cell: ``init``, ``initial_state``, ``step`` and ``unroll``.

Decoder-only (Vaswani et al. 2017), with the norm before each part (Xiong et al. 2020). A place attends
to the last ``window`` places, itself among them, and knows how far back they are by one of:

- ``Transformer``: a learned bias of the attention by distance, which starts as in ALiBi (Press et al.
  2022);
- ``RotaryTransformer``: queries and keys turned by angles that grow with the place (Su et al. 2021);
- ``UnplacedTransformer``: nothing but the causal mask.

The state holds the keys and values of the window - 1 places before; ``step`` is ``unroll`` over one
place, so both are the same computation.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from autoregressive.broadcast import AnyArray, affine, align
from autoregressive.cells.base import ParallelCell, Params, State
from autoregressive.cells.layers import (
    layer_params,
    name_params,
    normal_weights,
    rms_norm,
)

# The slowest rotary angle turns once in about so many places times 2 pi (Su et al. 2021).
_SLOWEST = 10_000.0
Queries = Float[Array, "*batch T heads width"]
Keys = Float[Array, "*batch S heads width"]
Scores = Float[Array, "*batch heads T S"]


@dataclass(frozen=True)
class Transformer(ParallelCell):
    """``layers`` of attention and of a hidden layer four times as wide, ``hidden`` numbers a place.

    State: keys and values (..., layers, window - 1, hidden), oldest first, and how many of those
    places have been seen (...,). What is more than ``window`` places back is forgotten.
    """

    window: int = 100
    layers: int = 2

    @property
    def heads(self) -> int:
        """4 where ``hidden`` can be shared out so, else 2 or 1."""
        return next(n for n in (4, 2, 1) if self.hidden % n == 0)

    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        """The heads' attention falls off over distances that are spread, in logarithms, up to
        ``timescale``, or up to the window."""
        n, deep = self.hidden, (2.0 * self.layers) ** -0.5
        longest = float(self.window) if timescale is None else timescale
        params = {"in.w": normal_weights(key, n, self.inputs), "in.b": jnp.zeros((n,), jnp.float32)}
        for layer in range(self.layers):
            keys = jax.random.split(jax.random.fold_in(key, layer + 1), 4)
            ours = {
                "norm_attention": jnp.ones((n,), jnp.float32),
                "qkv.w": normal_weights(keys[0], 3 * n, n),
                **self._init_positions(longest),
                "out.w": normal_weights(keys[1], n, n) * deep,
                "norm_wide": jnp.ones((n,), jnp.float32),
                "up.w": normal_weights(keys[2], 4 * n, n),
                "up.b": jnp.zeros((4 * n,), jnp.float32),
                "down.w": normal_weights(keys[3], n, 4 * n) * deep,
                "down.b": jnp.zeros((n,), jnp.float32),
            }
            params |= name_params(layer, ours)
        return params | {"norm": jnp.ones((n,), jnp.float32)}

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        empty = jnp.zeros((*batch, self.layers, self.window - 1, self.hidden), jnp.float32)
        return empty, empty, jnp.zeros(batch, jnp.float32)

    def step(
        self, params: Params, state: State, x: Float[AnyArray, "*batch {self.inputs}"]
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        # A state and an input may have leading axes that only the other one has.
        batch = jnp.broadcast_shapes(x.shape[:-1], state[2].shape)
        own = (self.layers, self.window - 1, self.hidden)
        keys, values = (jnp.broadcast_to(s, (*batch, *own)) for s in state[:2])
        seen = jnp.broadcast_to(state[2], batch)
        x = jnp.broadcast_to(x, (*batch, x.shape[-1]))
        state, outputs = self._places(params, (keys, values, seen), x[..., None, :])
        return state, outputs[..., 0, :]

    def unroll(
        self, params: Params, state: State, xs: Float[AnyArray, "T B {self.inputs}"]
    ) -> tuple[State, Float[Array, "T B {self.hidden}"]]:
        state, outputs = self._places(params, state, jnp.moveaxis(xs, 0, -2))
        return state, jnp.moveaxis(outputs, -2, 0)

    def _places(
        self, params: Params, state: State, xs: Float[AnyArray, "*batch T {self.inputs}"]
    ) -> tuple[State, Float[Array, "*batch T {self.hidden}"]]:
        """The state after all places, and the outputs."""
        keys, values, seen = state
        past, places = self.window - 1, xs.shape[-2]
        at = jnp.arange(past + places)
        distance = past + jnp.arange(places)[:, None] - at[None]
        near = (distance >= 0) & (distance <= past)
        first = past - seen[..., None]
        known = (align(at, first) >= first)[..., None, :]
        visible = align(near, known) & known
        h = affine(params["in.w"], params["in.b"], xs)
        all_keys, all_values = [], []
        for layer in range(self.layers):
            own = layer_params(params, layer)
            q, k, v = jnp.split(rms_norm(h, own["norm_attention"]) @ own["qkv.w"].T, 3, axis=-1)
            k = jnp.concatenate([keys[..., layer, :, :], k], axis=-2)
            v = jnp.concatenate([values[..., layer, :, :], v], axis=-2)
            attended = self._attended(own, q, k, v, distance, visible[..., None, :, :])
            h = h + attended @ own["out.w"].T
            wide = jax.nn.gelu(affine(own["up.w"], own["up.b"], rms_norm(h, own["norm_wide"])))
            h = h + wide @ own["down.w"].T + align(own["down.b"], h)
            all_keys.append(k[..., places:, :])
            all_values.append(v[..., places:, :])
        state = (
            jnp.stack(all_keys, axis=-3),
            jnp.stack(all_values, axis=-3),
            jnp.minimum(seen + places, past),
        )
        return state, rms_norm(h, params["norm"])

    def _init_positions(self, longest: float) -> Params:
        """A layer's parameters that know distances. longest: the farthest that heads begin to reach."""
        reach = longest ** (jnp.arange(1, self.heads + 1, dtype=jnp.float32) / self.heads)
        return {"distance": -jnp.arange(self.window, dtype=jnp.float32)[None] / reach[:, None]}

    def _attended(
        self,
        own: Params,
        q: Float[Array, "*batch T hidden"],
        k: Float[Array, "*batch S hidden"],
        v: Float[Array, "*batch S hidden"],
        distance: Int[Array, "T S"],
        visible: Bool[Array, "*batch 1 T S"],
    ) -> Float[Array, "*batch T hidden"]:
        """Softmax attention. own: the layer's parameters. distance: how far back, in places."""
        q, k, v = (a.reshape(*a.shape[:-1], self.heads, -1) for a in (q, k, v))
        scores = self._scores(own, q, k, distance)
        weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
        mixed = jnp.einsum("...hts,...shd->...thd", weights, v)
        return mixed.reshape(*mixed.shape[:-2], self.hidden)

    def _scores(self, own: Params, q: Queries, k: Keys, distance: Int[Array, "T S"]) -> Scores:
        """Before the softmax."""
        scores = _products(q, k)
        bias = own["distance"][:, jnp.clip(distance, 0, self.window - 1)]
        return scores + align(bias, scores)


@dataclass(frozen=True)
class UnplacedTransformer(Transformer):
    """A transformer without positions."""

    def _init_positions(self, longest: float) -> Params:
        return {}

    def _scores(self, own: Params, q: Queries, k: Keys, distance: Int[Array, "T S"]) -> Scores:
        return _products(q, k)


@dataclass(frozen=True)
class RotaryTransformer(UnplacedTransformer):
    """A transformer with rotary positions: entries i and i + w of a head's query and key, w half of its
    width, are turned by the place times 10000^(-i/w). An entry left over is not turned."""

    @property
    def heads(self) -> int:
        """4 or 2 where that leaves each an even number of entries, else 1."""
        return next(n for n in (4, 2, 1) if self.hidden % (2 * n) == 0 or n == 1)

    def _scores(self, own: Params, q: Queries, k: Keys, distance: Int[Array, "T S"]) -> Scores:
        # Only differences of places matter: they are counted from the oldest key.
        places = jnp.arange(k.shape[-3])
        return _products(_turned(q, places[-q.shape[-3] :]), _turned(k, places))


def _products(q: Queries, k: Keys) -> Scores:
    return jnp.einsum("...thd,...shd->...hts", q, k) * q.shape[-1] ** -0.5


def _turned(a: Queries, places: Int[Array, " T"]) -> Queries:
    half = a.shape[-1] // 2
    speeds = _SLOWEST ** (-jnp.arange(half, dtype=a.dtype) / max(half, 1))
    angles = places.astype(a.dtype)[:, None, None] * speeds[None, None]
    cos, sin = (align(f(angles), a) for f in (jnp.cos, jnp.sin))
    x, y, rest = jnp.split(a, [half, 2 * half], axis=-1)
    return jnp.concatenate([x * cos - y * sin, x * sin + y * cos, rest], axis=-1)
