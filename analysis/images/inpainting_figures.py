"""In-painting results as figures, in the style of ``analysis.report.style``."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from analysis.images.figures import bar_share
from analysis.images.inpainting import ImageResult, Inpainting
from analysis.report.style import BLUE, STYLE, VERMILLION

# White and black where a pixel is given, grey where it is missing, light and dark orange where it
# was filled in.
_PIXELS = ListedColormap(["#ffffff", "#1a1a1a", "#9a9a9a", "#fbd5b5", VERMILLION])
_WINDOW = 11


def posteriors(
    inpainting: Inpainting,
    masked: np.ndarray,
    chosen: Mapping[str, int],
    shape: tuple[int, int],
) -> Figure:
    """A column for each chosen image: masked, truth, most probable completion, p(1 | observed) and
    the entropy of each missing pixel, the lower rows zoomed to where pixels are missing. chosen:
    title -> index."""
    with_truth = inpainting.target is not None
    rows = [
        "masked",
        *(["truth"] if with_truth else []),
        "most probable",
        "p(1 | observed)",
        "entropy, nats",
    ]
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(1.12 * len(chosen) + 0.9, 1.14 * len(rows) + 0.4))
        axes = figure.subplots(len(rows), len(chosen), squeeze=False)
        shown: dict[str, AxesImage] = {}
        for column, (title, index) in zip(axes.T, chosen.items(), strict=True):
            result = inpainting.images[index]
            window = _window(result.missing, shape)
            column[0].set_title(f"{title}\n(image {index})", fontsize=7, loc="center")
            for axis, row in zip(column, rows, strict=True):
                shown[row] = _draw(axis, row, masked[index], result, shape)
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set(visible=True, color="#bbbbbb")
                if row == "masked":
                    _frame(axis, window)
                else:
                    _zoom(axis, window)
        for axis, row in zip(axes[:, 0], rows, strict=True):
            axis.set_ylabel(row)
        for row in rows[-2:]:
            figure.colorbar(shown[row], ax=axes[rows.index(row)].tolist(), shrink=0.9)
    return figure


def future_map(inpainting: Inpainting, shape: tuple[int, int]) -> Figure:
    """What the future is worth by pixel place: the mean over images that miss it of
    log p(x_k | earlier missing pixels, observed) - log p(x_k | x_<k) at the truth; grey where no
    image misses it. The truth must be known."""
    places = shape[0] * shape[1]
    count = np.bincount(inpainting.place, minlength=places)
    total = np.bincount(inpainting.place, inpainting.future_worth(), minlength=places)
    values = np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)
    most = max(float(np.nanmax(np.abs(values))), 1e-6)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(4.6, 3.7))
        axis = figure.subplots()
        axis.set_facecolor("#dddddd")
        shown = axis.imshow(values, cmap="PuOr", vmin=-most, vmax=most)
        axis.locator_params(integer=True)
        label = "mean gain by knowing the future, nats"
        figure.colorbar(shown, label=label, shrink=bar_share(shape))
        axis.set_xlabel("column (pixels)")
        axis.set_ylabel("row (pixels)")
    return figure


def nll_excess(excess: Mapping[str, np.ndarray]) -> Figure:
    """The share of images whose NLL(truth) - NLL(most probable) is at least so many nats. excess:
    title -> one value an image, never below 0."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.3))
        axis = figure.subplots()
        looks = ((VERMILLION, "-"), (BLUE, "--"))
        for (title, values), (colour, line) in zip(excess.items(), looks, strict=False):
            ordered = np.sort(values)[::-1]
            shown = ordered[ordered > 0]
            label = f"{title}: 0 in {100 * (1 - len(shown) / len(ordered)):.1f}% of the images"
            axis.plot(
                shown,
                100 * (np.arange(len(shown)) + 1) / len(ordered),
                color=colour,
                linestyle=line,
                drawstyle="steps-post",
                label=label,
            )
        axis.set_xlabel("NLL(truth) - NLL(most probable), nats an image, at least")
        axis.set_ylabel("images, %")
        axis.set_ylim(bottom=0)
        axis.set_xlim(left=0)
        figure.legend(loc="outside lower center", ncols=1)
    return figure


def _draw(
    axis: Axes, row: str, masked: np.ndarray, result: ImageResult, shape: tuple[int, int]
) -> AxesImage:
    """One image of a row. Returns what a colour bar needs."""
    missing = result.missing
    if row in ("masked", "truth", "most probable"):
        codes = np.where(masked < 0, 2, masked).astype(int)
        if row == "truth":
            codes[missing] = 3 + np.asarray(result.truth)
        if row == "most probable":
            codes[missing] = 3 + result.best
        return axis.imshow(codes.reshape(shape), cmap=_PIXELS, vmin=0, vmax=4)
    axis.imshow(np.maximum(masked, 0).reshape(shape), cmap="Greys", vmin=0, vmax=4)
    p = result.marginals
    values = np.full(shape[0] * shape[1], np.nan)
    if row.startswith("p"):
        values[missing] = p
        return axis.imshow(values.reshape(shape), cmap="cividis", vmin=0, vmax=1)
    q = np.clip(p, 1e-300, 1 - 1e-16)
    values[missing] = -(q * np.log(q) + (1 - q) * np.log1p(-q))
    return axis.imshow(values.reshape(shape), cmap="viridis", vmin=0, vmax=np.log(2))


def _window(missing: np.ndarray, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The top, left, height and width of a square that holds the missing pixels, cut to the image."""
    rows, columns = np.divmod(missing, shape[1])
    side = max(_WINDOW, int(np.ptp(rows)) + 3, int(np.ptp(columns)) + 3)
    high, wide = min(side, shape[0]), min(side, shape[1])
    top, left = (
        min(max((int(v.min()) + int(v.max())) // 2 - side // 2, 0), size - length)
        for v, size, length in zip((rows, columns), shape, (high, wide), strict=True)
    )
    return top, left, high, wide


def _frame(axis: Axes, window: tuple[int, int, int, int]) -> None:
    top, left, high, wide = window
    corner = (left - 0.5, top - 0.5)
    axis.add_patch(
        Rectangle(corner, wide, high, fill=False, edgecolor=VERMILLION, linewidth=1, clip_on=False)
    )


def _zoom(axis: Axes, window: tuple[int, int, int, int]) -> None:
    top, left, high, wide = window
    axis.set_xlim(left - 0.5, left + wide - 0.5)
    axis.set_ylim(top + high - 0.5, top - 0.5)
