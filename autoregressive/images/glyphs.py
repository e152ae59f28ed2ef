"""Digits drawn from matplotlib's own fonts: a stand-in for MNIST that needs no download.

Each digit of each font becomes a signed distance to its outline, once. An image samples that
distance under a random size, aspect, slant and shift, moves the outline in or out until the strokes
have a random width, and turns the distance into grey levels.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from autoregressive.errors import DataError
from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.image_set import SPLITS, ImageSet, check_split, pack

SIZES = {"train": 6_000, "validation": 1_000, "test": 1_000}
# The fonts with digits that matplotlib 3.10 and all later versions come with.
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)
# The grid of distances: points from -0.75 to 0.75 glyph heights about the glyph's middle.
_HALF = 0.75
_POINTS = 49
_SIDE = 28
_AT_ONCE = 500
# Ranges of the random numbers: pixels, but for the aspect and the slant (tangent of the angle).
_HEIGHT = (17.0, 20.5)
_ASPECT = (0.85, 1.15)
_SLANT = (-0.2, 0.3)
_STROKE = (1.5, 3.0)
_SHIFT = (-1.5, 1.5)
# Pixels: where a bold font is made thinner, its hairlines must not vanish.
_MOST_INWARDS = -0.25


class Outlines(NamedTuple):
    """All digits of all fonts, scaled to height 1.

    distance: to the outline, positive inside, rows downwards. stroke: the mean width of the strokes.
    """

    distance: Float[np.ndarray, "fonts 10 points points"]
    stroke: Float[np.ndarray, "fonts 10"]


def load_glyphs(split: str, seed: int = 0, *, how: Binarisation = DEFAULT) -> ImageSet:
    """The binarised images of a split, the same for the same seed. Errors: DataError for an unknown
    split, or where matplotlib lacks a font."""
    check_split(split)
    key = np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split),))
    rng = np.random.Generator(np.random.PCG64(key))
    grey, _ = draw(rng, SIZES[split])
    return ImageSet("glyphs", split, pack(how.apply(grey, "glyphs")), binarisation=how)


def draw(
    rng: np.random.Generator, n: int
) -> tuple[UInt8[np.ndarray, "{n} 28 28"], UInt8[np.ndarray, " {n}"]]:
    """n random digits: grey levels (n, 28, 28), and which digits they are (n,)."""
    outlines = digit_outlines()
    # Uniform numbers only: NumPy may change how it draws others from a generator's bits.
    chance = rng.random((n, 8))
    grey = np.empty((n, _SIDE, _SIDE), np.uint8)
    for start in range(0, n, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        grey[part] = _render(outlines, chance[part])
    return grey, _pick(chance[:, 0], 10).astype(np.uint8)


def _pick(chance: Float[np.ndarray, " n"], choices: int) -> Int[np.ndarray, " n"]:
    return (chance * choices).astype(np.int64)


def _render(outlines: Outlines, chance: Float[np.ndarray, "n 8"]) -> UInt8[np.ndarray, "n 28 28"]:
    """Grey levels of digits. chance: uniform numbers in [0, 1), a row an image: digit, font, and the six
    in the order of ``ranges``."""
    digit, font = _pick(chance[:, 0], 10), _pick(chance[:, 1], len(FONTS))
    ranges = np.array([_HEIGHT, _ASPECT, _SLANT, _STROKE, _SHIFT, _SHIFT])
    drawn = ranges[:, 0] + chance[:, 2:] * (ranges[:, 1] - ranges[:, 0])
    height, aspect, slant, stroke, right, down = drawn.T[:, :, None, None]
    pixel = np.arange(_SIDE) - (_SIDE - 1) / 2
    y = (pixel[None, :, None] - down) / height
    x = (pixel[None, None, :] - right) / (height * aspect) + slant * y
    # A glyph's own unit in pixels: the mean of the two directions, which differ by the aspect.
    unit = height * np.sqrt(aspect)
    distance = unit * _interpolate(outlines.distance[font, digit], x, y)
    outwards = (stroke - unit * outlines.stroke[font, digit, None, None]) / 2
    distance += np.maximum(outwards, _MOST_INWARDS)
    # A pixel is covered by half where the outline runs through its middle.
    return np.rint(255 * np.clip(distance + 0.5, 0, 1)).astype(np.uint8)


def _interpolate(
    field: Float[np.ndarray, "n points points"],
    x: Float[np.ndarray, "#n #rows #columns"],
    y: Float[np.ndarray, "#n #rows #columns"],
) -> Float[np.ndarray, "n rows columns"]:
    """A field of distances at points (x, y), in glyph heights: bilinear, constant beyond the edges."""
    scale = (_POINTS - 1) / (2 * _HALF)
    x, y = np.broadcast_arrays(x, y)
    column = np.clip((x + _HALF) * scale, 0, _POINTS - 1.001)
    row = np.clip((y + _HALF) * scale, 0, _POINTS - 1.001)
    j, i = column.astype(np.int64), row.astype(np.int64)
    dj, di = column - j, row - i
    n = np.arange(len(field))[:, None, None]
    above = field[n, i, j] * (1 - dj) + field[n, i, j + 1] * dj
    below = field[n, i + 1, j] * (1 - dj) + field[n, i + 1, j + 1] * dj
    return above * (1 - di) + below * di


@cache
def digit_outlines() -> Outlines:
    """The digits of ``FONTS``. Errors: DataError where matplotlib lacks one of the fonts."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    glyphs = [_segments(folder / f"{font}.ttf", digit) for font in FONTS for digit in "0123456789"]
    distance = np.array([_signed_distance(starts, ends) for starts, ends in glyphs], np.float32)
    stroke = np.array([_mean_stroke(starts, ends) for starts, ends in glyphs], np.float32)
    shape = (len(FONTS), 10)
    return Outlines(distance.reshape(*shape, _POINTS, _POINTS), stroke.reshape(shape))


