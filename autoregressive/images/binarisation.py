"""How grey levels become the pixels 0 and 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Shaped

from autoregressive.errors import DataError

THRESHOLD = 0.1
# Pixels in memory at once.
_CHUNK = 2**22
_BINARY = "add --already-binary if they are binary"


@dataclass(frozen=True)
class Binarisation:
    """A pixel becomes 1 where it is lighter than ``threshold``, a share of white, and 0 elsewhere.

    threshold: None where images were binary before. inverted: 0 and 1 change places, for dark ink on
    light ground. Errors: DataError for a threshold outside 0 <= threshold < 1.
    """

    threshold: float | None = THRESHOLD
    inverted: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold < 1:
            raise DataError(
                f"the threshold is {self.threshold:g}; expected a share of white, at least 0 and "
                "below 1, like 0.5"
            )

    def __str__(self) -> str:
        how = "already binary" if self.threshold is None else f"binarised at {self.threshold:g}"
        return f"{how}, inverted" if self.inverted else how

    def agrees_with(self, other: Binarisation) -> bool:
        """Whether one network can take images made by either: images that were binary before agree
        with those of any threshold."""
        same = None in (self.threshold, other.threshold) or self.threshold == other.threshold
        return same and self.inverted == other.inverted

    def apply(
        self, grey: Shaped[np.ndarray, " n *shape"], source: str
    ) -> Bool[np.ndarray, " n *shape"]:
        """Which pixels are 1. grey: integers 0 to 255, floats 0 to 1, or booleans.

        source: what to call the images in messages. Errors: DataError for other values; for grey
        levels where images should be binary; and where there is a threshold and all integers are 0 or 1:
        as grey levels they would all be nearly black.
        """
        out = np.empty(grey.shape, bool)
        brightest = 0.0
        rows = max(1, _CHUNK // max(1, math.prod(grey.shape[1:])))
        for start in range(0, len(grey), rows):
            chunk = np.asarray(grey[start : start + rows])
            self._check(chunk, start, source)
            brightest = max(brightest, float(chunk.max(initial=0)))
            out[start : start + len(chunk)] = self._is_light(chunk) != self.inverted
        if self.threshold is not None and grey.dtype.kind in "iu" and brightest == 1:
            raise DataError(
                f"{source} holds no other values than 0 and 1, where grey levels are 0 to 255: "
                f"{_BINARY}"
            )
        return out

    def _is_light(self, grey: Shaped[np.ndarray, " n *shape"]) -> Bool[np.ndarray, " n *shape"]:
        if self.threshold is None or grey.dtype.kind == "b":
            return grey != 0
        if grey.dtype.kind == "f":
            return grey > self.threshold
        # Integers are compared with an integer: no rounding decides a pixel.
        return grey > grey_level(self.threshold)

    def _check(self, grey: Shaped[np.ndarray, " n *shape"], start: int, source: str) -> None:
        """Errors: DataError with the first pixel that is wrong."""
        if grey.dtype.kind == "b":
            return
        white = 1 if grey.dtype.kind == "f" else 255
        right: Bool[np.ndarray, " n *shape"]
        if self.threshold is None:
            right, expected = np.isin(grey, (0, 1, white)), f"0 and {white}, or 0 and 1"
            if white == 255 and grey.max(initial=0) > 1:
                right = right & (grey != 1)
        else:
            right = (grey >= 0) & (grey <= white)  # false for NaN too
            expected = f"{'numbers' if white == 1 else 'grey levels'} from 0 to {white}"
        if right.all():
            return
        at = tuple(int(i) for i in np.argwhere(~right)[0])
        hint = "give --threshold instead" if self.threshold is None else "scale them first"
        raise DataError(
            f"{source} should hold {expected}, but image {start + at[0]} has {grey[at]}: {hint}"
        )


DEFAULT = Binarisation()


def grey_level(threshold: float) -> int:
    """The largest grey level of 0 to 255 that is not lighter than ``threshold``, exactly."""
    return math.floor(Fraction(repr(threshold)) * 255)
