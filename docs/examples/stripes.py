"""An image set: stripes of one slant, grey, drawn anew for each split.

meta-learn --load stripes.py pixels train --data stripes --epochs 20
"""

import numpy as np

from autoregressive.errors import DataError
from autoregressive.images.binarisation import DEFAULT
from autoregressive.images.datasets import DATASETS
from autoregressive.images.image_set import SPLITS, ImageSet, pack

SHAPE = (8, 12)
SIZES = {"train": 500, "validation": 100, "test": 100}


def load_stripes(split, *, how=DEFAULT):
    """The images of a split; the same at every call."""
    if split not in SIZES:
        raise DataError(f"unknown split {split!r}: expected one of {', '.join(SIZES)}")
    rng = np.random.default_rng(SPLITS.index(split))
    row, column = np.indices(SHAPE)
    slant, start, period = rng.uniform([[-2], [0], [3]], [[2], [6], [6]], (3, SIZES[split]))
    across = column + slant[:, None, None] * row + start[:, None, None]
    grey = 0.5 + 0.5 * np.sin(2 * np.pi * across / period[:, None, None])
    return ImageSet("stripes", split, pack(how.apply(grey, "stripes")), SHAPE, how)


DATASETS["stripes"] = load_stripes

if __name__ == "__main__":
    from analysis.cli import main

    main()
