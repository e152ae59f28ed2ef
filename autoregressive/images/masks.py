"""Which pixels of images are observed.

A mask is bool (n, places): True where a pixel is observed, False where it is missing. Each image has
its own draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from autoregressive.errors import DataError

Observed = Bool[np.ndarray, "n places"]
# (rng, n, rows and columns of an image, amount) -> the mask of each of n images.
DrawMask = Callable[[np.random.Generator, int, tuple[int, int], float], Observed]


@dataclass(frozen=True)
class MaskKind:
    """A registered mask. amount: what the number after the colon means. example: of its text. also:
    an example of another sort of amount."""

    amount: str
    example: str
    make: DrawMask
    also: str = ""


def square(rng: np.random.Generator, n: int, shape: tuple[int, int], amount: float) -> Observed:
    """A square of ``amount`` by ``amount`` pixels is missing, anywhere in the image."""
    return _patches(rng, n, shape, (_whole("square", amount),) * 2)


def row(rng: np.random.Generator, n: int, shape: tuple[int, int], amount: float) -> Observed:
    """``amount`` neighbouring pixels of one row are missing."""
    return _patches(rng, n, shape, (1, _whole("row", amount)))


def column(rng: np.random.Generator, n: int, shape: tuple[int, int], amount: float) -> Observed:
    """``amount`` neighbouring pixels of one column are missing."""
    return _patches(rng, n, shape, (_whole("column", amount), 1))


def random(rng: np.random.Generator, n: int, shape: tuple[int, int], amount: float) -> Observed:
    """``amount`` scattered pixels are missing; below 1 it is their share, rounded to whole pixels."""
    places = math.prod(shape)
    if 0 < amount < 1:
        missing = max(1, round(amount * places))
    elif amount != int(amount) or not 1 <= amount < places:
        raise DataError(
            f"random:{amount:g} should be a share of the pixels, between 0 and 1, or a whole number of "
            f"them below {places}"
        )
    else:
        missing = int(amount)
    order = rng.permuted(np.tile(np.arange(places), (n, 1)), axis=1)
    return order >= missing


def lower_half(shape: tuple[int, int]) -> Observed:
    """The lower half of the rows is missing; of an odd number the middle one is observed. n is 1."""
    rows = np.arange(math.prod(shape)) // shape[1]
    return (rows < (shape[0] + 1) // 2)[None]


def _patches(
    rng: np.random.Generator, n: int, shape: tuple[int, int], size: tuple[int, int]
) -> Observed:
    """A rectangle of ``size`` rows and columns is missing, uniformly over the places where it fits."""
    if size[0] > shape[0] or size[1] > shape[1]:
        raise DataError(
            f"a patch of {size[0]} x {size[1]} pixels does not fit into images of "
            f"{shape[0]} x {shape[1]}"
        )
    top = rng.integers(0, shape[0] - size[0] + 1, n)[:, None]
    left = rng.integers(0, shape[1] - size[1] + 1, n)[:, None]
    rows, columns = np.divmod(np.arange(math.prod(shape)), shape[1])
    inside = (rows >= top) & (rows < top + size[0]) & (columns >= left)
    return ~(inside & (columns < left + size[1]))


def _whole(name: str, amount: float) -> int:
    if amount != int(amount) or amount < 1:
        raise DataError(f"{name}:{amount:g} should be a whole number of pixels, 1 or more")
    return int(amount)


def draw_mask(mask: str, n: int, shape: tuple[int, int], seed: int) -> Observed:
    """Which pixels a mask like "square:4" or "lower-half" leaves observed: bool (n, places).

    shape: rows and columns of an image. Errors: DataError, one line, for an unknown mask, an amount
    that makes no sense, or a mask of the user's own that is no such array.
    """
    places = math.prod(shape)
    if mask in FIXED_MASKS:
        return np.repeat(_checked(mask, FIXED_MASKS[mask](shape), 1, places), n, axis=0)
    name, amount = _parse(mask)
    made = MASKS[name].make(np.random.default_rng(seed), n, shape, amount)
    return _checked(name, made, n, places)


def check_mask(mask: str) -> None:
    """Errors: DataError, one line, for an unknown mask or an amount that is no number: what can be told
    before there are images."""
    if mask not in FIXED_MASKS:
        _parse(mask)


def _parse(mask: str) -> tuple[str, float]:
    """The name and the amount of a mask like "square:4". Errors: as ``check_mask``."""
    name, _, text = mask.partition(":")
    if name not in MASKS:
        raise DataError(
            f"unknown mask {mask!r}: expected one of {examples()}, or an NPY file (.npy) that is 1 "
            "where pixels are observed"
        )
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise DataError(f"{mask!r} should say {MASKS[name].amount}, like {MASKS[name].example}")
    return name, amount


def _checked(name: str, made: object, n: int, places: int) -> Observed:
    """What the mask ``name`` made, as bool (n, places). Errors: DataError unless it is such an array,
    or one of 0 and 1."""
    array = np.asarray(made) if hasattr(made, "__array__") else None
    if array is None:
        came = f"returned {'None' if made is None else f'a {type(made).__name__}'}"
    elif array.shape != (n, places):
        came = f"returned the shape {array.shape}"
    elif array.dtype.kind not in "biuf":
        came = f"returned an array of {array.dtype}"
    elif not (fine := np.isin(array, (0, 1))).all():
        came = f"returned an array that holds {array[~fine][0]}"
    else:
        return array.astype(bool)
    raise DataError(
        f"the mask {name!r} {came}; expected a NumPy array of booleans, {(n, places)}: a row for each "
        "image, True where a pixel is observed"
    )


def examples() -> str:
    """An example of every registered mask, and of every sort of amount."""
    drawn = [text for kind in MASKS.values() for text in (kind.example, kind.also) if text]
    return ", ".join([*drawn, *FIXED_MASKS])


MASKS: dict[str, MaskKind] = {
    "square": MaskKind("the side of the square in pixels", "square:4", square),
    "row": MaskKind("how many pixels of a row", "row:10", row),
    "column": MaskKind("how many pixels of a column", "column:10", column),
    "random": MaskKind(
        "which share of the pixels, or how many", "random:0.01", random, also="random:200"
    ),
}
# Masks without an amount, the same in every image.
FIXED_MASKS: dict[str, Callable[[tuple[int, int]], Observed]] = {"lower-half": lower_half}