def _segments(file: Path, digit: str) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Starts and ends of the straight pieces of a digit's outline: height 1, y downwards, centred."""
    # The font file itself, not a font's name: that would build matplotlib's list of system fonts.
    from matplotlib.ft2font import FT2Font, LoadFlags
    from matplotlib.path import Path as Outline

    if not file.is_file():
        raise DataError(f"matplotlib should come with {file}, which is missing: reinstall it")
    font = FT2Font(str(file))
    # At the size of the font's own units: FreeType's versions round other sizes differently.
    font.set_size(font.units_per_EM, 72)
    font.load_char(ord(digit), flags=LoadFlags.NO_HINTING)
    points, codes = font.get_path()
    height = np.ptp(points[:, 1])
    # At 100 the curves become pieces short enough to be smooth.
    polygons = [np.asarray(p) for p in Outline(points * (100 / height), codes).to_polygons()]
    starts = np.concatenate([p[:-1] for p in polygons])
    ends = np.concatenate([p[1:] for p in polygons])
    low, high = starts.min(0), starts.max(0)
    scale = np.array([1, -1]) / (high[1] - low[1])
    return (starts - (low + high) / 2) * scale, (ends - (low + high) / 2) * scale


def _signed_distance(
    starts: Float[np.ndarray, "n 2"], ends: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "points points"]:
    """Distance of the grid's points to the outline, positive inside."""
    line = np.linspace(-_HALF, _HALF, _POINTS)
    x, y = line[None, :, None], line[:, None, None]
    (x0, y0), (x1, y1) = starts.T, ends.T
    dx, dy = x1 - x0, y1 - y0
    length = np.maximum(dx * dx + dy * dy, 1e-12)
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / length, 0, 1)
    squares = (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2
    # Inside: a ray to the right crosses the outline an odd number of times.
    crosses = (y0 > y) != (y1 > y)
    slope = dx / np.where(dy == 0, 1, dy)
    crossings = (crosses & (x < x0 + (y - y0) * slope)).sum(-1)
    return np.sqrt(squares.min(-1)) * np.where(crossings % 2, 1, -1)


def _mean_stroke(starts: Float[np.ndarray, "n 2"], ends: Float[np.ndarray, "n 2"]) -> float:
    """Twice the area over the perimeter: the width of a long thin stroke."""
    (x0, y0), (x1, y1) = starts.T, ends.T
    area = abs((x0 * y1 - x1 * y0).sum()) / 2
    return float(2 * area / np.hypot(x1 - x0, y1 - y0).sum())
