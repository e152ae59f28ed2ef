"""Bayes's belief beside what a probe reads of it, every history a dot; and simulation both ways."""

from __future__ import annotations

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.hidden.effects_figures import DRAWN_FROM, band
from analysis.hidden.examine import Hidden
from analysis.hidden.names import NETWORKS, column_title, target_title
from analysis.hidden.probes import Readings
from analysis.hidden.simulation import Simulation
from analysis.report.style import BLACK, BLUE, GREEN, STYLE, VERMILLION, log_scale
from meta_learning.processes import Process

# What is held, or read, after each history.
Beliefs = Float[np.ndarray, "histories columns"]
# Corners of the triangle: 0 above, 1 to the left, 2 to the right.
_CORNERS = np.array([[0.5, np.sqrt(3) / 2], [0.0, 0.0], [1.0, 0.0]])
_CORNER_COLOURS = (VERMILLION, BLUE, GREEN)
# Dots of a panel: more would hide each other.
_MOST_DOTS = 40_000
# Beliefs in all, up to which a dot of each is drawn large.
_FEW = 64


def belief(hidden: Hidden) -> Figure:
    """The distribution that Bayes holds after each history, exact and as probes read it, coloured by the
    exact one. Three outcomes: the triangle. Two: exact along, read upwards. More: the two directions
    along which the exact ones differ most."""
    assert hidden.readings is not None, "no belief that moves"
    return belief_of(hidden.process, hidden.readings)


def belief_of(process: Process, readings: Readings) -> Figure:
    """As ``belief``."""
    readings = _thinned(readings)
    colours, few = _colours(readings.exact), _few(readings.exact)
    panels = {name: readings.read[name] for name in NETWORKS if name in readings.read}
    size = readings.exact.shape[1]
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        count = len(panels) + (size > 2)
        figure = Figure(figsize=(2.35 * count + 0.3, 2.75))
        axes = list(figure.subplots(1, count, squeeze=False)[0])
        if size == 2:
            for axis, (name, read) in zip(axes, panels.items(), strict=True):
                _across(axis, process, readings, name, read, colours, few)
            axes[0].set_ylabel("read by a probe")
            return figure
        shown = {"exact": readings.exact} | panels
        flat = _triangle if size == 3 else _plane(readings.exact)
        low, high = _window([flat(values) for values in shown.values()], size)
        for axis, (name, values) in zip(axes, shown.items(), strict=True):
            dot = 14 if few and name == "exact" else 0.6
            axis.scatter(*flat(values).T, c=colours, s=dot, linewidths=0, rasterized=True)
            title = "exact" if name == "exact" else f"read: {NETWORKS[name]}"
            axis.set_title(title, loc="center")
            axis.set_aspect("equal")
            axis.set_xlim(low[0], high[0])
            axis.set_ylim(low[1], high[1])
            if size == 3:
                # Elsewhere names would hide dots.
                _frame(axis, _corner_names(process, readings.target) if name == "exact" else [])
            else:
                axis.set_xlabel("direction 1")
        if size > 3:
            axes[0].set_ylabel(
                f"{target_title(process, readings.target)}:\ndirection 2 of the exact ones"
            )
        return figure


def belief_caption(hidden: Hidden) -> str:
    """How to read ``belief``."""
    assert hidden.readings is not None, "no belief that moves"
    return belief_caption_of(hidden.process, hidden.readings, "history of the held-out streams")


def belief_caption_of(process: Process, readings: Readings, dot: str) -> str:
    """How to read ``belief_of``. dot: what a dot is."""
    what = target_title(process, readings.target)
    size = readings.exact.shape[1]
    dots = f"Bayes's {what}, a dot a {dot}, coloured by the exact values"
    if size == 2:
        aside = " Dots are spread sideways at random." if _few(readings.exact) else ""
        return (
            f"{dots}: exact along, what a probe of the state reads upwards. On the line it is right."
            f"{aside}"
        )
    how = (
        "the distance from the side opposite a corner is that corner's probability"
        if size == 3
        else f"the two directions along which its {size} entries differ most"
    )
    return f"{dots} in every panel; {how}. What is read may lie outside what can be."


def simulation(hidden: Hidden) -> Figure:
    """KL from Bayes run on from the network's state, and from the network run on from Bayes's belief,
    by when they start."""
    found = hidden.simulation
    assert isinstance(found, Simulation), "no simulation"
    looks = {
        "network": ("KL(network || that)", VERMILLION, "-", "o"),
        "bayes": ("KL(Bayes || that)", BLACK, "--", "s"),
    }
    titles = {
        "bayes_from_state": "that: Bayes, from the network's state",
        "network_from_belief": "that: the network, from Bayes's belief",
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.2))
        axes = figure.subplots(1, 2, sharey=True)
        for axis, (way, title) in zip(axes, titles.items(), strict=True):
            for of, (label, colour, line, marker) in looks.items():
                mean, low, high = band(found.by_draws[way][of])
                axis.plot(
                    found.draws, mean, color=colour, linestyle=line, marker=marker, label=label
                )
                axis.fill_between(found.draws, low, high, color=colour, alpha=0.25, linewidth=0)
            itself = found.identity["trained"]["network_bayes"].mean
            if itself is not None and itself > DRAWN_FROM:
                axis.axhline(itself, color=BLUE, linestyle=":", label="KL(network || Bayes)")
            axis.set_title(title)
            axis.set_xlabel("draws seen when it starts")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            log_scale(axis)
        axes[0].set_ylabel("nats a symbol, over the\nrest of the task")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _thinned(readings: Readings) -> Readings:
    """At most ``_MOST_DOTS`` histories, drawn at random."""
    count = len(readings.exact)
    if count <= _MOST_DOTS:
        return readings
    kept = np.random.default_rng(0).choice(count, _MOST_DOTS, replace=False)
    read = {name: values[kept] for name, values in readings.read.items()}
    return Readings(readings.target, readings.exact[kept], read)


