"""Images with a mask laid over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from autoregressive.errors import DataError
from autoregressive.images.image_set import ImageSet
from autoregressive.images.masks import observed
from autoregressive.images.npy import MaskedImages, read_observed


def mask_images(images: ImageSet, mask: str, count: int, seed: int) -> MaskedImages:
    """The first ``count`` images under ``mask``, with their truth. mask: like "square:4", or the path
    of an NPY file that ``read_observed`` reads. Errors: ValueError where there are fewer images, for
    an unknown mask, or for a file of other masks."""
    if count > len(images):
        raise ValueError(f"--images {count}: {images.name} has {len(images)} {images.split} images")
    keep = _observed(images, mask, count, seed)
    truth = images.images(slice(0, count))
    return MaskedImages(np.where(keep, truth.astype(np.int8), np.int8(-1)), truth, images.shape)


def _observed(
    images: ImageSet, mask: str, count: int, seed: int
) -> Bool[np.ndarray, "{count} {images.places}"]:
    if not mask.endswith(".npy"):
        return observed(mask, count, images.shape, seed)
    keep = read_observed(Path(mask), images.places)
    if len(keep) not in (1, count):
        raise DataError(
            f"{mask} holds {len(keep)} masks for {count} images; expected one for all, or as many "
            f"as --images"
        )
    return np.broadcast_to(keep, (count, images.places))
