"""An image as a sequence: what a pixel network says about every pixel given those before it.

Pixels are 0 or 1 and are read from top-left to bottom-right, x_0 .. x_{P-1}. The network sees
x_0 .. x_{P-2} and predicts x_1 .. x_{P-1}, which are the scored pixels. x_0 has a probability of its
own, (n_1 + 1/2) / (N + 1) over the N train images of which n_1 begin with 1.

l_t(x) = -log p(x_t | x_<t) = softplus(z_t) - x_t z_t with z_t the logit, in nats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from autoregressive import checkpoint
from autoregressive.checkpoint import CheckpointError, check_params, part
from autoregressive.images.image_set import ImageSet
from autoregressive.model import Model, make_model
from autoregressive.scores import Calibration, bin_sums, from_sums

# Images evaluated in one compiled call: bounds the memory, and stays in a processor's cache.
_CHUNK_IMAGES = 500


def pixel_model(cell: str = "lstm", hidden: int = 32, readout: tuple[int, ...] = (64,)) -> Model:
    """cell -> ReLU -> read-out layers -> one logit, for inputs of one pixel."""
    return make_model(cell, hidden, 1, 1, readout)


def inputs(pixels: Array) -> Array:
    """The network's inputs x_0 .. x_{P-2}: (B, P) -> float32 (B, P-1, 1)."""
    return pixels[:, :-1, None].astype(jnp.float32)


