"""An image as a sequence: what a pixel network says about every pixel given those before it.

Pixels are 0 or 1 and are read from top-left to bottom-right, x_0 .. x_{P-1}. The network sees
x_0 .. x_{P-2} and predicts x_1 .. x_{P-1}, which are the scored pixels. x_0 has a probability of its
own, (n_1 + 1/2) / (N + 1) over the N train images of which n_1 begin with 1.

l_t(x) = -log p(x_t | x_<t) = softplus(z_t) - x_t z_t with z_t the logit, in nats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Integer, Shaped, UInt8
from numpy.typing import ArrayLike

from autoregressive.cells.base import Params
from autoregressive.header import Header, Settings, get_probability, get_text, get_whole, get_wholes
from autoregressive.images.image_set import ImageSet
from autoregressive.images.sizes import MOST_PLACES
from autoregressive.model import Model, make_model
from autoregressive.network import Network
from autoregressive.scores import Calibration, bin_sums, calibration_from_sums
from autoregressive.vectors import WIDE

# Images evaluated in one compiled call, few enough for memory and a processor's cache.
_CHUNK_IMAGES = 500


def pixel_model(cell: str = "lstm", hidden: int = 32, readout: tuple[int, ...] = (64,)) -> Model:
    """cell -> ReLU -> read-out layers -> one logit, for inputs of one pixel. Errors: ValueError."""
    return make_model(cell, hidden, 1, 1, readout)


def inputs(pixels: Shaped[Array, "B P"]) -> Float[Array, "B P-1 1"]:
    """The network's inputs x_0 .. x_{P-2} as float32."""
    return pixels[:, :-1, None].astype(jnp.float32)


def nats(
    logits: Float[np.ndarray, "*#shape"], pixels: Shaped[np.ndarray, "*#shape"]
) -> Float[np.ndarray, "*shape"]:
    """-log Bernoulli(pixel; sigmoid(logit)), nats, float64. The shapes are broadcast."""
    logits = np.asarray(logits, np.float64)
    return np.logaddexp(0.0, logits) - pixels * logits


@dataclass(frozen=True, eq=False, repr=False)
class PixelNetwork(Network):
    """A trained network of images.

    places: P. first_pixel: p(x_0 = 1). settings: how it came to be, as JSON values. history: learning
    curves (points,).
    """

    kind = "pixels"
    header_fields = ("first_pixel",)
    curves = ("images", "seconds", "train_loss", "test_loss")
    model: Model
    params: Params
    places: int
    first_pixel: float
    settings: Settings
    history: dict[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)

    def logits(self, pixels: ArrayLike) -> Float[np.ndarray, "n {self.places-1}"]:
        """Logits of x_1 .. x_{P-1}, float32. pixels: 0 and 1, (n, P).

        Errors: ValueError for images of another size or values other than 0 and 1.
        """
        rows = self.check(pixels)
        out = np.empty((len(rows), self.places - 1), np.float32)
        for where, logits in self.run_in_chunks(rows, _CHUNK_IMAGES):
            out[where] = logits
        return out

    def run(self, rows: Integer[np.ndarray, "n P"]) -> Float[Array, "n P-1"]:
        return _logits(self.model, self.params, rows)

    def nats(self, pixels: ArrayLike) -> Float[np.ndarray, "n {self.places-1}"]:
        """l_t of x_1 .. x_{P-1} in nats, float64. pixels: 0 and 1, (n, P)."""
        return nats(self.logits(pixels), self.check(pixels)[:, 1:])

    def log_predictive(self, pixels: ArrayLike) -> Float[np.ndarray, "n {self.places} 2"]:
        """log p(x_t | x_<t) of both values at every pixel, x_0 too, float64. pixels: 0 and 1, (n, P)."""
        logits = self.logits(pixels).astype(np.float64)
        first = np.log(self.first_pixel) - np.log1p(-self.first_pixel)
        logits = np.concatenate([np.full((len(logits), 1), first), logits], axis=1)
        return -np.stack([nats(logits, np.zeros(1)), nats(logits, np.ones(1))], axis=-1)

    def check(self, rows: ArrayLike) -> UInt8[np.ndarray, "n {self.places}"]:
        """The images as uint8. Errors: ValueError as for ``logits``."""
        pixels = np.asarray(rows)
        if pixels.ndim != 2 or pixels.shape[1] != self.places:
            raise ValueError(
                f"this network knows images of {self.places} pixels; got an array of shape "
                f"{pixels.shape}, expected (n, {self.places})"
            )
        if not np.isin(pixels, (0, 1)).all():
            raise ValueError("pixels must be 0 or 1; binarise the images first")
        return pixels.astype(np.uint8)

    @classmethod
    def read_header(cls, header: Header) -> tuple[Model, Settings]:
        model = pixel_model(
            get_text(header, "cell"), get_whole(header, "hidden"), get_wholes(header, "readout")
        )
        return model, {
            "places": get_whole(header, "places", 2, MOST_PLACES),
            "first_pixel": get_probability(header, "first_pixel"),
        }


@dataclass(frozen=True)
class Evaluation:
    """Scores of a network on n images, over x_1 .. x_{P-1}.

    nats_per_image: -log p of each image, the sum over scored pixels. accuracy: the share of pixels at
    which the more probable value came. by_place: nats of each scored pixel, mean over images.
    calibration: of the predicted probability of 1.
    """

    nats_per_image: Float[np.ndarray, " n"]
    accuracy: float
    by_place: Float[np.ndarray, " scored"]
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


class PredictionsNotFinite(ValueError):
    """A network gives NaN on some image."""


def evaluate(network: PixelNetwork, images: ImageSet) -> Evaluation:
    """Scores ``network`` on every image of a set, in chunks. Errors: ValueError, fewer than 2 images;
    PredictionsNotFinite."""
    from scipy.special import expit

    if len(images) < 2:
        raise ValueError(f"a standard error needs 2 or more images; got {len(images)}")
    scored = network.places - 1
    per_image, by_place = np.empty(len(images)), np.zeros(scored)
    right = 0
    bins = np.zeros((3, 10))
    for start in range(0, len(images), _CHUNK_IMAGES):
        pixels = images.images(slice(start, start + _CHUNK_IMAGES))
        logits = network.logits(pixels)
        if np.isnan(logits).any():
            raise PredictionsNotFinite(
                "the network's predictions are not finite on some image; train it anew"
            )
        targets = pixels[:, 1:]
        losses = nats(logits, targets)
        per_image[start : start + len(pixels)] = losses.sum(1)
        by_place += losses.sum(0)
        right += int(((logits > 0) == targets).sum())
        bins += bin_sums(expit(logits.astype(np.float64)), targets)
    return Evaluation(
        per_image,
        right / (len(images) * scored),
        by_place / len(images),
        calibration_from_sums(bins),
    )


@partial(jax.jit, static_argnums=0, compiler_options=WIDE)
def _logits(model: Model, params: Params, pixels: Shaped[Array, "n P"]) -> Float[Array, "n P-1"]:
    return model.logits(params, inputs(pixels))[..., 0]
