"""Pixel networks' results as figures, in the style of ``analysis.report.style``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.report.report import Json
from analysis.report.style import BLACK, BLUE, GREEN, PURPLE, STYLE, VERMILLION, log_scale
from autoregressive.pixels.continuation import Continuation
from autoregressive.pixels.network import Evaluation
from autoregressive.scores import Calibration

# Images, a row of pixels each: 0 and 1.
Images = Shaped[np.ndarray, "n places"]
# Pixel looks: white and black where the image is given, light and dark orange where it was made.
_GIVEN_AND_MADE = ListedColormap(["#ffffff", "#1a1a1a", "#fbe3d0", VERMILLION])


def pixel_curves(histories: Mapping[str, Mapping[str, Json]], images: int) -> Figure:
    """Train and test loss of each network against epochs. images: train images in an epoch. One
    network has a colour for train and one for test; of several each has its own. The untrained loss
    is a number where the scale leaves it out."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.4))
        axis = figure.subplots()
        losses = []
        for number, (name, history) in enumerate(histories.items()):
            epochs = np.asarray(history["images"]) / images
            marker = "osD^"[number % 4]
            train, test = BLUE, VERMILLION
            if len(histories) > 1:
                train = test = (VERMILLION, BLUE, GREEN, PURPLE)[number % 4]
            # Train and test losses nearly coincide: the wide rings show around the points.
            axis.plot(
                epochs,
                history["train_loss"],
                color=train,
                linestyle=":",
                marker=marker,
                markersize=8,
                fillstyle="none",
                label=f"{name}: train",
            )
            axis.plot(
                epochs, history["test_loss"], color=test, marker=marker, label=f"{name}: test"
            )
            losses.append(np.array([history["train_loss"], history["test_loss"]], float))
        _scale_losses(axis, losses)
        axis.set_xlabel("epochs")
        axis.set_ylabel("cross-entropy, nats a pixel")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _scale_losses(axis: Axes, losses: Sequence[Float[np.ndarray, "2 _"]]) -> None:
    """A scale for learning curves, each (train and test, points), the first of them untrained."""
    untrained = losses[0][1, 0]
    trained = np.concatenate([both[:, 1:].ravel() for both in losses])
    if len(trained) and np.nanmax(trained) < 0.5 * untrained:
        # A scale that reached the untrained loss would leave no room for the rest.
        low, high = np.nanmin(trained), np.nanmax(trained)
        axis.set_ylim(low - 0.08 * (high - low), high + 0.25 * (high - low))
        axis.text(
            0.98,
            0.97,
            f"\N{UPWARDS ARROW} untrained: {untrained:.2f}",
            ha="right",
            va="top",
            transform=axis.transAxes,
        )
        return
    log_scale(axis)
    axis.yaxis.set_minor_locator(LogLocator(subs=(1.2, 1.5, 2, 3, 4, 5, 7)))
    axis.yaxis.set_major_formatter("{x:.2f}")
    axis.yaxis.set_minor_formatter("{x:.2f}")
    axis.tick_params(axis="y", which="minor", labelsize=7)


def loss_map(evaluation: Evaluation, shape: tuple[int, int]) -> Figure:
    """The mean loss of every pixel place as an image; the first pixel is not scored."""
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(4.4, 3.6))
        axis = figure.subplots()
        values = np.concatenate([[np.nan], evaluation.by_place]).reshape(shape)
        shown = axis.imshow(values, cmap="cividis", vmin=0)
        axis.locator_params(integer=True)
        figure.colorbar(shown, label="mean loss, nats", shrink=bar_share(shape))
        axis.set_xlabel("column (pixels)")
        axis.set_ylabel("row (pixels)")
    return figure


def calibration(bins: Calibration) -> Figure:
    """How often a pixel was 1 against the predicted probability, in ten equal bins, with the number
    of pixels in each."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 4.2))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=BLACK, linestyle="--", linewidth=1, label="calibrated")
        low, high = _wilson(bins)
        upper.errorbar(
            bins.predicted,
            bins.observed,
            [bins.observed - low, high - bins.observed],
            color=VERMILLION,
            marker="o",
            capsize=2,
            elinewidth=1,
            label="network, 95% interval",
        )
        upper.set_ylabel("share of pixels that were 1")
        lower.bar(np.arange(10) / 10 + 0.05, bins.count, width=0.09, color=BLUE)
        log_scale(lower)
        # From a power of ten, which alone are labelled: the panel is too low for more.
        lower.set_ylim(bottom=0.8 * 10 ** np.floor(np.log10(bins.count[bins.count > 0].min())))
        lower.yaxis.set_minor_formatter(NullFormatter())
        lower.set_ylabel("pixels")
        lower.set_xlabel("predicted probability of 1")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _wilson(
    bins: Calibration,
) -> tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]]:
    """Wilson's (1927) 95% interval of the share in each bin, were its pixels independent."""
    n, z2 = np.maximum(bins.count, 1), 1.96**2
    middle = (bins.observed + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (bins.observed * (1 - bins.observed) + z2 / (4 * n)) / n) / (1 + z2 / n)
    # At a share of 0 or 1 rounding may leave the point just outside.
    return np.minimum(middle - half, bins.observed), np.maximum(middle + half, bins.observed)


