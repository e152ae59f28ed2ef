"""Which images a network was trained on, as its checkpoint's header says.

The header's ``data`` has ``shape``, ``threshold`` (null for images that were binary before),
``inverted`` and ``split``, each only where it differs from what older headers, which have none of them,
stand for: 28 x 28 pixels, binarised at 0.1, not inverted, from a set with splits of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoregressive.header import Settings
from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.image_set import ImageSet
from autoregressive.images.sizes import format_shape
from autoregressive.pixels.network import PixelNetwork

USUAL_SHAPE = (28, 28)


@dataclass(frozen=True)
class TrainedOn:
    """What a header says of the train images. parts: the shares of train, validation and test, in
    percent, that one file was split by; None for a set with splits of its own."""

    name: str
    shape: tuple[int, int]
    binarisation: Binarisation = DEFAULT
    parts: tuple[float, ...] | None = None


def data_settings(images: ImageSet) -> Settings:
    """The header's ``data`` of a network trained on ``images``, as JSON values."""
    how = images.binarisation
    data: Settings = {"name": images.name, "images": len(images), "digest": images.digest}
    if images.shape != USUAL_SHAPE:
        data["shape"] = list(images.shape)
    if how.threshold != DEFAULT.threshold:
        data["threshold"] = how.threshold
    if how.inverted:
        data["inverted"] = True
    if images.parts is not None:
        data["split"] = list(images.parts)
    return data


def training_images(network: PixelNetwork) -> TrainedOn:
    """What a network's header says of its train images.

    A part that contradicts the number of pixels, or that ``data_settings`` does not write, counts as
    missing.
    """
    data = network.settings.get("data", {})
    shape, split = data.get("shape"), data.get("split")
    threshold = data.get("threshold", DEFAULT.threshold)
    if not _is_shape(shape, network.places):
        side = math.isqrt(network.places)
        shape = (side, side) if side * side == network.places else (1, network.places)
    if threshold is not None and not (type(threshold) in (int, float) and 0 <= threshold < 1):
        threshold = DEFAULT.threshold
    return TrainedOn(
        str(data.get("name", "unnamed images")),
        (int(shape[0]), int(shape[1])),
        Binarisation(threshold, data.get("inverted") is True),
        tuple(split) if _is_split(split) else None,
    )


def refuse_others(network: PixelNetwork, images: ImageSet) -> None:
    """Errors: ValueError, one line, where the network was trained on images of another size, or made
    binary in another way."""
    known = training_images(network)
    if images.shape != known.shape:
        raise ValueError(
            f"this network knows images of {format_shape(known.shape)}, {network.places} pixels "
            f"({known.name}); {images.name} has {format_shape(images.shape)}, {images.places} pixels: "
            "give --data images of its size, or train a network on these"
        )
    if not images.binarisation.agrees_with(known.binarisation):
        raise ValueError(
            f"this network knows images {known.binarisation} ({known.name}); {images.name} is "
            f"{images.binarisation}: {_what_to_try(known.binarisation)}, or train a network on these"
        )


def _what_to_try(how: Binarisation) -> str:
    invert = "with" if how.inverted else "without"
    grey = "" if how.threshold is None else f"give --threshold {how.threshold:g}, "
    return f"{grey}{invert} --invert"


def _is_shape(value: object, places: int) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(type(side) is int and side >= 1 for side in value) and math.prod(value) == places


def _is_split(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return all(type(share) in (int, float) and 0 <= share <= 100 for share in value) and any(value)
