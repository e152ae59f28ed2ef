"""Figures of the thought questions, drawn from the document of ``meta-learn questions``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib
import matplotlib.colors
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report.style import (
    BLACK,
    BLUE,
    GREEN,
    ON_DARK,
    ON_LIGHT,
    ORANGE,
    PURPLE,
    STYLE,
    VERMILLION,
    log_scale,
)

_LOOKS = (
    (BLUE, "-", "o"),
    (VERMILLION, "--", "s"),
    (GREEN, "-.", "^"),
    (PURPLE, ":", "D"),
    (ORANGE, "-", "v"),
)
_GAP = "KL(Bayes || network), nats a symbol"
# (w, gap, low, high); None is infinite.
Point = tuple[float, float | None, float | None, float | None]


def gap_along(
    panels: Mapping[str, Mapping[str, Sequence[float | None]]], marks: Sequence[int] = ()
) -> Figure:
    """Gap by position: panels title -> label -> values, left out where they are 0. marks: places
    to draw a line after, on a log axis of positions."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.3))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (title, curves) in zip(axes, panels.items(), strict=True):
            for (label, values), (colour, line, marker) in zip(
                curves.items(), _LOOKS, strict=False
            ):
                places = np.arange(1, len(values) + 1)
                drawable = {} if marks else {"marker": marker}
                numbers = np.array(values, float)  # None, which is infinite, becomes NaN
                above = np.where(numbers > 1e-12, numbers, np.nan)
                axis.plot(places, above, color=colour, linestyle=line, label=label, **drawable)
            for mark in marks:
                axis.axvline(mark, color=BLACK, linewidth=0.8, linestyle=":")
            if marks:
                axis.set_xscale("log")
            axis.set_title(title)
            axis.set_xlabel("position (drawn symbols)")
            log_scale(axis)
        axes[0].set_ylabel(_GAP)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def gap_along_p(curves: Mapping[str, Sequence[Point]]) -> Figure:
    """Gap on tasks that always have p = (w, (1-w)/2, (1-w)/2): label -> (w, gap, low, high)."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.4))
        axis = figure.subplots()
        for (label, points), (colour, line, marker) in zip(curves.items(), _LOOKS, strict=False):
            w, gap, low, high = np.array(points, float).reshape(-1, 4).T
            axis.plot(w, gap, color=colour, linestyle=line, marker=marker, label=label)
            axis.fill_between(w, np.maximum(low, gap / 100), high, color=colour, alpha=0.15)
        log_scale(axis)
        axis.set_xlabel("w: the probability of symbol 0, the rest shared")
        axis.set_ylabel(_GAP)
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def heat_maps(
    maps: Mapping[str, Float64[np.ndarray, "rows columns"]],
    rows: Sequence[str],
    columns: Sequence[str],
    labels: tuple[str, str],
) -> Figure:
    """Gaps as colours and numbers: title -> (rows, columns), NaN left white."""
    everything = np.concatenate([values.ravel() for values in maps.values()])
    everything = everything[np.isfinite(everything) & (everything > 0)]
    low, high = (everything.min(), everything.max()) if everything.size else (1.0, 1.0)
    norm = matplotlib.colors.LogNorm(low, high if high > low else 1.01 * low)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.42 * len(rows) + 1.7))
        axes = figure.subplots(1, len(maps), squeeze=False)[0]
        for axis, (title, values) in zip(axes, maps.items(), strict=True):
            axis.grid(visible=False)
            values = np.where(values > 0, values, np.nan)
            image = axis.imshow(values, norm=norm, cmap="cividis", aspect="auto")
            for (y, x), value in np.ndenumerate(values):
                if np.isfinite(value):
                    dark = norm(value) < 0.5
                    axis.text(
                        x,
                        y,
                        _number(value),
                        ha="center",
                        va="center",
                        fontsize=6.5,
                        color=ON_DARK if dark else ON_LIGHT,
                    )
            axis.set_xticks(range(len(columns)), columns)
            axis.set_yticks(range(len(rows)), rows)
            axis.set_title(title)
            axis.set_xlabel(labels[1])
        axes[0].set_ylabel(labels[0])
        figure.colorbar(image, ax=axes, label="gap, nats a symbol", shrink=0.9)
    return figure


def losses_by_draw(priors: Mapping[str, tuple[Sequence[float], float]]) -> Figure:
    """Bayes's exact expected loss at each draw and the oracle's: label -> (losses, oracle)."""

    def draw(axis: Axes) -> None:
        for (label, (losses, oracle)), (colour, line, _) in zip(
            priors.items(), _LOOKS, strict=False
        ):
            places = np.arange(1, len(losses) + 1)
            axis.plot(places, losses, color=colour, linestyle=line, label=f"{label}: Bayes")
            axis.axhline(oracle, color=colour, linestyle=":", linewidth=1, label=f"{label}: oracle")
        axis.set_xlabel("draw within the task")
        axis.set_ylabel("expected loss, nats a symbol")

    return _single(draw)


def _single(draw: Callable[[Axes], None]) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.6))
        draw(figure.subplots())
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _number(value: float) -> str:
    return f"{value:.1e}".replace("e-0", "e-") if value < 0.01 else f"{value:.2g}"


def drawable(value: float | None) -> float:
    """NaN for None."""
    return float("nan") if value is None else float(value)
