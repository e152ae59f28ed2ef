"""The exact posterior over missing pixels given all observed ones, past and future.

For missing places M with first f, p(x_M = c | observed) is proportional to exp(-sum_{t>=f} l_t(x^c)),
with x^c the image with c filled in: filled values are inputs and targets alike. All 2^|M| completions
are enumerated, as a tree that branches where a pixel is missing: until then completions share their
state and their logits. Everything runs in float64: in float32 the rounding of a trained network grows
along an image, to 0.007 nats in the posterior.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float64, Int, Int8, Int32, Shaped
from numpy.typing import ArrayLike

from autoregressive.cells.base import Params, State
from autoregressive.model import Model
from autoregressive.network import padded_chunks
from autoregressive.pixels.network import PixelNetwork, nats
from autoregressive.pixels.posterior import Posterior, completions
from autoregressive.precision import float64, to_float64
from autoregressive.threads import each_in_order, worker_count
from autoregressive.vectors import WIDE

Tree = TypeVar("Tree")
# The cell's state and the sum of l_t, of every branch of every image.
Carry = tuple[State, Float64[Array, " branches"]]

MOST_MISSING = 16
# Completions that advance together. On a CPU their states stay in one core's cache, and every core
# takes chunks of its own; a GPU wants many at once.
_BRANCHES_CPU, _BRANCHES_GPU = 256, 2**15
_CHUNK_IMAGES = 500


def posteriors(
    network: PixelNetwork,
    images: ArrayLike,
    on_images: Callable[[int], None] = lambda done: None,
) -> list[Posterior]:
    """The exact posterior of every image. images: 0, 1 and -1 for missing, (n, P).

    An image with nothing missing has one completion, of probability 1. on_images: called with the
    number of images done.
    Errors: ValueError for another size or other values, or more than 16 missing in an image.
    """
    found: dict[int, Posterior] = {}
    for row, posterior in each_posterior(network, images):
        found[row] = posterior
        on_images(len(found))
    return [found[row] for row in range(len(found))]


def each_posterior(network: PixelNetwork, images: ArrayLike) -> Iterator[tuple[int, Posterior]]:
    """As ``posteriors``, one (row, posterior) at a time in no fixed order, so that the memory of a
    few chunks of completions is enough for any number of images."""
    masked = check_masked(images, network.places)
    chunks = list(chunk_rows(masked))
    with closing(
        each_in_order(lambda rows: chunk_posteriors(network, masked[rows]), chunks)
    ) as found:
        for rows, posteriors_of in zip(chunks, found, strict=True):
            yield from zip(rows.tolist(), posteriors_of, strict=True)


def past_only(
    network: PixelNetwork, pixels: ArrayLike, at: Bool[np.ndarray, "n P"]
) -> Float64[np.ndarray, "number 2"]:
    """log p(x_t | x_<t) of both values where ``at`` is True. pixels: 0 and 1, (n, P).

    As ``PixelNetwork.log_predictive``, but computed in float64 like the posteriors beside it.
    """
    checked = network.check(pixels)
    first = np.log(network.first_pixel) - np.log1p(-network.first_pixel)
    rows = []
    for where, chunk in padded_chunks(checked, _CHUNK_IMAGES):
        with float64():
            found = _logits(network.model, to_float64(network.params), jnp.asarray(chunk.T))
        logits = np.asarray(found).T[: where.stop - where.start]
        rows.append(np.insert(logits, 0, first, axis=1)[at[where]])
    logits = np.concatenate(rows)
    return -np.stack([nats(logits, np.zeros(1)), nats(logits, np.ones(1))], axis=-1)


@partial(jax.jit, static_argnums=0, compiler_options=WIDE)
def _logits(model: Model, params: Params, pixels: Shaped[Array, "P n"]) -> Float64[Array, "P-1 n"]:
    """Logits of x_1 .. x_{P-1} step by step."""

    def step(state: State, x: Shaped[Array, " n"]) -> tuple[State, Float64[Array, " n"]]:
        state, logits = model.step(params, state, x.astype(jnp.float64)[:, None])
        return state, logits[..., 0]

    return lax.scan(step, to_float64(model.initial_state(pixels.shape[1:])), pixels[:-1])[1]


def cost(images: ArrayLike) -> int:
    """Cell steps that the completions of ``images`` (n, P) need, to be shown before a long run."""
    missing = np.asarray(images) < 0
    places = missing.shape[1]
    branches = 2.0 ** missing.cumsum(1)[:, :-1]
    return int(branches.sum()) if places > 1 else 0


def memory(network: PixelNetwork, images: ArrayLike) -> int:
    """Bytes of the states and results that are alive at once in ``each_posterior``."""
    most = int((np.asarray(images) < 0).sum(1).max(initial=0))
    state = jax.eval_shape(lambda: network.model.initial_state(()))
    numbers = sum(leaf.size for leaf in jax.tree.leaves(state)) + 8
    return 8 * numbers * images_in_chunk(most) * 2**most * 2 * worker_count()


def check_masked(images: ArrayLike, places: int) -> Int8[np.ndarray, "n {places}"]:
    """Images as int8 of 0, 1 and -1, few enough to enumerate. Errors: ValueError, one line."""
    checked = check_size(images, places)
    counts = (checked < 0).sum(1)
    if counts.max(initial=0) > MOST_MISSING:
        row = int(counts.argmax())
        raise ValueError(
            f"image {row} has {counts[row]} missing pixels; exact enumeration takes at most "
            f"{MOST_MISSING}"
        )
    return checked


def check_size(images: ArrayLike, places: int) -> Int8[np.ndarray, "n {places}"]:
    """Images as int8 of 0, 1 and -1. Errors: ValueError, one line."""
    images = np.asarray(images)
    if images.ndim != 2 or images.shape[1] != places:
        raise ValueError(
            f"expected images of shape (n, {places}) with -1 for missing; got {images.shape}"
        )
    if images.dtype.kind not in "fiub" or not np.isin(images, (-1, 0, 1)).all():
        raise ValueError("pixels must be 0, 1, or -1 for missing; found other values")
    return images.astype(np.int8)


def chunk_rows(images: Int8[np.ndarray, "n P"]) -> Iterator[Int[np.ndarray, " rows"]]:
    """Rows of images with equally many missing pixels, sorted by their last place, in chunks
    of one size."""
    missing = images < 0
    counts = missing.sum(1)
    # Most of the work comes after the last missing place, where all branches are there.
    last = images.shape[1] - 1 - missing[:, ::-1].argmax(1)
    for m in np.unique(counts):
        rows = np.flatnonzero(counts == m)
        rows = rows[np.argsort(last[rows], kind="stable")]
        size = images_in_chunk(int(m))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def images_in_chunk(m: int) -> int:
    """Images with m missing pixels that advance together."""
    return max(1, _branches() >> m)


def _branches() -> int:
    return _BRANCHES_CPU if jax.default_backend() == "cpu" else _BRANCHES_GPU


def chunk_posteriors(network: PixelNetwork, images: Int8[np.ndarray, "n P"]) -> list[Posterior]:
    """Posteriors of images with equally many missing pixels, at most one chunk of ``chunk_rows``."""
    n, m = len(images), int((images[0] < 0).sum())
    where = np.argsort(images >= 0, axis=1, kind="stable")[:, :m]
    padded = np.pad(images, ((0, images_in_chunk(m) - n), (0, 0)), mode="edge")
    missing = padded < 0
    order = np.where(missing, missing.cumsum(1) - 1, -1)
    # All images of a chunk branch together, where the first of them has to.
    starts = np.concatenate([[1], np.maximum(where.min(0), 1)]).astype(np.int32)
    with float64():
        table = (jnp.asarray(padded.T), jnp.asarray(order.T, jnp.int8))
        nll = _score(network.model, to_float64(network.params), *table, starts, _branches())
    nll = np.asarray(nll)[:n]
    values = completions(m)
    if m:
        p = np.array([1 - network.first_pixel, network.first_pixel])
        nll = nll - np.where(where[:, :1] == 0, np.log(p)[values[:, 0]], 0.0)
    log_probs = -nll - np.logaddexp.reduce(-nll, axis=1, keepdims=True)
    return [Posterior(where[i], values, log_probs[i], nll[i]) for i in range(n)]


@partial(jax.jit, static_argnums=(0, 5), compiler_options=WIDE)
def _score(
    model: Model,
    params: Params,
    pixels: Int8[Array, "P n"],
    order: Int8[Array, "P n"],
    starts: Int32[Array, " levels"],
    most: int,
) -> Float64[Array, "n 2**(levels-1)"]:
    """Sums of l_t over t >= 1 of every completion.

    order: the how-manieth missing place of its image this is, -1 where observed. starts: m + 1 of
    them, the step at which there begin to be 2^j branches, from j=0 on. most: branches that advance
    together, of one image at least.
    """
    places, n = pixels.shape
    carry = (to_float64(model.initial_state((n,))), jnp.zeros((n,)))
    levels = starts.shape[0]
    for level in range(levels):
        if level:
            carry = jax.tree.map(lambda leaf: jnp.repeat(leaf, 2, axis=0), carry)
        stop = starts[level + 1] if level + 1 < levels else places
        advance = partial(_advance, model, params, pixels, order, level, (starts[level], stop))
        numbers = jnp.arange(2**level, dtype=jnp.int32)
        if n * len(numbers) <= most:
            carry = advance(numbers, carry)
        else:  # one image: its branches go in groups
            groups = _grouped(len(numbers) // most, (numbers, carry))
            carry = _joined(lax.map(lambda group, advance=advance: advance(*group), groups))
    return carry[1].reshape(n, -1)


def _advance(
    model: Model,
    params: Params,
    pixels: Int8[Array, "P n"],
    order: Int8[Array, "P n"],
    level: int,
    span: tuple[Int32[Array, ""], Int32[Array, ""] | int],
    branch: Int32[Array, " some"],
    carry: Carry,
) -> Carry:
    """The steps ``span`` with ``level`` missing pixels chosen, for n images times some branches.

    branch: the chosen bits as a number, the first one highest. carry: the cell's state and the
    sum of l_t, with n * len(branch) leading. Step t predicts x_t from x_{t-1} and the
    state before it.
    """

    def pixel(t: Int32[Array, ""]) -> Float64[Array, " branches"]:
        bits = (branch[None] >> jnp.maximum(level - 1 - order[t], 0)[:, None]) & 1
        chosen = jnp.where(order[t][:, None] >= 0, bits, pixels[t][:, None])
        return chosen.reshape(-1).astype(jnp.float64)

    def step(t: Int32[Array, ""], carry: Carry) -> Carry:
        state, total = carry
        state, logits = model.step(params, state, pixel(t - 1)[:, None])
        z = logits[..., 0]
        return state, total + jax.nn.softplus(z) - pixel(t) * z

    return lax.fori_loop(span[0], span[1], step, carry)


def _grouped(groups: int, tree: Tree) -> Tree:
    """Leading axes in equal groups: (N, ...) -> (groups, N / groups, ...)."""
    return jax.tree.map(lambda leaf: leaf.reshape(groups, -1, *leaf.shape[1:]), tree)


def _joined(tree: Tree) -> Tree:
    """Undoes ``_grouped``."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree)