def nats(logits: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """-log Bernoulli(pixel; sigmoid(logit)), float64, any shape."""
    logits = np.asarray(logits, np.float64)
    return np.logaddexp(0.0, logits) - pixels * logits


@dataclass(frozen=True, eq=False)
class PixelNetwork:
    """A trained network of images. first_pixel: p(x_0 = 1). settings: how it came to be, as JSON
    values; ``places`` there is P. history: learning curves."""

    model: Model
    params: dict[str, Array]
    places: int
    first_pixel: float
    settings: dict[str, Any]
    history: dict[str, np.ndarray] = field(default_factory=dict)

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of x_1 .. x_{P-1}: pixels of 0 and 1, (n, P) -> float32 (n, P-1).

        Errors: ValueError for images of another size or values other than 0 and 1.
        """
        pixels = self.checked(pixels)
        out = np.empty((len(pixels), self.places - 1), np.float32)
        for rows, chunk in padded_chunks(pixels, _CHUNK_IMAGES):
            out[rows] = np.asarray(_logits(self.model, self.params, chunk))[
                : rows.stop - rows.start
            ]
        return out

    def nats(self, pixels: np.ndarray) -> np.ndarray:
        """l_t of x_1 .. x_{P-1} in nats: (n, P) -> float64 (n, P-1)."""
        return nats(self.logits(pixels), self.checked(pixels)[:, 1:])

    def log_predictive(self, pixels: np.ndarray) -> np.ndarray:
        """log p(x_t | x_<t) of both values at every pixel, x_0 too: float64 (n, P, 2)."""
        logits = self.logits(pixels).astype(np.float64)
        first = np.log(self.first_pixel) - np.log1p(-self.first_pixel)
        logits = np.concatenate([np.full((len(logits), 1), first), logits], axis=1)
        return -np.stack([nats(logits, np.zeros(1)), nats(logits, np.ones(1))], axis=-1)

    def checked(self, pixels: np.ndarray) -> np.ndarray:
        """The images as uint8 (n, P). Errors: ValueError as for ``logits``."""
        pixels = np.asarray(pixels)
        if pixels.ndim != 2 or pixels.shape[1] != self.places:
            raise ValueError(
                f"this network knows images of {self.places} pixels; got an array of shape "
                f"{pixels.shape}, expected (n, {self.places})"
            )
        if not np.isin(pixels, (0, 1)).all():
            raise ValueError("pixels must be 0 or 1; binarise the images first")
        return pixels.astype(np.uint8)

    def save(self, path: str | Path) -> None:
        """Writes the network, its settings and its learning curves. Errors: OSError."""
        tensors = {f"params.{k}": np.asarray(v) for k, v in self.params.items()}
        tensors |= {f"history.{k}": np.asarray(v) for k, v in self.history.items()}
        header = {"kind": "pixels", "first_pixel": self.first_pixel, **self.settings}
        checkpoint.save(path, tensors, header)

    @classmethod
    def load(cls, path: str | Path) -> PixelNetwork:
        """Reads what ``save`` wrote. Errors: CheckpointError as for ``Learner.load``."""
        tensors, header = checkpoint.load(path)
        kind = header.pop("kind", None)
        if kind != "pixels":
            raise CheckpointError(f"{path} holds a {kind!r}, expected 'pixels'")
        try:
            first_pixel = float(header.pop("first_pixel"))
            places = int(header["places"])
            readout = tuple(int(n) for n in header["readout"])
            model = pixel_model(header["cell"], int(header["hidden"]), readout)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: the header is incomplete or wrong: {error}") from None
        if not 0 < first_pixel < 1 or places < 2:
            raise CheckpointError(f"{path}: the header's first pixel or size makes no sense")
        params = part(tensors, "params.")
        check_params(path, jax.eval_shape(model.init, jax.random.key(0)), params)
        return cls(
            model,
            {k: jnp.asarray(v) for k, v in params.items()},
            places,
            first_pixel,
            header,
            part(tensors, "history."),
        )


@dataclass(frozen=True)
class Evaluation:
    """Scores of a network on images, x_1 .. x_{P-1}.

    nats_per_image: (n,), the sum over scored pixels. accuracy: the share of pixels whose more
    probable value came. by_place: mean nats (P-1,). calibration: of the predicted probability of 1.
    """

    nats_per_image: np.ndarray
    accuracy: float
    by_place: np.ndarray
    calibration: Calibration

    @property
    def cross_entropy(self) -> float:
        """Mean nats a pixel."""
        return float(self.nats_per_image.mean() / len(self.by_place))

    @property
    def standard_error(self) -> float:
        """Of ``cross_entropy``, over images."""
        n = len(self.nats_per_image)
        return float(self.nats_per_image.std(ddof=1) / n**0.5 / len(self.by_place))


def evaluate(network: PixelNetwork, images: ImageSet) -> Evaluation:
    """Scores ``network`` on every image of a set, in chunks. Errors: ValueError, fewer than 2 images."""
    if len(images) < 2:
        raise ValueError(f"a standard error needs 2 or more images; got {len(images)}")
    scored = network.places - 1
    per_image, by_place = np.empty(len(images)), np.zeros(scored)
    right = 0
    bins = np.zeros((3, 10))
    for start in range(0, len(images), _CHUNK_IMAGES):
        pixels = images.images(slice(start, start + _CHUNK_IMAGES))
        logits = network.logits(pixels)
        targets = pixels[:, 1:]
        losses = nats(logits, targets)
        per_image[start : start + len(pixels)] = losses.sum(1)
        by_place += losses.sum(0)
        right += int(((logits > 0) == targets).sum())
        bins += bin_sums(1 / (1 + np.exp(-logits.astype(np.float64))), targets)
    return Evaluation(
        per_image, right / (len(images) * scored), by_place / len(images), from_sums(bins)
    )


def padded_chunks(pixels: np.ndarray, most: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows in chunks of one size, the last one padded, so that one compiled program serves all."""
    size = min(most, max(len(pixels), 1))
    for start in range(0, len(pixels), size):
        chunk = pixels[start : start + size]
        rows = slice(start, start + len(chunk))
        yield rows, np.pad(chunk, ((0, size - len(chunk)), (0, 0)))


def _logits_of(model: Model, params: Any, pixels: Array) -> Array:
    return model.logits(params, inputs(pixels))[..., 0]


_logits = jax.jit(_logits_of, static_argnums=0)
