"""What the hidden state holds, as figures. Nothing is computed here but what an axis needs."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import LineStyleType

from analysis.hidden.dimensions import ENOUGH
from analysis.hidden.examine import Hidden
from analysis.hidden.names import belief_titles, column_title, target_title
from analysis.hidden.states import space_title
from analysis.intervals import Estimate
from analysis.report.style import BLACK, BLUE, GREEN, SKY, STYLE, VERMILLION, log_scale

# label, colour, line style, marker
_SHARES: dict[str, tuple[str, str, LineStyleType, str]] = {
    "variance": ("variance", BLACK, "-", ""),
    "prediction": ("prediction, drawn places", BLUE, "--", "o"),
    "prediction_with_reset": ("prediction, RESET places too", GREEN, ":", "s"),
    "ranked_prediction": ("prediction, directions ranked by it", VERMILLION, "-.", "^"),
}
_CAUSES = {
    "place": ("place in the task", BLACK, ""),
    "belief": ("+ {}", VERMILLION, "//"),
    "stream": ("+ place in the stream", SKY, ".."),
    "rest": ("the rest", "#ffffff", ""),
}
_MOST_PANELS = 3
_SHOWN_DIRECTIONS = 16


def dimensions(hidden: Hidden) -> Figure:
    """Eigenvalues of the states' covariance, and the share that the leading directions carry: a
    column a space."""
    with matplotlib.rc_context(STYLE):
        spaces = list(hidden.dimensions.values())
        figure = Figure(figsize=(max(4.8, 2.6 * len(spaces)), 5.0))
        axes = figure.subplots(2, len(spaces), squeeze=False, sharex="col")
        for upper, lower, space in zip(*axes, spaces, strict=True):
            size = space.eigenvalues[:_SHOWN_DIRECTIONS]
            size = np.where(size > 0, size, np.nan)
            upper.plot(np.arange(1, len(size) + 1), size, color=BLACK, marker=".")
            log_scale(upper)
            upper.set_title(f"state {space_title(space.space)}")
            for name, share in space.shares.items():
                label, colour, line, marker = _SHARES[name]
                count = min(len(share.share), _SHOWN_DIRECTIONS + 1)
                lower.plot(
                    np.arange(count),
                    share.share[:count],
                    color=colour,
                    linestyle=line,
                    marker=marker,
                    label=label,
                )
            lower.axhline(ENOUGH, color="#999999", linewidth=0.8)
            lower.set_ylim(-0.05, 1.05)
            # Where the mean state alone predicts better, the share is far below 0: cut off.
            lower.set_xlabel("number of directions")
            lower.set_xlim(-0.5, len(size) + 0.5)
            lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0, 0].set_ylabel("eigenvalue of the covariance\n(units of the state squared)")
        axes[1, 0].set_ylabel("cumulative share (grey: 99%)")
        handles = [
            Line2D([], [], color=colour, linestyle=line, marker=marker, label=label)
            for name, (label, colour, line, marker) in _SHARES.items()
            if any(name in s.shares for s in spaces)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def trajectories(hidden: Hidden, lines: int = 3) -> Figure:
    """h at drawn places in two leading directions, coloured by place and by the belief: by variance
    above, by what the prediction feels below. Lines follow the first task of some streams."""
    shown = hidden.trajectories
    drawn = shown.drawn
    length = int(np.argmin(drawn)) if not drawn.all() else len(drawn)
    target, values = shown.shade
    columns = values.shape[-1]
    colours = {"place in the task": np.broadcast_to(shown.place, values.shape[:2])}
    colours |= {
        column_title(hidden.process, target, k, columns): values[..., k]
        for k in range(min(columns, _MOST_PANELS))
    }
    whole = [name for name, values in colours.items() if np.all(values == np.round(values))]
    rows = {"by variance": shown.by_variance, "by prediction": shown.by_prediction}
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(2.1 * len(colours) + 0.6, 5.0))
        axes = figure.subplots(2, len(colours), squeeze=False, sharex="row", sharey="row")
        for row, (ranking, coordinates) in enumerate(rows.items()):
            for axis, (title, values) in zip(axes[row], colours.items(), strict=True):
                points = axis.scatter(
                    *coordinates[:, drawn].reshape(-1, coordinates.shape[-1]).T,
                    c=values[:, drawn].ravel(),
                    s=1.5,
                    cmap="viridis",
                    linewidths=0,
                    rasterized=True,
                )
                for path, style in zip(
                    coordinates[:lines, :length], ("-", "--", ":"), strict=False
                ):
                    axis.plot(*path.T, color=VERMILLION, linestyle=style, linewidth=0.9)
                    axis.plot(
                        *path[:1].T,
                        color=VERMILLION,
                        marker="o",
                        linestyle="",
                        markeredgecolor=BLACK,
                        markeredgewidth=0.5,
                    )
                if row == 0:
                    axis.set_title(title)
                axis.set_xlabel(f"direction 1 {ranking}")
                if row == len(rows) - 1:
                    bar = figure.colorbar(
                        points,
                        ax=axes[:, list(colours).index(title)],
                        location="bottom",
                        fraction=0.05,
                        pad=0.02,
                    )
                    bar.ax.xaxis.set_major_locator(MaxNLocator(integer=title in whole, nbins=5))
            axes[row, 0].set_ylabel(f"direction 2 {ranking}")
    return figure


def meaning(hidden: Hidden) -> Figure:
    """What the leading directions of each space are explained by: stacked shares of their variance,
    and the direction's share of the state's variance as its label."""
    with matplotlib.rc_context(STYLE):
        spaces = list(hidden.causes)
        figure = Figure(figsize=(max(4.8, 2.6 * len(spaces)), 3.4))
        axes = figure.subplots(1, len(spaces), sharey=True, squeeze=False)[0]
        for axis, space in zip(axes, spaces, strict=True):
            nested = [
                np.array([np.nan if e.mean is None else e.mean for e in score.by_column])
                for score in hidden.causes[space].values()
            ]
            edges = np.clip(np.maximum.accumulate([0 * nested[0], *nested]), 0, 1)
            edges = np.vstack([edges, np.ones_like(nested[0])])
            sizes = hidden.dimensions[space].eigenvalues
            part = sizes / max(sizes.sum(), np.finfo(float).tiny)
            places = np.arange(1, len(nested[0]) + 1)
            for (_, colour, hatch), low, high in zip(
                _CAUSES.values(), edges[:-1], edges[1:], strict=True
            ):
                axis.bar(
                    places,
                    high - low,
                    bottom=low,
                    color=colour,
                    hatch=hatch,
                    width=0.8,
                    edgecolor="#666666",
                    linewidth=0.5,
                )
            axis.set_xticks(
                places,
                [f"{n}\n{100 * p:.1f}%" for n, p in zip(places, part, strict=False)],
                fontsize=7.5,
            )
            axis.set_title(f"state {space_title(space)}")
            axis.set_xlabel("direction, and its share of\nthe state's variance")
            axis.grid(axis="x", visible=False)
        axes[0].set_ylabel("share of the direction's variance")
        handles = [
            Patch(
                facecolor=colour,
                hatch=hatch,
                edgecolor="#666666",
                label=label.format(belief_titles(hidden.process)),
            )
            for label, colour, hatch in _CAUSES.values()
        ]
        columns = 4 if len(spaces) > 1 else 2
        figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def probes(hidden: Hidden) -> Figure:
    """1 - R^2 of the linear probes, on a log axis: the trained network against the untrained one and
    the place alone, a panel a space."""
    looks = {
        "trained": ("trained", VERMILLION, "o"),
        "early": ("early in training", GREEN, "D"),
        "untrained": ("untrained", BLUE, "s"),
        "place": ("the place alone", BLACK, "^"),
    }
    looks = {k: v for k, v in looks.items() if k == "place" or k in hidden.probes}
    with matplotlib.rc_context(STYLE):
        spaces = list(hidden.dimensions)
        figure = Figure(figsize=(max(4.8, 2.4 * len(spaces) + 0.8), 2.9))
        axes = figure.subplots(1, len(spaces), sharex=True, sharey=True, squeeze=False)[0]
        targets = list(hidden.place_only)
        for axis, space in zip(axes, spaces, strict=True):
            for offset, (name, (_, colour, marker)) in enumerate(looks.items()):
                scores = hidden.place_only if name == "place" else hidden.probes[name][space]
                for row, target in enumerate(targets):
                    _left_over(
                        axis,
                        scores[target].r2,
                        row + 0.17 * (offset - (len(looks) - 1) / 2),
                        colour,
                        marker,
                    )
            axis.set_xscale("log")
            axis.set_title(f"from {space_title(space)}")
            axis.set_xlabel("1 - R², held-out streams")
            axis.set_yticks(range(len(targets)), [target_title(hidden.process, t) for t in targets])
            axis.set_ylim(len(targets) - 0.5, -0.5)
            axis.grid(axis="y", visible=False)
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle="", label=label)
            for label, colour, marker in looks.values()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _left_over(axis: Axes, r2: Estimate, row: float, colour: str, marker: str) -> None:
    """1 - R^2 with its interval; nothing where it is 0 or does not exist."""
    if r2.mean is None or r2.low is None or r2.high is None or 1 - r2.mean < 1e-12:
        return
    axis.plot([max(1 - r2.high, 1e-12), 1 - r2.low], [row, row], color=colour, linewidth=1.2)
    axis.plot([1 - r2.mean], [row], color=colour, marker=marker, linestyle="")


def eigenvalues(hidden: Hidden) -> Figure:
    """Eigenvalues of the step's Jacobian in the complex plane, a column an input symbol, and below
    the time scale of each in symbols, longest first."""
    jacobians = hidden.jacobians
    if len(jacobians) > _MOST_PANELS + 1:  # the first symbols, and RESET
        jacobians = [*jacobians[:_MOST_PANELS], jacobians[-1]]
    angle = np.linspace(0, 2 * np.pi, 200)
    largest = max(1.0, max(j.spectral_radius for j in jacobians)) * 1.1
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.1 * len(jacobians) + 0.5, 4.6))
        axes = figure.subplots(2, len(jacobians), sharex="row", sharey="row", squeeze=False)
        for upper, lower, jacobian in zip(*axes, jacobians, strict=True):
            upper.plot(np.cos(angle), np.sin(angle), color=BLACK, linestyle="--", linewidth=0.9)
            values = jacobian.eigenvalues
            upper.plot(
                values.real,
                values.imag,
                color=VERMILLION,
                marker="o",
                markersize=3,
                linestyle="",
                markerfacecolor="none",
                markeredgewidth=0.8,
            )
            upper.set_aspect("equal")
            upper.set_xlim(-largest, largest)
            upper.set_ylim(-largest, largest)
            is_reset = jacobian.symbol == hidden.process.num_symbols
            upper.set_title("RESET" if is_reset else f"symbol {jacobian.symbol}")
            upper.set_xlabel("real part of λ")
            # Infinite from |lambda| = 1 on: left out.
            scales = np.where(np.isfinite(jacobian.timescales), jacobian.timescales, np.nan)
            scales = np.where(scales > 0, scales, np.nan)
            lower.plot(
                np.arange(1, len(scales) + 1), scales, color=VERMILLION, marker=".", linewidth=0.8
            )
            if np.isfinite(hidden.process.task_length):
                lower.axhline(hidden.process.task_length, color=BLACK, linestyle=":", linewidth=1)
            log_scale(lower)
            lower.set_xlabel("rank of λ")
            lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0, 0].set_ylabel("imaginary part of λ")
        axes[1, 0].set_ylabel("-1 / log|λ|, symbols\n(dotted: T)")
    return figure
