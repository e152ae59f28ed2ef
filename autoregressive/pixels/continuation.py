"""Continuing an image: each missing pixel is sampled from the network, given all pixels before it.

The state is carried, so that a pixel costs one step. Nothing is rounded, and from the first missing
pixel on the true ones are never fed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, PRNGKeyArray, Shaped, UInt8
from numpy.typing import ArrayLike

from autoregressive.cells.base import Params, State
from autoregressive.model import Model
from autoregressive.pixels.network import PixelNetwork, inputs, nats

HORIZONS = (1, 10, 28, 300)


@dataclass(frozen=True)
class Continuation:
    """S samples of the pixels from ``first`` on for each of n images, and their costs in nats.

    own: -log p of each sampled pixel given its own past. truth: -log p of the true pixels given the true
    past. crossed: -log p of the true pixels given the sampled past.
    """

    first: int
    samples: UInt8[np.ndarray, "n S horizon"]
    own: Float[np.ndarray, "n S horizon"]
    truth: Float[np.ndarray, "n horizon"]
    crossed: Float[np.ndarray, "n S horizon"]

    def costs(self, horizon: int) -> dict[str, tuple[float, float]]:
        """Of "own", "truth" and "crossed": nats a pixel, the mean over the first ``horizon`` missing
        pixels, and its standard error over images. Samples of one image are averaged first."""
        per_image = {
            "own": self.own[..., :horizon].mean((1, 2)),
            "truth": self.truth[:, :horizon].mean(1),
            "crossed": self.crossed[..., :horizon].mean((1, 2)),
        }
        root = len(self.truth) ** 0.5
        return {k: (float(v.mean()), float(v.std(ddof=1) / root)) for k, v in per_image.items()}

    def sample_spread(self, horizon: int) -> dict[str, float]:
        """The part of the standard error that more samples of the same images would shrink, in nats a
        pixel, of "own" and "crossed"; 0 for "truth", which has no samples."""
        samples = self.own.shape[1]

        def spread(values: Float[np.ndarray, "n S horizon"]) -> float:
            per_sample = values[..., :horizon].mean(-1)
            variance = per_sample.var(1, ddof=1).mean() / samples / len(per_sample)
            return float(variance**0.5)

        return {"own": spread(self.own), "truth": 0.0, "crossed": spread(self.crossed)}


def continue_images(
    network: PixelNetwork, pixels: ArrayLike, key: PRNGKeyArray, *, first: int, samples: int = 10
) -> Continuation:
    """Continues images from pixel ``first`` to the end, ``samples`` times each.

    pixels: the true images, 0 and 1 (n, P); from ``first`` on they are only scored.
    Errors: ValueError for another size, or ``first`` outside 1 .. P-1, or samples < 2.
    """
    checked = network.check(pixels)
    if not 1 <= first < network.places:
        raise ValueError(f"the first missing pixel must be 1..{network.places - 1}; got {first}")
    if samples < 2:
        raise ValueError(f"a spread over samples needs 2 or more of them; got {samples}")
    drawn, logits = _run(network.model, network.params, jnp.asarray(checked), key, first, samples)
    drawn, logits = np.asarray(drawn), np.asarray(logits)
    truth = checked[:, first:]
    true_logits = network.logits(checked)[:, first - 1 :]
    return Continuation(
        first,
        drawn.astype(np.uint8),
        nats(logits, drawn),
        nats(true_logits, truth),
        nats(logits, truth[:, None]),
    )


@partial(jax.jit, static_argnums=(0, 4, 5))
def _run(
    model: Model,
    params: Params,
    pixels: Shaped[Array, "n P"],
    key: PRNGKeyArray,
    first: int,
    samples: int,
) -> tuple[Float[Array, "n {samples} P-{first}"], Float[Array, "n {samples} P-{first}"]]:
    """Sampled pixels, float 0 or 1, and their logits."""
    n, places = pixels.shape
    # The state after x_0 .. x_{first-2}; the next input is x_{first-1}.
    state = model.initial_state((n,))
    seen = inputs(pixels)[:, : first - 1]
    if first > 1:
        state, _ = model.unroll(params, state, seen)
    state = jax.tree.map(lambda s: jnp.repeat(s, samples, axis=0), state)
    last = jnp.repeat(pixels[:, first - 1], samples).astype(jnp.float32)

    # The state and the latest pixels, one a sequence.
    Carry = tuple[State, Float[Array, " B"]]

    def step(carry: Carry, key: PRNGKeyArray) -> tuple[Carry, tuple[Array, Array]]:
        state, x = carry
        state, logits = model.step(params, state, x[:, None])
        z = logits[..., 0]
        x = jax.random.bernoulli(key, jax.nn.sigmoid(z)).astype(jnp.float32)
        return (state, x), (x, z)

    _, (drawn, logits) = lax.scan(step, (state, last), jax.random.split(key, places - first))
    shape = (n, samples, places - first)
    return drawn.T.reshape(shape), logits.T.reshape(shape)
