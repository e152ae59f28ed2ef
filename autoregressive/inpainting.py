"""The exact posterior over missing pixels given all observed ones, past and future.

For missing places M with first f, p(x_M = c | observed) is proportional to exp(-sum_{t>=f} l_t(x^c)),
with x^c the image with c filled in: filled values are inputs and targets alike. All 2^|M| completions
are enumerated. The state before f is computed once an image and shared by its completions, and only
the logits from f on are computed for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from autoregressive.model import Model
from autoregressive.pixels import PixelNetwork

MOST_MISSING = 16
# Completions that advance together: their states stay in a processor's cache.
_BRANCHES = 1024


@dataclass(frozen=True)
class Posterior:
    """What is known of one image's missing pixels.

    missing: places (m,). completions: uint8 (2^m, m), in binary order, the first place most
    significant. log_probs: log p(x_M = c | observed), float64 (2^m,). nll: nats of the whole
    completed image, sum of l_t over t >= 1, and l_0 if 0 is missing, float64 (2^m,).
    """

    missing: np.ndarray
    completions: np.ndarray
    log_probs: np.ndarray
    nll: np.ndarray

    @property
    def marginals(self) -> np.ndarray:
        """p(x_k = 1 | observed) of every missing pixel (m,)."""
        return np.exp(self.log_probs) @ self.completions

    @property
    def best(self) -> np.ndarray:
        """The most probable completion, uint8 (m,)."""
        return self.completions[np.argmax(self.log_probs)]

    def index(self, values: np.ndarray) -> int:
        """Where a completion (m,) stands in the enumeration."""
        return int(np.asarray(values, np.int64) @ (1 << np.arange(len(self.missing))[::-1]))


def posteriors(
    network: PixelNetwork,
    images: np.ndarray,
    on_images: Callable[[int], None] = lambda done: None,
) -> list[Posterior]:
    """The exact posterior of every image. images: 0, 1 and -1 for missing, (n, P).

    An image with nothing missing has one completion, of probability 1. Memory is bounded by one chunk
    of completions. on_images: called with the number of images done.
    Errors: ValueError for another size or other values, or more than 16 missing in an image.
    """
    images = check_masked(images, network.places)
    missing = images < 0
    counts = missing.sum(1)
    # Where completions begin to differ; an image with nothing missing is scored to its end.
    first = np.where(counts > 0, missing.argmax(1), network.places - 1)
    found: list[Posterior | None] = [None] * len(images)
    done = 0
    for rows in _chunks(counts, first):
        m = int(counts[rows[0]])
        for row, posterior in zip(rows, _enumerate(network, images[rows], m), strict=True):
            found[row] = posterior
        done += len(rows)
        on_images(done)
    return [posterior for posterior in found if posterior is not None]


def cost(images: np.ndarray) -> int:
    """Cell steps that ``posteriors`` takes, to be shown before a long run. images: (n, P)."""
    missing = np.asarray(images) < 0
    places = missing.shape[1]
    first = np.where(missing.any(1), missing.argmax(1), places - 1)
    return int((first + (places - first) * 2.0 ** missing.sum(1)).sum())


def check_masked(images: np.ndarray, places: int) -> np.ndarray:
    """Images as int8 (n, places) of 0, 1 and -1. Errors: ValueError, one line."""
    images = np.asarray(images)
    if images.ndim != 2 or images.shape[1] != places:
        raise ValueError(
            f"expected images of shape (n, {places}) with -1 for missing; got {images.shape}"
        )
    if images.dtype.kind not in "fiub" or not np.isin(images, (-1, 0, 1)).all():
        raise ValueError("pixels must be 0, 1, or -1 for missing; found other values")
    most = int((images < 0).sum(1).max(initial=0))
    if most > MOST_MISSING:
        row = int((images < 0).sum(1).argmax())
        raise ValueError(
            f"image {row} has {most} missing pixels; exact enumeration takes at most {MOST_MISSING}"
        )
    return images.astype(np.int8)


def completions(m: int) -> np.ndarray:
    """All values of m pixels in binary order, the first most significant: uint8 (2^m, m)."""
    return ((np.arange(2**m)[:, None] >> np.arange(m)[::-1]) & 1).astype(np.uint8)


def _chunks(counts: np.ndarray, first: np.ndarray) -> Iterator[np.ndarray]:
    """Images with equally many missing pixels, sorted by where they begin, in chunks of one size."""
    for m in np.unique(counts):
        rows = np.flatnonzero(counts == m)
        rows = rows[np.argsort(first[rows], kind="stable")]
        size = images_in_chunk(int(m))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def images_in_chunk(m: int) -> int:
    """Images with m missing pixels that advance together."""
    return max(1, _BRANCHES >> m)


def _enumerate(network: PixelNetwork, images: np.ndarray, m: int) -> list[Posterior]:
    """Images with m missing pixels each, at most one chunk of them."""
    n, places = images.shape
    where = np.argsort(images >= 0, axis=1, kind="stable")[:, :m]
    first = int(where[:, 0].min()) if m else places - 1
    values = completions(m)
    filled = np.repeat(np.maximum(images, 0).astype(np.uint8)[:, None], len(values), axis=1)
    for i in range(n):
        filled[i][:, where[i]] = values
    size = images_in_chunk(m)
    padded = np.pad(filled, ((0, size - n), (0, 0), (0, 0)))
    before, after = _score(
        network.model, network.params, jnp.asarray(padded), jnp.int32(max(first, 1))
    )
    # Shared by all completions of an image, and so without effect on their probabilities.
    before = np.asarray(before, np.float64)[:n]
    after = np.asarray(after, np.float64)[:n]
    if first == 0:
        p = np.array([1 - network.first_pixel, network.first_pixel])
        starts_missing = images[:, 0] < 0
        after = after - np.where(starts_missing[:, None], np.log(p)[filled[:, :, 0]], 0.0)
    top = -after.min(1, keepdims=True)
    log_probs = -after - (top + np.log(np.exp(-after - top).sum(1, keepdims=True)))
    return [Posterior(where[i], values, log_probs[i], before[i] + after[i]) for i in range(n)]


@partial(jax.jit, static_argnums=0)
def _score(model: Model, params: Any, filled: Array, first: Array) -> tuple[Array, Array]:
    """Sums of l_t: for t < first, (n,), from the first completion; from first on, (n, branches).

    filled: uint8 (n, branches, P). The step t predicts x_t from x_{t-1} and the state before it.
    """
    n, branches, places = filled.shape
    columns = jnp.transpose(filled, (2, 0, 1)).astype(jnp.float32)

    def step(t: Array, carry: Any, pixels: Array) -> Any:
        state, total, carried = carry
        x, y = pixels[t - 1], pixels[t]
        state, logits = model.step(params, state, x[:, None])
        z = logits[..., 0]
        # Compensated summation (Kahan 1965): 783 small terms in float32 without drift.
        term = jax.nn.softplus(z) - y * z - carried
        new = total + term
        return state, new, (new - total) - term

    shared = columns[:, :, 0]
    zeros = jnp.zeros((n,), jnp.float32)
    state, before, _ = lax.fori_loop(
        1, first, lambda t, c: step(t, c, shared), (model.initial_state((n,)), zeros, zeros)
    )
    state = jax.tree.map(lambda s: jnp.repeat(s, branches, axis=0), state)
    each = columns.reshape(places, n * branches)
    zeros = jnp.zeros((n * branches,), jnp.float32)
    _, after, _ = lax.fori_loop(first, places, lambda t, c: step(t, c, each), (state, zeros, zeros))
    return before, after.reshape(n, branches)
