"""Training a pixel network: epochs over packed images that stay on the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jaxtyping import Float, Int, Key, UInt8

from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Params
from autoregressive.checkpoint import settings_digest
from autoregressive.header import Settings
from autoregressive.images.image_set import ImageSet, unpack
from autoregressive.images.sizes import format_shape
from autoregressive.model import Model
from autoregressive.optimization import Optimization
from autoregressive.pixels.network import (
    Evaluation,
    PixelNetwork,
    PredictionsNotFinite,
    evaluate,
    inputs,
    pixel_model,
)
from autoregressive.pixels.trained_on import data_settings
from autoregressive.resume import History, Value
from autoregressive.training import NEVER_FINITE, Trainer, TrainingDiverged, TrainState
from autoregressive.training_runs import Stop, TrainingRun, get_curves, get_seed
from autoregressive.versions import versions

# Points of the learning curves, in an epoch and in all, and the images they are measured on.
POINTS_PER_EPOCH = 4
MOST_POINTS = 100
CURVE_TRAIN_IMAGES = 10_000
CURVE_TEST_IMAGES = 2_000
# Image rows in one compiled chunk: a few seconds on two cores.
_CHUNK_IMAGES = 4_096


@dataclass(frozen=True)
class PixelRecipe:
    """One way to train: ``epochs`` passes over all images, newly shuffled each time, ``batch_size`` a
    step."""

    name: str
    epochs: int
    batch_size: int
    optimization: Optimization

    def __post_init__(self) -> None:
        for field in ("epochs", "batch_size"):
            if getattr(self, field) < 1:
                raise ValueError(
                    f"{field.replace('_', ' ')} must be 1 or more; got {getattr(self, field)}"
                )

    def steps(self, images: int) -> int:
        """Updates in one epoch; the last batch of an epoch may be smaller."""
        return -(-images // self.batch_size)

    def settings(self) -> Settings:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


PIXEL_RECIPES: dict[str, PixelRecipe] = {
    "coursework": PixelRecipe("coursework", 5, 256, Optimization(0.001)),
    "best": PixelRecipe(
        "best",
        5,
        32,
        Optimization(
            0.02, optimizer="soap", schedule="cosine", warmup=0.05, clip=1.0, timescale=60.0
        ),
    ),
}


def make_pixel_recipe(
    name: str,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
) -> PixelRecipe:
    """A registered recipe with changes. Errors: ValueError for an unknown name or a size < 1."""
    if name not in PIXEL_RECIPES:
        known = ", ".join(sorted(PIXEL_RECIPES))
        raise ValueError(f"unknown recipe {name!r}: expected one of {known}")
    recipe = PIXEL_RECIPES[name]
    return dataclasses.replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        batch_size=recipe.batch_size if batch_size is None else batch_size,
        optimization=recipe.optimization.with_learning_rate(learning_rate),
    )


class PixelPoint(NamedTuple):
    """A moment of training. Losses in nats a pixel; test_loss is None between points of the curves."""

    step: int
    steps: int
    images_per_second: float
    batch_loss: float
    test_loss: float | None


class Epoch(NamedTuple):
    """The network after ``epoch`` epochs. train, test: its scores on all images of each set at 0, 1 and
    the last epoch, else None."""

    epoch: int
    network: PixelNetwork
    train: Evaluation | None
    test: Evaluation | None


def pixel_settings(
    data: ImageSet, recipe: PixelRecipe, cell: str, hidden: int, readout: tuple[int, ...], seed: int
) -> Settings:
    """What decides a trained network, as JSON values."""
    return {
        "data": data_settings(data),
        "places": data.places,
        "cell": cell,
        "hidden": hidden,
        "readout": list(readout),
        "recipe": recipe.settings(),
        "seed": seed,
    }


def make_pixel_trainer(model: Model, recipe: PixelRecipe, images: int, places: int) -> Trainer:
    """Trains ``model`` on packed images, uint8 (images, bytes), which are ``fit``'s data.

    The loss, nats a pixel, is the mean over images and pixels 1..P-1. images: how many there are.
    places: P.
    """
    steps, size = recipe.steps(images), recipe.batch_size

    # Packed images of a step, and the weight of each in their mean: 0 for those that fill up an epoch's
    # last batch.
    Batch = tuple[UInt8[Array, "*steps size bytes"], Float[Array, "*steps size"]]

    def loss(params: Params, batch: Batch) -> tuple[Float[Array, ""], Float[Array, ""]]:
        packed, weight = batch
        pixels = unpack(packed, places)
        logits = model.logits(params, inputs(pixels))[..., 0]
        nats = optax.sigmoid_binary_cross_entropy(logits, pixels[:, 1:]).mean(1)
        mean = (nats * weight).mean()
        return mean, mean

    def draw(
        data: UInt8[AnyArray, "images bytes"], key: Key[Array, ""], start: Int[Array, ""], n: int
    ) -> Batch:
        epoch = start // steps
        order = jax.random.permutation(jax.random.fold_in(key, epoch), images)
        # Zeros for n more steps: a chunk's static size may reach past the last one; its loop never does.
        room = (steps + n) * size - images
        order = jnp.concatenate([order, jnp.zeros((room,), order.dtype)])
        weight = (jnp.arange(order.shape[0]) < images).astype(jnp.float32)
        first = (start - epoch * steps) * size
        picked = lax.dynamic_slice_in_dim(order, first, n * size).reshape(n, size)
        weights = lax.dynamic_slice_in_dim(weight, first, n * size).reshape(n, size)
        # None is left beyond the last step, which no loop reaches.
        return data[picked], weights * (size / jnp.maximum(weights.sum(1, keepdims=True), 1))

    how = recipe.optimization
    iterations = steps * recipe.epochs
    return Trainer(loss, how.transformation(iterations), draw, how.averaging * iterations, size)


def train_pixels(
    train: ImageSet,
    test: ImageSet,
    recipe: PixelRecipe,
    *,
    cell: str = "lstm",
    hidden: int = 32,
    readout: tuple[int, ...] = (64,),
    seed: int = 0,
    folder: Path | None = None,
    on_point: Callable[[PixelPoint], None] = lambda point: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> PixelNetwork:
    """Trains a network of images; goes on with an unfinished run under ``folder``.

    Learning curves have ``POINTS_PER_EPOCH`` points an epoch, up to ``MOST_POINTS`` in all, on fixed
    images: the first ``CURVE_TRAIN_IMAGES`` of train and the first ``CURVE_TEST_IMAGES`` of test.
    on_point: called after every compiled chunk. on_epoch: called before training and after each epoch,
    with a network that can be kept.
    Errors: ValueError for images of different sizes, an unknown cell or a size < 1; TrainingDiverged.
    """
    if train.shape != test.shape:
        raise ValueError(
            f"train images have {format_shape(train.shape)} pixels, test images "
            f"{format_shape(test.shape)}: they should be of one size"
        )
    model = pixel_model(cell, hidden, readout)
    settings = pixel_settings(train, recipe, cell, hidden, readout, seed)
    steps = recipe.steps(len(train))
    total = steps * recipe.epochs
    points = curve_points(steps, recipe.epochs)
    chunk = max(1, min(_CHUNK_IMAGES // recipe.batch_size, steps))
    timescale = recipe.optimization.timescale
    run = TrainingRun(
        make_pixel_trainer(model, recipe, len(train), train.places),
        [settings],
        lambda key: model.init(key, timescale),
        _stops(steps, total, chunk, points),
        points,
        PixelNetwork.curves,
        saved=range(0, total + 1, steps),
        data=jnp.asarray(train.packed),
    )
    ones = int(train.images(slice(None))[:, 0].sum())
    first_pixel = (ones + 0.5) / (len(train) + 1)
    curve_train = dataclasses.replace(train, packed=train.packed[:CURVE_TRAIN_IMAGES])
    curve_test = dataclasses.replace(test, packed=test.packed[:CURVE_TEST_IMAGES])

    def network(state: TrainState, history: History) -> PixelNetwork:
        params = get_seed(run.trainer.get_params(state), 0)
        made = settings | {"versions": versions()}
        return PixelNetwork(model, params, train.places, first_pixel, made, get_curves(history, 0))

    def measure(stop: Stop, history: History) -> dict[str, Value]:
        before = history["seconds"][-1] if history["seconds"] else 0.0
        now = network(stop.state, history)
        epochs, rest = divmod(stop.iteration, steps)
        return {
            # The last batch of an epoch may be smaller.
            "images": epochs * len(train) + rest * recipe.batch_size,
            "seconds": float(before) + stop.seconds,
            "train_loss": _score(now, curve_train, stop.iteration).cross_entropy,
            "test_loss": _score(now, curve_test, stop.iteration).cross_entropy,
        }

    def on_stop(stop: Stop, history: History) -> None:
        if stop.iteration:
            test_loss = None if stop.point is None else float(stop.point["test_loss"])
            rate = stop.rate * recipe.batch_size
            on_point(PixelPoint(stop.iteration, total, rate, float(stop.loss[0]), test_loss))
        epoch, rest = divmod(stop.iteration, steps)
        if not rest:
            now, scored = network(stop.state, history), epoch in (0, 1, recipe.epochs)
            scores = [
                _score(now, images, stop.iteration) if scored else None for images in (train, test)
            ]
            on_epoch(Epoch(epoch, now, *scores))

    return network(*run.run(folder, f"pixels-{settings_digest(settings)}", measure, on_stop))


def _score(network: PixelNetwork, images: ImageSet, iteration: int) -> Evaluation:
    """``evaluate`` after an iteration. Errors: TrainingDiverged where the predictions are not finite."""
    try:
        return evaluate(network, images)
    except PredictionsNotFinite:
        raise TrainingDiverged(
            f"the network's predictions were not finite after iteration {iteration}. Try a smaller "
            "learning rate."
            if iteration
            else NEVER_FINITE
        ) from None


def curve_points(steps: int, epochs: int) -> set[int]:
    """Iterations after which learning curves have points, the last iteration among them; the point
    before training is not. steps: iterations of an epoch."""
    an_epoch = min(POINTS_PER_EPOCH, MOST_POINTS // epochs)
    if an_epoch:
        parts = [part / an_epoch for part in range(1, an_epoch + 1)]
        points = {epoch * steps + round(p * steps) for epoch in range(epochs) for p in parts}
        return points - {0}
    return {round(part * epochs / MOST_POINTS) * steps for part in range(1, MOST_POINTS + 1)}


def _stops(steps: int, total: int, chunk: int, points: set[int]) -> list[int]:
    """Where compiled chunks end: never across an epoch or a point of the curves."""
    fixed = sorted(points | {0, *range(steps, total + 1, steps)})
    stops: list[int] = []
    for start, stop in pairwise(fixed):
        stops += [*range(start + chunk, stop, chunk), stop]
    return stops
