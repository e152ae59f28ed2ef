"""Which images a network knows: the size and the binarisation that its checkpoint remembers.

A header's ``data`` has ``shape``, ``threshold`` (null for images that were binary before), ``inverted``
and ``split`` where they are not what they were when headers had none of them: 28 x 28 at 0.1, from a set
with splits of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoregressive.header import Settings
from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.image_set import ImageSet
from autoregressive.images.pictures import size
from autoregressive.pixels.network import PixelNetwork

USUAL_SHAPE = (28, 28)


@dataclass(frozen=True)
class TrainedOn:
    """What is remembered of train images. parts: the shares that one file was split by, or None."""

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


def trained_on(network: PixelNetwork) -> TrainedOn:
    """What a network remembers. A header's own ``data`` is not believed where it contradicts the
    number of pixels or is none of what ``data_settings`` writes: then it is as if it said nothing."""
    data = network.settings.get("data", {})
    shape, threshold, split = (
        data.get("shape"),
        data.get("threshold", DEFAULT.threshold),
        data.get("split"),
    )
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
    """Errors: ValueError, one line, where a network knows images of another size, or made binary in
    another way."""
    known = trained_on(network)
    if images.shape != known.shape:
        raise ValueError(
            f"this network knows images of {size(known.shape)}, {network.places} pixels "
            f"({known.name}); {images.name} has {size(images.shape)}, {images.places} pixels: give "
            "--data images of its size, or train a network on these"
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
