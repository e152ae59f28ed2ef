"""A small causal transformer as a cell: ``init``, ``initial_state``, ``step`` and ``unroll``.

Decoder-only (Vaswani et al. 2017), with the norm before each part (Xiong et al. 2020) and a learned
bias of the attention by distance, which starts as in ALiBi (Press et al. 2022). A place attends to the
last ``window`` places, itself among them. The state holds the keys and values of the window - 1
places before; ``step`` is ``unroll`` over one place, so both are the same computation.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, PRNGKeyArray

from autoregressive.broadcast import AnyArray, affine, align
from autoregressive.cells.base import ParallelCell, Params, State


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
        reach = longest ** (jnp.arange(1, self.heads + 1, dtype=jnp.float32) / self.heads)
        params = {"in.w": _normal(key, n, self.inputs), "in.b": jnp.zeros((n,), jnp.float32)}
        for layer in range(self.layers):
            keys = jax.random.split(jax.random.fold_in(key, layer + 1), 4)
            ours = {
                "norm_attention": jnp.ones((n,), jnp.float32),
                "qkv.w": _normal(keys[0], 3 * n, n),
                "distance": -jnp.arange(self.window, dtype=jnp.float32)[None] / reach[:, None],
                "out.w": _normal(keys[1], n, n) * deep,
                "norm_wide": jnp.ones((n,), jnp.float32),
                "up.w": _normal(keys[2], 4 * n, n),
                "up.b": jnp.zeros((4 * n,), jnp.float32),
                "down.w": _normal(keys[3], n, 4 * n) * deep,
                "down.b": jnp.zeros((n,), jnp.float32),
            }
            params |= {f"{layer}.{name}": value for name, value in ours.items()}
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
            own = {
                name.removeprefix(f"{layer}."): value
                for name, value in params.items()
                if name.startswith(f"{layer}.")
            }
            q, k, v = jnp.split(_normed(h, own["norm_attention"]) @ own["qkv.w"].T, 3, axis=-1)
            k = jnp.concatenate([keys[..., layer, :, :], k], axis=-2)
            v = jnp.concatenate([values[..., layer, :, :], v], axis=-2)
            bias = own["distance"][:, jnp.clip(distance, 0, past)]
            h = h + self._attended(q, k, v, bias, visible[..., None, :, :]) @ own["out.w"].T
            wide = jax.nn.gelu(affine(own["up.w"], own["up.b"], _normed(h, own["norm_wide"])))
            h = h + wide @ own["down.w"].T + align(own["down.b"], h)
            all_keys.append(k[..., places:, :])
            all_values.append(v[..., places:, :])
        state = (
            jnp.stack(all_keys, axis=-3),
            jnp.stack(all_values, axis=-3),
            jnp.minimum(seen + places, past),
        )
        return state, _normed(h, params["norm"])

    def _attended(
        self,
        q: Float[Array, "*batch T hidden"],
        k: Float[Array, "*batch S hidden"],
        v: Float[Array, "*batch S hidden"],
        bias: Float[Array, "heads T S"],
        visible: Bool[Array, "*batch 1 T S"],
    ) -> Float[Array, "*batch T hidden"]:
        """Softmax attention."""
        q, k, v = (a.reshape(*a.shape[:-1], self.heads, -1) for a in (q, k, v))
        scores = jnp.einsum("...thd,...shd->...hts", q, k) * q.shape[-1] ** -0.5
        scores = scores + align(bias, scores)
        weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
        mixed = jnp.einsum("...hts,...shd->...thd", weights, v)
        return mixed.reshape(*mixed.shape[:-2], self.hidden)


def _normal(key: PRNGKeyArray, rows: int, columns: int) -> Float[Array, "{rows} {columns}"]:
    return jax.random.normal(key, (rows, columns), jnp.float32) * columns**-0.5


def _normed(h: Float[Array, "*batch n"], scale: Float[Array, " n"]) -> Float[Array, "*batch n"]:
    """Root mean square norm (Zhang and Sennrich 2019)."""
    return h * jax.lax.rsqrt((h * h).mean(-1, keepdims=True) + 1e-6) * align(scale, h)