def continuations(
    images: Images,
    runs: Continuation,
    chosen: Mapping[str, int],
    shape: tuple[int, int],
    horizons: Sequence[int] = (1, 10, 28, 300),
    samples: int = 5,
) -> Figure:
    """A block for each chosen image: in the first column the truth, what was given and the sample of
    one pixel; beside them, a row a longer horizon, the first samples. chosen: title -> index. Made
    pixels are orange."""
    longer = [h for h in horizons if h != 1]
    rows = max(3, len(longer))
    wide, high = _cell(shape)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(
            figsize=(wide * (samples + 1) + 0.3, ((high + 0.08) * rows + 0.3) * len(chosen))
        )
        blocks = figure.subfigures(len(chosen), 1, hspace=0.02)
        for block, (title, index) in zip(np.ravel(np.array(blocks)), chosen.items(), strict=True):
            block.suptitle(title, fontsize=9, x=0.02, ha="left")
            axes = block.subplots(rows, samples + 1)
            for axis in axes.ravel():
                axis.set_axis_off()

            def draw(
                axis: Axes,
                name: str,
                end: int,
                sample: int,
                index: int = index,
                whole: bool = False,
            ) -> None:
                shown = images[index].copy()
                if not whole:
                    shown[runs.first :] = 0
                    shown[runs.first : end] = runs.samples[index, sample, : end - runs.first]
                _show(axis, shown, runs.first, shape, end)
                axis.set_title(name, fontsize=7, loc="left", pad=2)

            draw(axes[0, 0], "truth", 0, 0, whole=True)
            draw(axes[1, 0], "given", runs.first, 0)
            if 1 in horizons:
                draw(axes[2, 0], "1 px", runs.first + 1, 0)
            for row, horizon in enumerate(longer):
                for sample in range(samples):
                    name = f"{horizon} px" if sample == 0 else ""
                    draw(axes[row, 1 + sample], name, runs.first + horizon, sample)
    return figure


def continuation_costs(results: Mapping[str, Mapping[str, Json]]) -> Figure:
    """A, B and C of the continuations against the horizon, a panel a network, with two standard
    errors over images. results: network -> horizon -> kind -> mean and se_images, nats a pixel."""
    looks = {
        "own": ("A: samples", VERMILLION, "-", "o"),
        "truth": ("B: truth", BLACK, "--", "s"),
        "crossed": ("C: truth under samples", BLUE, ":", "^"),
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 2.6 * len(results)), 3.1))
        axes = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
        for axis, (title, horizons) in zip(axes, results.items(), strict=True):
            pixels = [int(h) for h in horizons]
            for kind, (label, colour, line, marker) in looks.items():
                mean = np.array([h[kind]["mean"] for h in horizons.values()])
                se = np.array([h[kind]["se_images"] for h in horizons.values()])
                axis.errorbar(
                    pixels,
                    mean,
                    2 * se,
                    color=colour,
                    linestyle=line,
                    marker=marker,
                    label=label,
                    capsize=2,
                )
            axis.set_xscale("log")
            axis.set_xticks(pixels, [str(p) for p in pixels])
            axis.xaxis.minorticks_off()
            axis.set_title(title)
            axis.set_xlabel("missing pixels")
        axes[0].set_ylabel("cross-entropy, nats a pixel")
        axes[0].set_ylim(bottom=0)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def bar_share(shape: tuple[int, int]) -> float:
    """How much of a figure's height a colour bar beside one image takes: about the image's own, but
    enough for its label."""
    return min(1.0, max(0.8, shape[0] / shape[1]))


def _cell(shape: tuple[int, int], side: float = 0.82) -> tuple[float, float]:
    """Width and height in inches of the room for an image among others: of a square one ``side`` each,
    of others the longer side is up to twice as long."""
    stretch = (shape[1] / shape[0]) ** 0.5
    stretch = min(max(stretch, 0.5), 2.0)
    return side * max(stretch, 0.7), side * max(1 / stretch, 0.5)


def gallery(images: Images, shape: tuple[int, int]) -> Figure:
    """Images (n, P) side by side, in rows of five."""
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        rows = -(-len(images) // 5)
        figure = Figure(figsize=(5.6, 1.2 * rows))
        axes = figure.subplots(rows, 5, squeeze=False).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, image in zip(axes, images, strict=False):
            _show(axis, image, 0, shape)
    return figure


def _show(
    axis: Axes,
    pixels: Shaped[np.ndarray, " places"],
    first: int,
    shape: tuple[int, int],
    end: int = 0,
) -> None:
    """One image; pixels first .. end-1 in the colours of what was made."""
    codes = pixels.astype(int).copy()
    codes[first:end] += 2
    axis.imshow(codes.reshape(shape), cmap=_GIVEN_AND_MADE, vmin=0, vmax=3, interpolation="nearest")
    axis.add_patch(
        matplotlib.patches.Rectangle(
            (-0.5, -0.5),
            shape[1],
            shape[0],
            fill=False,
            edgecolor="#bbbbbb",
            linewidth=0.6,
            clip_on=False,
        )
    )
