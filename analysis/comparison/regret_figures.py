"""Regret as a figure: what a predictor has lost so far to one that it cannot beat on average.

Three kinds, each in a panel of its own. Nothing is computed here but sums along an axis.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.comparison.compare import Comparison, Example
from analysis.report.style import BLACK, ROLES, STYLE, VERMILLION, log_scale, look


def regret(comparison: Comparison, places: int = 60) -> Figure:
    """Cumulative regret in nats: within a task the loss above the oracle's and KL(Bayes || predictor),
    means over streams summed over draws; and along one stream the loss above Bayes's, beside the sum
    of KL, which is its expectation where the streams follow Bayes's own prior. Tasks must have draws.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 5.2))
        axes = figure.subplot_mosaic([["oracle", "bayes"], ["path", "path"]], height_ratios=(3, 2))
        _within_a_task(axes["oracle"], axes["bayes"], comparison)
        _along(axes["path"], comparison.example, comparison.subject, places)
        for axis in axes.values():
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles, labels = axes["oracle"].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _within_a_task(left: Axes, right: Axes, comparison: Comparison) -> None:
    network = comparison.networks
    losses = {"network": np.mean([s.loss_by_position for s in network], axis=0)}
    gaps = {"network": np.mean([s.gap_by_position for s in network], axis=0)}
    for name, scores in comparison.references.items():
        losses[name], gaps[name] = scores.loss_by_position, scores.gap_by_position
    draws = np.arange(1, len(gaps["network"]) + 1)
    # Drawn last, so that it lies on top; Bayes dashed above the network, which it may cover.
    order = sorted(losses, key=lambda n: (n in ("network", "bayes"), n != "network"))
    others = [name for name in losses if name not in ROLES]
    for name in order:
        number = others.index(name) if name in others else 0
        label, colour, line, marker = look(name, number)
        label = comparison.subject if name == "network" else label
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": line,
            "marker": marker,
            "label": label,
            "markevery": max(1, len(draws) // 10),
        }
        if name != "oracle":
            left.plot(draws, _drawable(np.cumsum(losses[name] - losses["oracle"])), **style)
        if name not in ("oracle", "bayes"):
            total = np.cumsum(gaps[name])
            right.plot(draws, np.where(total > 1e-12, _drawable(total), np.nan), **style)
    left.set_ylabel("nats since the task began")
    left.set_title("Mean loss above the oracle's")
    right.set_title("Mean KL(Bayes || predictor)")
    log_scale(right)
    for axis in (left, right):
        axis.set_xlabel("draws in the task")


def _along(axis: Axes, example: Example, subject: str, places: int) -> None:
    symbols = example.symbols[:places]
    reset = example.network.shape[-1] - 1
    t = np.arange(len(symbols))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_q, log_b = np.log(example.network[:places]), np.log(example.bayes[:places])
        terms = np.where(example.bayes[:places] > 0, np.exp(log_b) * (log_b - log_q), 0.0)
        lost = log_b[t, symbols] - log_q[t, symbols]
    drawn = symbols != reset
    axis.plot(
        t + 1,
        _drawable(np.cumsum(np.where(drawn, lost, 0))),
        color=VERMILLION,
        label="realised",
        drawstyle="steps-post",
    )
    axis.plot(
        t + 1,
        _drawable(np.cumsum(np.where(drawn, terms.sum(-1), 0))),
        color=BLACK,
        linestyle="--",
        linewidth=1,
        label="sum of KL(Bayes || it)",
    )
    for place in t[~drawn]:
        axis.axvline(place + 1, color="#999999", linewidth=0.8)
    axis.set_xlim(0.5, len(symbols) + 0.5)
    axis.grid(axis="x", visible=False)
    axis.set_title(f"On one stream: the {subject}'s loss above Bayes's")
    axis.set_ylabel("nats since place 1")
    axis.set_xlabel("place in the stream (grey lines: RESETs)")
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    axis.legend(loc="best")


def _drawable(values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """What is infinite cannot be drawn."""
    return np.where(np.isfinite(values), values, np.nan)
