"""Estimated posteriors as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from analysis.images.estimation import SAMPLES, Estimated
from analysis.report.style import BLACK, BLUE, STYLE, VERMILLION

# Given pixels white and black, missing ones grey, filled ones light and dark orange.
_PIXELS = ListedColormap(["#ffffff", "#1a1a1a", "#9a9a9a", "#fbd5b5", VERMILLION])


def completions(
    images: Sequence[Estimated],
    masked: np.ndarray,
    chosen: Sequence[int],
    shape: tuple[int, int],
) -> Figure:
    """A row for each chosen image: masked, mean of the marginals, five samples, the most probable
    completion and, where known, the truth."""
    with_truth = images[0].truth is not None
    heads = ["masked", "mean", *(f"sample {k + 1}" for k in range(SAMPLES)), "most probable"]
    heads += ["truth"] if with_truth else []
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(0.93 * len(heads) + 0.4, 0.98 * len(chosen) + 0.4))
        axes = figure.subplots(len(chosen), len(heads), squeeze=False)
        for row, index in zip(axes, chosen, strict=True):
            one, image = images[index], masked[index]
            filled = [*one.samples, one.best, *([one.truth] if with_truth else [])]
            _pixels(row[0], image, shape, None)
            _mean(row[1], image, one, shape)
            for axis, values in zip(row[2:], filled, strict=True):
                _pixels(axis, image, shape, (one.missing, np.asarray(values)))
            row[0].set_ylabel(f"image {index}", fontsize=7)
            for axis in row:
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set(visible=True, color="#bbbbbb")
        for axis, head in zip(axes[0], heads, strict=True):
            axis.set_title(head, fontsize=7, loc="center")
    return figure


def evidence_errors(images: Sequence[Estimated], target: float) -> Figure:
    """The standard error of log p(observed) of every image, sorted, with the target."""
    errors = np.sort([one.evidence.standard_error for one in images])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2))
        axis = figure.subplots()
        shares = 100 * (np.arange(len(errors)) + 1) / len(errors)
        axis.plot(np.maximum(errors, 1e-4), shares, color=BLUE, drawstyle="steps-post", marker=".")
        axis.axvline(target, color=BLACK, linestyle="--", linewidth=1, label="target")
        axis.set_xscale("log")
        axis.set_xlabel("standard error of log p(observed) at most, nats (cut at 0.0001)")
        axis.set_ylabel("images, %")
        axis.set_ylim(0, 103)
        axis.legend(loc="upper left")
    return figure


def _pixels(
    axis: Axes,
    image: np.ndarray,
    shape: tuple[int, int],
    filled: tuple[np.ndarray, np.ndarray] | None,
) -> None:
    codes = np.where(image < 0, 2, image).astype(int)
    if filled is not None:
        places, values = filled
        codes[places] = 3 + values
    axis.imshow(codes.reshape(shape), cmap=_PIXELS, vmin=0, vmax=4, interpolation="nearest")


def _mean(axis: Axes, image: np.ndarray, one: Estimated, shape: tuple[int, int]) -> None:
    """Given pixels in black and white; missing ones from light to dark orange by their marginal,
    with grey for what has not converged."""
    colours = np.empty((len(image), 3))
    colours[:] = np.where(image[:, None] > 0, 0.1, 1.0)
    light, dark = (np.array(matplotlib.colors.to_rgb(c)) for c in ("#fbd5b5", VERMILLION))
    p = one.chains.marginals[:, None]
    shown = np.where(one.chains.converged[:, None], light + p * (dark - light), 0.62)
    colours[one.missing] = shown
    axis.imshow(colours.reshape(*shape, 3), interpolation="nearest")