def _few(exact: Beliefs) -> bool:
    """Whether there are so few beliefs that their dots lie on one another."""
    return len(np.unique(exact.round(9), axis=0)) <= _FEW


def _colours(exact: Beliefs) -> Float[np.ndarray, "histories 3"]:
    """RGB of each belief: of two or three outcomes their colours mixed, in the range that comes up; of
    more, those of the three directions along which they differ most."""
    if exact.shape[1] <= 3:
        corners = np.array([matplotlib.colors.to_rgb(c) for c in _CORNER_COLOURS])
        low, high = exact.min(0), exact.max(0)
        weights = (exact - low) / np.where(high > low, high - low, 1)
        weights = weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)
        return np.clip(weights @ corners[: exact.shape[1]], 0, 1)
    along = (exact - exact.mean(0)) @ _directions(exact)[:, :3]
    low, high = np.quantile(along, [0.02, 0.98], axis=0)
    return np.clip((along - low) / np.where(high > low, high - low, 1), 0, 1) * 0.85


def _directions(exact: Beliefs) -> Float[np.ndarray, "columns columns"]:
    """Principal directions of the exact beliefs, one a column, the largest entry of each positive."""
    turn = np.linalg.svd(np.cov(exact.T))[0]
    return turn * np.sign(turn[np.abs(turn).argmax(0), np.arange(len(turn))])


def _triangle(values: Float[np.ndarray, "histories 3"]) -> Float[np.ndarray, "histories 2"]:
    return values @ _CORNERS


class _plane:
    """Values along the two leading directions of the exact ones."""

    def __init__(self, exact: Beliefs) -> None:
        self.mean, self.directions = exact.mean(0), _directions(exact)[:, :2]

    def __call__(self, values: Beliefs) -> Float[np.ndarray, "histories 2"]:
        return (values - self.mean) @ self.directions


def _window(
    shown: list[Float[np.ndarray, "_ 2"]], size: int
) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:
    """The lower left and the upper right corner of what is shown: the exact ones, which come first, and
    nearly all that is read."""
    edges = [np.quantile(values, [0.005, 0.995], axis=0) for values in shown[1:]]
    first = np.array([[-0.1, -0.12], [1.1, 1.0]]) if size == 3 else shown[0]
    every = np.concatenate([first, *edges])
    low, high = every.min(0), every.max(0)
    centre, half = (low + high) / 2, 0.55 * max(high - low)
    return centre - half, centre + half


def _corner_names(process: Process, target: str) -> list[str]:
    if target == "state_probabilities":
        return [f"state {k}" for k in range(3)]
    if target == "component_weights":
        return [f"component {k}" for k in range(3)]
    if target in ("posterior_mean", "predictive"):
        return [f"symbol {k}" for k in range(3)]
    return [column_title(process, target, k, 3) for k in range(3)]


def _frame(axis: Axes, names: list[str]) -> None:
    """The triangle with its corners named, in place of axes."""
    axis.plot(*_CORNERS[[0, 1, 2, 0]].T, color=BLACK, linewidth=0.8, zorder=3)
    if not names:
        axis.axis("off")
        return
    axis.axis("off")
    places = ("center", "left", "right")
    for (x, y), name, colour, where in zip(_CORNERS, names, _CORNER_COLOURS, places, strict=True):
        above = y > 0.5
        axis.text(
            x + {"center": 0.0, "left": -0.08, "right": 0.08}[where],
            y + (0.03 if above else -0.04),
            name,
            ha=where,
            va="bottom" if above else "top",
            fontsize=8,
            color=colour,
            zorder=4,
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
        )


def _across(
    axis: Axes,
    process: Process,
    readings: Readings,
    name: str,
    read: Float[np.ndarray, "histories 2"],
    colours: Float[np.ndarray, "histories 3"],
    few: bool,
) -> None:
    """The exact probability of the first of two outcomes along, what is read upwards."""
    aside = np.random.default_rng(0).uniform(-0.04, 0.04, len(read)) if few else 0.0
    axis.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
    axis.scatter(
        readings.exact[:, 0] + aside,
        read[:, 0],
        c=colours,
        s=2,
        linewidths=0,
        rasterized=True,
        zorder=3,
    )
    axis.set_title(NETWORKS[name], loc="center")
    axis.set_xlim(-0.15, 1.15)
    axis.set_ylim(-0.15, 1.15)
    axis.set_aspect("equal")
    axis.set_xlabel(f"exact: {column_title(process, readings.target, 0, 2)}")
