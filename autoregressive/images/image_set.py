"""Binary images, eight pixels to the byte, read as sequences from top-left to bottom-right."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from numpy.typing import ArrayLike

from autoregressive.errors import DataError, show
from autoregressive.images.binarisation import DEFAULT, THRESHOLD, Binarisation, grey_level

if TYPE_CHECKING:
    from jax import Array

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """n binary images of one split.

    packed: uint8 (n, ceil(places / 8)), as ``pack`` gives them. shape: rows and columns of an image.
    binarisation: how they came to be binary. parts: the shares of train, validation and test, in
    percent, that the one file they come from was split by; None for a set with splits of its own.
    Errors: DataError where ``packed`` or ``shape`` is something else.
    """

    name: str
    split: str
    packed: Shaped[np.ndarray, "..."]
    shape: tuple[int, int] = (28, 28)
    binarisation: Binarisation = DEFAULT
    parts: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        shape: object = self.shape
        if not (
            isinstance(shape, tuple)
            and len(shape) == 2
            and all(isinstance(side, int | np.integer) and side >= 1 for side in shape)
        ):
            raise DataError(
                f"the shape of images is {show(shape)}; expected (rows, columns), two whole numbers"
            )
        width = -(-self.places // 8)
        packed = self.packed
        if not isinstance(packed, np.ndarray):
            raise DataError(
                f"packed images should be uint8 (n, {width}), got a {type(packed).__name__}: pack "
                "them with pack()"
            )
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != width:
            raise DataError(
                f"packed images should be uint8 (n, {width}), got {packed.dtype} {packed.shape}: "
                "pack them with pack()"
            )

    @property
    def places(self) -> int:
        """The pixels of an image, which is the length of its sequence."""
        return math.prod(self.shape)

    @property
    def digest(self) -> str:
        """SHA-256 of the packed pixels."""
        return hashlib.sha256(self.packed.tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.packed)

    def images(
        self, indices: ArrayLike | slice = slice(None)
    ) -> UInt8[np.ndarray, "... {self.places}"]:
        """Pixels 0 or 1: (..., places) for integers (...) from 0 to n - 1, (m, places) for a slice.

        Errors: DataError for indices that are not whole numbers or outside the set.
        """
        if isinstance(indices, slice):
            chosen = np.arange(len(self))[indices]
        else:
            chosen = np.asarray(indices)
        if chosen.size and chosen.dtype.kind not in "iu":
            raise DataError(f"image indices should be whole numbers, got {chosen.dtype}")
        if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise DataError(
                f"the {self.split} images of {self.name} are numbered 0 to {len(self) - 1}, "
                f"got {chosen.min()} to {chosen.max()}"
            )
        return np.unpackbits(self.packed[chosen.astype(np.int64)], axis=-1, count=self.places)


def check_split(split: str) -> None:
    """Errors: DataError for an unknown split."""
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")


def binarise(
    grey: UInt8[np.ndarray, "*shape"], threshold: float = THRESHOLD
) -> Bool[np.ndarray, "*shape"]:
    """Grey levels 0 to 255 (...): which are lighter than ``threshold``, grey / 255 > threshold."""
    return grey > grey_level(threshold)


def pack(pixels: Shaped[np.ndarray, " n *shape"]) -> UInt8[np.ndarray, "n bytes"]:
    """Images (n, ...), eight pixels to the byte, the first in the highest bit. Errors: DataError
    where they are neither booleans nor 0 and 1."""
    if pixels.dtype.kind != "b":
        wrong = pixels.dtype.kind not in "iuf" or not np.isin(pixels, (0, 1)).all()
        if wrong:
            raise DataError(
                f"pixels should be booleans, or 0 and 1; got {pixels.dtype} with other values: make "
                "them binary with how.apply()"
            )
        pixels = pixels.astype(bool)
    return np.packbits(pixels.reshape(len(pixels), math.prod(pixels.shape[1:])), axis=-1)


def unpack(
    packed: UInt8[Array, "*batch bytes"], places: int = 784
) -> Float[Array, "*batch {places}"]:
    """The pixels of packed images as float32 0 and 1, in JAX, for use inside compiled code."""
    import jax.numpy as jnp

    return jnp.unpackbits(packed, axis=-1, count=places).astype(jnp.float32)
