"""Three symbols as a triangle: the exact posterior over p and the network's prediction in one place.

A point of the triangle is a p; its distance to the side opposite a corner is the probability of that
corner's symbol. Nothing is computed here but densities to shade and where points lie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float64, Integer, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.special import gammaln

from analysis.comparison.compare import Comparison
from analysis.report.style import BLACK, GREEN, STYLE, VERMILLION
from meta_learning.processes import DirichletCategorical, Process, task_counts

# Corners of symbols 0, 1, 2: 0 above, 1 to the left, 2 to the right.
_CORNERS = np.array([[0.5, np.sqrt(3) / 2], [0.0, 0.0], [1.0, 0.0]])
_GRID = 300
_PANELS = 4


def can_draw(prior: Process) -> bool:
    """Whether there is a triangle to draw: a Dirichlet prior over three symbols, tasks with draws."""
    return isinstance(prior, DirichletCategorical) and prior.num_symbols == 3 and prior.T > 1


def simplex(comparison: Comparison, draws: Sequence[int] | None = None) -> Figure:
    """The first task of the example stream: after so many draws, the density of the exact posterior,
    its mean, the network's probabilities of the three symbols and the path of both, and the true p.

    draws: at most T-2; by default none, the most, and two between. Errors: ValueError where
    ``can_draw`` is false.
    """
    prior = comparison.prior
    if not (isinstance(prior, DirichletCategorical) and can_draw(prior)):
        raise ValueError(
            f"a triangle needs a Dirichlet prior over three symbols; got {prior.title}"
        )
    example = comparison.example
    most = int(min(prior.T, len(example.symbols))) - 2 if np.isfinite(prior.T) else 50
    most = max(0, min(most, len(example.symbols) - 1))
    if draws is None:
        draws = sorted({math.ceil(most * part) for part in (0, 0.12, 0.35, 1)})[:_PANELS]
    counts = task_counts(example.symbols, 3, prior.T)
    mean = _points(example.bayes[: most + 1, :3])
    q = example.network[: most + 1, :3]
    # Where RESET is certain the network says nothing of the symbols: NaN, which is not drawn.
    symbols = q.sum(-1, keepdims=True)
    network = _points(q / np.where(symbols > 0, symbols, np.nan))
    truth = _points(example.oracle[:1, :3])
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(7.2, 2.75))
        axes = figure.subplots(1, len(draws), squeeze=False)[0]
        window = _window(np.asarray(prior.alpha), np.concatenate([mean, network, truth]))
        for axis, n in zip(axes, draws, strict=True):
            _shade(axis, np.asarray(prior.alpha) + counts[n], window)
            for path, colour, line in ((network, VERMILLION, "-"), (mean, BLACK, "--")):
                axis.plot(*path[: n + 1].T, color=colour, linestyle=line, linewidth=0.9)
            axis.plot(
                *truth.T,
                color=GREEN,
                marker="*",
                markersize=10,
                linestyle="",
                markeredgecolor=BLACK,
                markeredgewidth=0.5,
            )
            axis.plot(
                *network[n],
                color=VERMILLION,
                marker="o",
                markersize=6,
                linestyle="",
                markerfacecolor="none",
                markeredgewidth=1.5,
            )
            axis.plot(*mean[n], color=BLACK, marker="x", markersize=5, linestyle="")
            axis.set_title(_title(n, counts[n]), loc="center", fontsize=9, pad=8)
        figure.legend(
            handles=[
                Patch(color="#b9b9b9", label="posterior density"),
                Line2D([], [], color=BLACK, marker="x", linestyle="--", label="posterior mean"),
                Line2D(
                    [],
                    [],
                    color=VERMILLION,
                    marker="o",
                    markerfacecolor="none",
                    label=comparison.subject,
                ),
                Line2D(
                    [],
                    [],
                    color=GREEN,
                    marker="*",
                    markersize=9,
                    markeredgecolor=BLACK,
                    markeredgewidth=0.5,
                    linestyle="",
                    label="true p",
                ),
            ],
            loc="outside lower center",
            ncols=4,
        )
    return figure


def _title(draws: int, counts: Integer[np.ndarray, "3"]) -> str:
    if draws == 0:
        return "before any draw"
    return f"after {draws} draw{'s' * (draws > 1)}\ncounts {', '.join(map(str, counts))}"


def _points(p: Shaped[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 2"]:
    """Probabilities (..., 3) as points of the plane (..., 2)."""
    return np.asarray(p) @ _CORNERS


def _window(
    alpha: Float64[np.ndarray, "3"], shown: Float64[np.ndarray, "points 2"]
) -> tuple[float, float, float]:
    """Left, bottom and side of a square with the points and nearly all of the prior; the whole
    triangle where that is not much larger."""
    p = np.random.default_rng(0).dirichlet(alpha, 2_000)
    spread = np.quantile(_points(p), (0.01, 0.99), axis=0)
    low, high = (f(np.concatenate([spread, shown]), axis=0) for f in (np.nanmin, np.nanmax))
    side = 1.25 * max(high - low)
    if side > 0.75:
        return (-0.1, -0.14, 1.2)
    left, bottom = (low + high) / 2 - side / 2
    return float(left), float(bottom), float(side)


def _shade(
    axis: Axes, concentration: Float64[np.ndarray, "3"], window: tuple[float, float, float]
) -> None:
    """The density of Dirichlet(concentration), shaded by its own maximum, and the triangle."""
    left, bottom, side = window
    x, y = np.meshgrid(
        np.linspace(left, left + side, _GRID), np.linspace(bottom, bottom + side, _GRID)
    )
    first = y / _CORNERS[0, 1]
    p = np.stack([first, 1 - first - (x - 0.5 * first), x - 0.5 * first])
    inside = (p > 0).all(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = np.einsum("k,kij->ij", concentration - 1, np.log(np.where(p > 0, p, 1)))
    log_p += gammaln(concentration.sum()) - gammaln(concentration).sum()
    density = np.where(inside, np.exp(log_p), np.nan)
    axis.imshow(
        density,
        origin="lower",
        extent=(left, left + side, bottom, bottom + side),
        cmap="Greys",
        vmin=0,
        vmax=1.6 * np.nanmax(density),
        interpolation="bilinear",
        aspect="equal",
    )
    corners = np.vstack([_CORNERS, _CORNERS[:1]])
    axis.plot(*corners.T, color="#555555", linewidth=0.9)
    names = zip(_CORNERS, ((0, 4), (-4, -4), (4, -4)), ("bottom", "top", "top"), strict=True)
    for number, (corner, shift, vertical) in enumerate(names):
        axis.annotate(
            str(number),
            corner,
            shift,
            textcoords="offset points",
            ha="center",
            va=vertical,
            annotation_clip=True,
        )
        if not (left <= corner[0] <= left + side and bottom <= corner[1] <= bottom + side):
            _point_to(axis, number, corner, window)
    axis.set_xlim(left, left + side)
    axis.set_ylim(bottom, bottom + side)
    axis.set_axis_off()


def _point_to(
    axis: Axes, number: int, corner: Float64[np.ndarray, "2"], window: tuple[float, float, float]
) -> None:
    """An arrow at the window's edge towards a corner that lies outside it."""
    left, bottom, side = window
    middle = np.array([left, bottom]) + side / 2
    towards = (corner - middle) / np.abs(corner - middle).max()
    start, end = (middle + part * side / 2 * towards for part in (0.72, 0.97))
    axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "#555555", "lw": 0.9})
    x, y = middle + 0.6 * side / 2 * towards
    axis.text(x, y, str(number), ha="center", va="center")
