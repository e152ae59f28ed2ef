"""A network between two exact predictors, as matplotlib figures."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.comparison.between import share_from_slopes
from analysis.comparison.compare import Comparison
from analysis.comparison.figures import drawable
from analysis.report.style import BLACK, SKY, STYLE, VERMILLION, log_scale, look


def by_position(comparison: Comparison) -> Figure:
    """KL from either exact predictor to the network, on a log axis, and the share of Bayes."""
    each = [one.between for one in comparison.networks if one.between is not None]
    second = look(comparison.prior.second or "")[0]
    bayes = np.mean([one.gap_by_position for one in comparison.networks], axis=0)
    other = np.mean([one.gap_by_position for one in each], axis=0)
    share = share_from_slopes(np.mean([one.slopes_by_position for one in each], axis=0))
    places = np.arange(1, len(bayes) + 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.2))
        left, right = figure.subplots(1, 2)
        left.plot(places, drawable(bayes), color=BLACK, linestyle="--", label="from Bayes")
        left.plot(
            places, drawable(other), color=SKY, linestyle="-.", marker="x", label=f"from {second}"
        )
        log_scale(left)
        left.set_ylabel(f"KL to the {comparison.subject}, nats a symbol")
        left.legend()
        right.plot(places, share, color=VERMILLION, marker="o")
        right.set_ylabel("share w of Bayes")
        ends(right, "Bayes", second)
        for axis in (left, right):
            axis.set_xlabel("position within the task")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def ends(axis: Axes, first: str, second: str) -> None:
    """An axis of shares, with what stands at its ends: the first at 1, the second at 0."""
    axis.set_ylim(-0.08, 1.08)
    for share, name, place, side, up in (
        (0.0, second, 0.01, "left", -9),
        (1.0, first, 0.99, "right", 3),
    ):
        axis.axhline(share, color="#999999", linewidth=0.8)
        axis.annotate(
            name,
            (place, share),
            xycoords=("axes fraction", "data"),
            fontsize=7.5,
            xytext=(0, up),
            textcoords="offset points",
            ha=side,
            color="#555555",
        )
