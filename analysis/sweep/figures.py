"""Figures of a sweep, drawn from its labelled arrays: heat maps and curves.

What is to be learnt (process, alpha, T, ..) makes the rows of a heat map and the panels of curves;
the network (cell, hidden, iterations) makes the columns, and the curves of a panel. Only axes with
several values are named. Style and colours are those of ``analysis.report.style``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.colors
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from analysis.comparison.between_figures import ends
from analysis.report.style import (
    BLUE,
    GREEN,
    ON_DARK,
    ON_LIGHT,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILLION,
    log_scale,
)
from analysis.sweep.choices import Choice, axis_title, choices, name_of, split
from analysis.sweep.grid import text_of

if TYPE_CHECKING:
    import xarray

_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_LINES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    "-",
    "--",
    ":",
    "-.",
    (0, (5, 1, 1, 1, 1, 1)),
)
_MARKERS = ("o", "s", "^", "D", "v", "x")
_GAP = "KL(Bayes || network), nats a symbol"
# How a curve is drawn: arguments of ``Axes.plot``.
Look = dict[str, Any]


def gap_map(tree: xarray.DataTree) -> Figure:
    """The gap of every point, on a logarithmic scale of colours."""
    gap = _values(tree, "intervals", "gap_network").sel(bound="mean")
    return _heat_map(gap, gap, _short, _GAP)


def closed_map(tree: xarray.DataTree) -> Figure:
    """The share of the gap closed of every point; colours show what is left of it."""
    closed = _values(tree, "intervals", "gap_closed").sel(bound="mean")
    return _heat_map(closed, 1 - closed, _share, "share left open")


def curve_axes(tree: xarray.DataTree) -> list[str]:
    """Axes of numbers with several values, which a curve can run along."""
    gap = _values(tree, "intervals", "gap_network")
    return [
        str(name)
        for name in gap.dims
        if name != "bound" and gap.sizes[name] > 1 and gap[name].dtype.kind in "if"
    ]


def gap_along(tree: xarray.DataTree, axis_name: str) -> Figure:
    """The gap against one axis, with its 95% intervals."""
    gap = _values(tree, "intervals", "gap_network")
    values = gap[axis_name].values

    def draw(axis: Axes, choice: Choice, look: Look, side: float) -> None:
        mean, low, high = gap.sel(choice).transpose("bound", axis_name).values
        # Zero cannot stand on a logarithmic axis.
        low = np.where(low > 0, low, np.where(np.isfinite(low), mean / 10, mean))
        high = np.where(np.isfinite(high), high, mean)
        logarithmic = np.isfinite(values).all() and (values > 0).all()
        if logarithmic:
            places = values
            # Beside each other, so that intervals can be told apart.
            shown = places * (places.max() / places.min()) ** (0.03 * side)
            axis.set_xscale("log")
        else:
            places = np.arange(len(values))
            shown = places + 0.06 * side
        axis.errorbar(shown, mean, yerr=[mean - low, high - mean], capsize=2, **look)
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xticks(places, [text_of(v) for v in values.tolist()])
        axis.margins(x=0.1)
        log_scale(axis)

    return _panels(gap, axis_name, draw, axis_title(axis_name), _GAP)


def between_along(tree: xarray.DataTree, axis_name: str) -> Figure:
    """KL from either exact predictor to the network, and the share of Bayes, against one axis; a row of
    three panels for what else is to be learnt, a curve for each network. Bars are 95% intervals."""
    quantities = {
        "gap_network": ("KL(pool || network), nats a symbol", True),
        "gap_second_network": ("KL(prior || network), nats a symbol", True),
        "share_first": ("share w of the pool", False),
    }
    values = {name: _values(tree, "intervals", name) for name in quantities}
    first = values["gap_network"]
    rows, columns = split(first)
    rows, columns = ([n for n in names if n != axis_name] for names in (rows, columns))
    places = first[axis_name].values
    panels, lines = list(choices(first, rows)), list(choices(first, columns))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.6 * len(panels) + 0.6))
        axes = figure.subplots(len(panels), 3, squeeze=False)
        for row, panel in zip(axes, panels, strict=True):
            for axis, (name, (label, logarithmic)) in zip(row, quantities.items(), strict=True):
                for line in lines:
                    at = values[name].sel(panel | line).transpose("bound", axis_name)
                    mean, low, high = (np.where(np.isfinite(v), v, np.nan) for v in at.values)
                    bars = np.nan_to_num([np.maximum(mean - low, 0), np.maximum(high - mean, 0)])
                    axis.errorbar(
                        places,
                        mean,
                        yerr=bars,
                        capsize=2,
                        **_look(first, columns, line),
                        label=name_of(line, first) or "network",
                    )
                axis.set_xscale("log")
                axis.xaxis.set_minor_locator(NullLocator())
                axis.set_xticks(places, [text_of(v) for v in places.tolist()])
                axis.set_xlabel(axis_title(axis_name))
                axis.set_ylabel(label)
                if logarithmic:
                    log_scale(axis)
                else:
                    ends(axis, "pool", "prior")
            row[0].set_title(name_of(panel, first))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def gap_by_position(tree: xarray.DataTree) -> Figure:
    """The gap by position within the task, mean over seeds."""
    gap = _values(tree, "network", "gap_by_position").mean("seed")

    def draw(axis: Axes, choice: Choice, look: Look, side: float) -> None:
        curve = gap.sel(choice).values
        curve = curve[np.isfinite(curve)]
        axis.plot(np.arange(1, len(curve) + 1), curve, markevery=max(1, len(curve) // 10), **look)
        log_scale(axis)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))

    return _panels(gap, "position", draw, "position in the task", _GAP)


def learning_curves(tree: xarray.DataTree) -> Figure:
    """The gap on held-out streams while training, mean over seeds."""
    gap = _values(tree, "training", "held_out_gap").mean("seed")

    def draw(axis: Axes, choice: Choice, look: Look, side: float) -> None:
        here = gap.sel(choice)
        axis.plot(
            here["symbols"].values / 1e6, here.values, markevery=max(1, len(here) // 10), **look
        )
        log_scale(axis)

    return _panels(gap, "point", draw, "training symbols (millions)", _GAP)


def _values(tree: xarray.DataTree, group: str, name: str) -> xarray.DataArray:
    return tree[group].to_dataset()[name]


def _heat_map(
    values: xarray.DataArray,
    shades: xarray.DataArray,
    number: Callable[[float], str],
    label: str,
) -> Figure:
    """values are written, shades coloured on a logarithmic scale; NaN stays white."""
    rows, columns = split(values)
    of_rows = [name_of(c, values) for c in choices(values, rows)]
    of_columns = [
        name_of(c, values, "\n").replace(" iterations", " its") for c in choices(values, columns)
    ]
    shape = len(of_rows), len(of_columns)
    written = values.transpose(*rows, *columns).values.reshape(shape)
    shown = shades.transpose(*rows, *columns).values.reshape(shape)
    shown = np.where(np.isfinite(shown) & (shown > 0), shown, np.nan)
    there = shown[np.isfinite(shown)]
    low, high = (there.min(), there.max()) if there.size else (1.0, 1.0)
    norm = matplotlib.colors.LogNorm(low, high if high > low else 1.01 * low)
    with matplotlib.rc_context(STYLE):
        margin = 0.075 * max(map(len, of_rows)) + 1.6
        lines = max(text.count("\n") + 1 for text in of_columns)
        figure = Figure(
            figsize=(max(4.6, 0.72 * shape[1] + margin), 0.36 * shape[0] + 0.16 * lines + 0.9)
        )
        axis = figure.subplots()
        axis.grid(visible=False)
        image = axis.imshow(shown, norm=norm, cmap="cividis", aspect="auto")
        for (y, x), value in np.ndenumerate(written):
            if np.isfinite(value):
                dark = norm(shown[y, x]) < 0.5
                axis.text(
                    x,
                    y,
                    number(value),
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color=ON_DARK if dark else ON_LIGHT,
                )
        axis.set_xticks(range(shape[1]), of_columns)
        axis.set_yticks(range(shape[0]), of_rows)
        axis.tick_params(length=0)
        figure.colorbar(image, ax=axis, label=label.replace(", ", ",\n"), aspect=12)
    return figure


def _panels(
    values: xarray.DataArray,
    along: str,
    draw: Callable[[Axes, Choice, Look, float], None],
    x_label: str,
    y_label: str,
) -> Figure:
    """A panel for each thing to learn, in it a curve for each network; ``along`` is the x axis.

    draw: is given the axes, the choice, the curve's look, and a number in [-1, 1] of its own.
    """
    rows, columns = split(values)
    rows, columns = [n for n in rows if n != along], [n for n in columns if n != along]
    panels, lines = list(choices(values, rows)), list(choices(values, columns))
    sides = np.linspace(-1, 1, len(lines)) if len(lines) > 1 else [0.0]
    across = 2 if len(panels) == 4 else min(3, len(panels))
    down = math.ceil(len(panels) / across)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(5.2, (3.6 if across < 3 else 2.8) * across), 2.5 * down + 1.0))
        axes = figure.subplots(down, across, sharey=True, squeeze=False)
        for axis in axes.ravel()[len(panels) :]:
            axis.remove()
        for axis, panel in zip(axes.ravel(), panels, strict=False):
            for line, side in zip(lines, sides, strict=True):
                look = _look(values, columns, line) | {"label": name_of(line, values) or "network"}
                draw(axis, panel | line, look, side)
            axis.set_title(name_of(panel, values))
        for axis in axes.ravel()[max(0, len(panels) - across) : len(panels)]:
            axis.set_xlabel(x_label)
        for axis in axes[:, 0]:
            axis.set_ylabel(y_label.replace(", ", ",\n"))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if len(labels) > 1:
            longest = max(map(len, labels))
            ncols = max(1, min(len(labels), int(figure.get_figwidth() * 14 / (longest + 8))))
            figure.legend(handles, labels, loc="outside lower center", ncols=ncols)
    return figure


def _look(values: xarray.DataArray, names: Sequence[str], choice: Choice) -> Look:
    """Colours tell the axis with most values apart, line styles the next, markers the third; where
    there is none, markers go with the colours."""
    ranked = sorted(names, key=lambda name: -values.sizes[name])
    places = [values[name].values.tolist().index(choice[name]) for name in ranked]
    colour, line, marker = [*places, 0, 0, 0][:3]
    if len(places) < 3 or values.sizes[ranked[2]] == 1:
        marker = colour
    return {
        "color": _COLOURS[colour % len(_COLOURS)],
        "linestyle": _LINES[line % len(_LINES)],
        "marker": _MARKERS[marker % len(_MARKERS)],
    }


def _short(value: float) -> str:
    return f"{value:.1e}".replace("e-0", "e-") if value < 0.01 else f"{value:.2g}"


def _share(value: float) -> str:
    return f"{100 * value:.{2 if value < 0.999 else 3}f}%" if value > 0 else f"{100 * value:.0f}%"
