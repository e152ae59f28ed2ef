"""A mask: every second pixel of a square is missing.

meta-learn --load checkerboard.py inpaint --mask checkerboard:5
"""

import numpy as np

from autoregressive.errors import DataError
from autoregressive.images.masks import MASKS, MaskKind


def checkerboard(rng, n, shape, amount):
    """The corners of the square are missing, so that of 5 by 5 pixels 13 are."""
    side, (height, width) = int(amount), shape
    if side != amount or not 1 <= side <= min(shape):
        raise DataError(f"checkerboard:{amount:g} should be whole, from 1 to {min(shape)} pixels")
    observed = np.ones((n, height, width), bool)
    for image in observed:
        top, left = rng.integers(0, [height - side + 1, width - side + 1])
        image[top : top + side, left : left + side] = np.indices((side, side)).sum(0) % 2
    return observed.reshape(n, -1)


MASKS["checkerboard"] = MaskKind("the side of the square in pixels", "checkerboard:5", checkerboard)

if __name__ == "__main__":
    from analysis.cli import main

    main()
