"""How many images are read, how large they may be, and how a size is written."""

from __future__ import annotations

from collections.abc import Sequence

MOST_IMAGES = 1_000_000
# Pixels of one image: 1,024 by 1,024.
MOST_PLACES = 2**20


def format_shape(shape: Sequence[int]) -> str:
    """Rows and columns as text: "28 x 28"."""
    return " x ".join(map(str, shape))
