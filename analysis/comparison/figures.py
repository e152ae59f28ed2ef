"""Comparisons as matplotlib figures. Nothing is computed here but what a legend needs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import matplotlib.colors
import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.comparison.compare import Comparison, Example
from analysis.report.report import Json
from analysis.report.style import (
    BLACK,
    BLUE,
    GREEN,
    PURPLE,
    ROLES,
    STYLE,
    VERMILLION,
    log_scale,
    look,
)


def predictions(comparison: Comparison, places: int = 60) -> Figure:
    """Predicted probabilities along one test stream: network against the posterior mean and its 95%
    band, a panel a symbol, and the probability of RESET below."""
    with matplotlib.rc_context(STYLE):
        symbols = comparison.prior.num_symbols
        # Where there is no RESET its probability is left out.
        outcomes = symbols + (not math.isinf(comparison.prior.task_length))
        figure = Figure(figsize=(7.2, 1.45 * outcomes + 0.9))
        axes = figure.subplots(outcomes, 1, sharex=True, squeeze=False)[:, 0]
        for outcome, axis in enumerate(axes):
            draw_outcome(axis, comparison.example, outcome, places)
        axes[0].set_title(
            f"One test stream: the {comparison.subject}'s next-symbol probabilities and the exact "
            "posterior's",
        )
        axes[-1].set_xlabel("place in the stream (grey lines: RESETs)")
        figure.legend(
            handles=_prediction_legend(comparison.example, comparison.subject),
            loc="outside lower center",
            ncols=5,
        )
    return figure


def draw_outcome(axis: Axes, example: Example, outcome: int, places: int) -> None:
    """One outcome's probability along a stream; for a symbol also the posterior's interval, the true
    p, and a mark wherever the symbol came."""
    shown = slice(0, min(places, len(example.symbols)))
    symbols = example.symbols[shown]
    t = np.arange(1, len(symbols) + 1)
    edges = np.append(t - 0.5, t[-1] + 0.5)
    reset = example.network.shape[-1] - 1
    # A symbol's probability at RESET places is 0 for everyone: left out, so that the axis can zoom.
    here = np.ones(len(t), bool) if outcome == reset else symbols != reset
    network, bayes, truth = (
        np.where(here, rows[shown, outcome], np.nan)
        for rows in (example.network, example.bayes, example.oracle)
    )
    drawn = [network, bayes]
    if outcome != reset:
        if example.low is not None and example.high is not None:
            low, high = example.low[shown, outcome], example.high[shown, outcome]
            axis.stairs(high, edges, baseline=low, fill=True, color="#cccccc")
            drawn += [low, high]
        axis.stairs(truth, edges, baseline=None, color=GREEN, linestyle=":")
        drawn.append(truth)
    # Wide, so that it shows on both sides of the dashes where the two agree.
    axis.stairs(network, edges, baseline=None, color=VERMILLION, linewidth=2.6, alpha=0.75)
    axis.stairs(bayes, edges, baseline=None, color=BLACK, linestyle="--", linewidth=1)
    bottom, top = np.nanmin(drawn), np.nanmax(drawn)
    room = max(0.12 * (top - bottom), 0.01)
    axis.set_ylim(max(bottom - room, -0.05), top + 2 * room)
    hits = t[symbols == outcome]
    axis.plot(hits, np.full(len(hits), top + 1.3 * room), "|", color="#555555")
    for place in t[symbols == reset]:
        axis.axvline(place, color="#999999", linewidth=0.8)
    axis.set_xlim(0.5, len(symbols) + 0.5)
    axis.grid(axis="x", visible=False)
    axis.set_ylabel("p(RESET)" if outcome == reset else f"p(symbol {outcome})")


def _prediction_legend(example: Example, subject: str) -> list[Artist]:
    band = [] if example.low is None else [Patch(color="#cccccc", label="95% interval for p")]
    return [
        Line2D([], [], color=ROLES["network"][1], linewidth=2.6, alpha=0.75, label=subject),
        Line2D([], [], color=BLACK, linestyle="--", label="Bayes (posterior mean)"),
        *band,
        Line2D([], [], color=GREEN, linestyle=":", label="oracle (true p)"),
        Line2D([], [], color="#555555", marker="|", linestyle="", label="symbol drawn"),
    ]


def gap_by_position(comparisons: Mapping[str, Comparison]) -> Figure:
    """KL(Bayes || predictor) by position within the task, on a log axis, a panel a comparison."""
    columns = len(comparisons)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 3.6 * len(comparisons)), 3.4))
        axes = figure.subplots(1, len(comparisons), sharey=True, squeeze=False)[0]
        for axis, (title, comparison) in zip(axes, comparisons.items(), strict=True):
            _draw_gap(axis, comparison)
            axis.set_title(title)
        axes[0].set_ylabel("KL(Bayes || predictor), nats a symbol")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2 if columns == 1 else 3)
    return figure


def _draw_gap(axis: Axes, comparison: Comparison) -> None:
    networks = comparison.networks
    positions = np.arange(1, len(networks[0].gap_by_position) + 1)
    curves = {"network": np.mean([n.gap_by_position for n in networks], axis=0)}
    curves |= {
        name: scores.gap_by_position
        for name, scores in comparison.references.items()
        if name not in ("bayes", "oracle")
    }
    if len(networks) > 1:
        each = [drawable(n.gap_by_position) for n in networks]
        se = np.std(each, axis=0, ddof=1) / math.sqrt(len(networks))
    else:
        se = networks[0].gap_by_position_se
    others = [name for name in curves if name not in ROLES]
    for name, curve in curves.items():
        number = others.index(name) if name in others else 0
        label, colour, line, marker = look(name, number)
        label = comparison.subject if name == "network" else label
        # Positions where a reference is Bayes exactly cannot stand on a log axis.
        shown = drawable(np.where(curve > 1e-12, curve, np.nan))
        if np.isfinite(shown).any():
            axis.plot(
                positions,
                shown,
                color=colour,
                linestyle=line,
                marker=marker,
                label=label,
                markevery=max(1, len(positions) // 20),
            )
    middle, se = drawable(curves["network"]), drawable(se)
    low = np.maximum(middle - 2 * se, 1e-12)
    axis.fill_between(positions, low, middle + 2 * se, color=VERMILLION, alpha=0.25, linewidth=0)
    log_scale(axis)
    axis.set_xlabel("position within the task (drawn symbols)")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def learning_curves(histories: Mapping[str, Sequence[Mapping[str, Json]]]) -> Figure:
    """Train and held-out loss against training symbols, with the Bayes loss as the floor.

    histories: title -> one learning-curve dict a seed (``Learner.history``). Below each panel, the
    gap to Bayes on held-out streams, on a log axis, shows what the upper one cannot.
    """
    with matplotlib.rc_context(STYLE):
        columns = len(histories)
        figure = Figure(figsize=(max(4.8, 1.85 * columns), 4.4))
        axes = figure.subplots(2, columns, sharex="col", sharey="row", squeeze=False)
        width, size = (48, 9.5) if columns < 3 else (26, 8)
        for column, (title, seeds) in enumerate(histories.items()):
            upper, lower = axes[0, column], axes[1, column]
            for number, history in enumerate(seeds):
                symbols = np.asarray(history["symbols"]) / 1e6
                floor = float(np.ravel(history["bayes_loss"])[0])
                first = number == 0
                upper.plot(
                    symbols,
                    drawable(history["train_loss"]),
                    color=BLUE,
                    linestyle=":",
                    label="training" if first else None,
                )
                upper.plot(
                    symbols,
                    drawable(history["held_out_loss"]),
                    color=VERMILLION,
                    linestyle="-",
                    label="held-out" if first else None,
                )
                upper.axhline(
                    floor,
                    color=BLACK,
                    linestyle="--",
                    linewidth=1,
                    label="Bayes" if first else None,
                )
                lower.plot(symbols, drawable(history["held_out_gap"]), color=VERMILLION)
            upper.set_title(textwrap.fill(title, width), fontsize=size)
            log_scale(lower)
            lower.set_xlabel("training symbols (millions)" if columns < 3 else "symbols (millions)")
        axes[0, 0].set_ylabel("loss, nats a drawn symbol")
        axes[1, 0].set_ylabel("KL(Bayes || network)\nnats a symbol")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def points_left_out(histories: Iterable[Mapping[str, Json]]) -> str:
    """A sentence for the caption of learning curves with points that are infinite, else nothing."""
    curves = ("held_out_loss", "held_out_gap")
    if any(np.isinf(history[name]).any() for history in histories for name in curves):
        return " Points that are infinite are left out."
    return ""


def shared_gap(comparisons: Mapping[str, Comparison]) -> Figure:
    """The networks' gap by position on the same axes, one curve a comparison."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.4))
        axis = figure.subplots()
        looks = zip(
            (BLUE, VERMILLION, GREEN, PURPLE),
            ("-", "--", "-.", ":"),
            ("o", "s", "^", "D"),
            strict=True,
        )
        for (title, comparison), (colour, line, marker) in zip(
            comparisons.items(), looks, strict=False
        ):
            curve = np.mean([n.gap_by_position for n in comparison.networks], axis=0)
            places = np.arange(1, len(curve) + 1)
            axis.plot(
                places, drawable(curve), color=colour, linestyle=line, marker=marker, label=title
            )
        log_scale(axis)
        axis.set_xlabel("position within the task (drawn symbols)")
        axis.set_ylabel("KL(Bayes || network), nats a symbol")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def predictions_shared(
    rows: Mapping[str, Mapping[str, Comparison]], symbol: int = 0, places: int = 40
) -> Figure:
    """The probability of one symbol along test streams that several networks saw: a row a stream,
    in it each network and Bayes under its prior. rows: title -> name -> comparison."""
    looks = ((BLUE, "-"), (VERMILLION, "-"), (GREEN, "-"))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.9 * len(rows) + 0.8))
        axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axis, (title, networks) in zip(axes, rows.items(), strict=True):
            for (name, comparison), (colour, line) in zip(networks.items(), looks, strict=False):
                example = comparison.example
                symbols = example.symbols[:places]
                drawn = symbols != example.network.shape[-1] - 1
                edges = np.arange(len(symbols) + 1) + 0.5
                for values, style, width, label in (
                    (example.network, line, 2.2, f"{name}: network"),
                    (example.bayes, "--", 1.0, f"{name}: Bayes, its prior"),
                ):
                    shown = np.where(drawn, values[:places, symbol], np.nan)
                    shade = colour if style == line else _darker(colour)
                    axis.stairs(
                        shown,
                        edges,
                        baseline=None,
                        color=shade,
                        linestyle=style,
                        linewidth=width,
                        label=label,
                    )
            hits = np.flatnonzero(symbols == symbol) + 1
            axis.plot(hits, np.full(len(hits), 1.05), "|", color="#555555")
            for place in np.flatnonzero(~drawn) + 1:
                axis.axvline(place, color="#999999", linewidth=0.8)
            axis.set_ylim(-0.02, 1.1)
            axis.set_xlim(0.5, len(symbols) + 0.5)
            axis.grid(axis="x", visible=False)
            axis.set_title(title)
            axis.set_ylabel(f"p(symbol {symbol})")
        axes[-1].set_xlabel("place in the stream (grey lines: RESETs; ticks above: symbol came)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def drawable(values: npt.ArrayLike) -> np.ndarray:
    """Values with NaN, which is left out, for what is infinite."""
    values = np.asarray(values, np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _darker(colour: str) -> tuple[float, float, float]:
    red, green, blue = matplotlib.colors.to_rgb(colour)
    return 0.55 * red, 0.55 * green, 0.55 * blue
