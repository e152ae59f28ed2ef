"""Images with a mask laid over them."""

from __future__ import annotations

import numpy as np

from autoregressive.images.image_set import ImageSet
from autoregressive.images.masks import observed
from autoregressive.images.npy import MaskedImages


def mask_images(images: ImageSet, mask: str, count: int, seed: int) -> MaskedImages:
    """The first ``count`` images under ``mask``, with their truth. Errors: ValueError where there are
    fewer, or for an unknown mask."""
    if count > len(images):
        raise ValueError(f"--images {count}: {images.name} has {len(images)} {images.split} images")
    keep = observed(mask, count, images.shape, seed)
    truth = images.images(slice(0, count))
    return MaskedImages(np.where(keep, truth.astype(np.int8), np.int8(-1)), truth, images.shape)
