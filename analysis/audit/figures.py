"""Figures of the exact gap: where the error sits. Nothing is computed here but what a legend needs.

Style and colours are those of ``analysis.report.style``; every term has a hatch beside its colour.
"""

from __future__ import annotations

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.audit.carry_over import CarryOver
from analysis.audit.gap import SAME, ExactGap
from analysis.report.style import BLACK, BLUE, ORANGE, SKY, STYLE

# colour, hatch
PARTS: dict[str, tuple[str, str]] = {
    "rest": (BLUE, ""),
    "same_belief": (SKY, "////"),
    "leak": (ORANGE, "...."),
}


def labels(exact: ExactGap) -> dict[str, str]:
    """What each part that there is is called in the legend."""
    names = {"leak": "RESET where none can come"}
    if exact.counts is not None:
        names["rest"] = "wrong function of the counts"
        names["same_belief"] = "depends on the order of the draws"
    elif exact.cells is not None:
        names["rest"] = "wrong function of Bayes's belief"
        names["same_belief"] = "differs where Bayes's belief does not"
    else:
        names["rest"] = "over the symbols"
    return names


def decomposition_figure(exact: ExactGap, carry_over: CarryOver | None = None) -> Figure:
    """The exact gap by position as a stack of its parts, and what is carried over RESET beside
    it with 95% intervals. The two panels have scales of their own: either can be a hundred times the
    other."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.8, 3.6) if carry_over else (5.2, 3.6))
        widths = (3, 2) if carry_over else (1,)
        panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
        _draw_terms(panels[0], exact)
        if carry_over is not None:
            _draw_carry_over(panels[1], carry_over)
        for axis in panels:
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.set_xlabel("draw in the task")
            axis.set_xlim(0.3, len(exact.by_position) + 0.7)
            axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
        panels[0].set_ylabel("KL(Bayes || network), nats")
        figure.legend(loc="outside lower center", ncols=len(panels))
    return figure


def _draw_terms(axis: Axes, exact: ExactGap) -> None:
    positions = np.arange(1, len(exact.by_position) + 1)
    bottom = np.zeros(len(positions))
    names = labels(exact)
    for name in sorted(names, key=list(PARTS).index):
        colour, hatch = PARTS[name]
        values = exact.parts[name]
        values = np.where(np.isfinite(values), values, 0.0)  # what is infinite has no height
        axis.bar(
            positions,
            values,
            width=0.85,
            bottom=bottom,
            label=f"{names[name]}: {_percent(exact.terms[name], exact.gap)} of the gap",
            color=colour,
            hatch=hatch,
            edgecolor=BLACK,
            linewidth=0.4,
        )
        bottom = bottom + values
    if math.isfinite(exact.gap):
        axis.axhline(exact.gap, color=BLACK, linestyle="--", linewidth=1, label="exact gap, mean")
    axis.grid(axis="x", visible=False)
    closed = ""
    if exact.gap_closed is not None:
        closed = f",\n{_closed_text(exact.gap_closed)} of the gap closed"
        if exact.gap_closed < -SAME:
            closed = f",\nmore than memoryless's {exact.memoryless:.2e}"
    title = f"Exact gap {exact.gap:.2e} nats a draw{closed}"
    if math.isinf(exact.gap):
        title = "The exact gap is infinite:\nwhat is finite of it"
    axis.set_title(title, pad=16)


def _draw_carry_over(axis: Axes, carry_over: CarryOver) -> None:
    means, low, high = np.array([[e.mean, e.low, e.high] for e in carry_over.by_position], float).T
    positions = np.arange(1, len(means) + 1)
    axis.axhline(0, color=BLACK, linewidth=0.8)
    axis.errorbar(
        positions,
        means,
        yerr=[means - low, high - means],
        fmt="o",
        color=BLACK,
        markersize=3,
        linewidth=1,
        capsize=2,
        label=f"carried over RESET, 95% interval over {carry_over.tasks:,} tasks",
    )
    axis.grid(axis="x", visible=False)
    axis.set_ylabel("change in KL, nats")
    mean = carry_over.mean.mean
    change = "not finite" if mean is None else f"{mean:+.1e} nats a draw"
    axis.set_title(f"Carried over: {change},\nafter {carry_over.past_tasks} other tasks", pad=16)


def _percent(part: float, whole: float) -> str:
    if not math.isfinite(whole):
        return "infinite, not drawn," if math.isinf(part) else "-"
    share = 100 * part / whole if whole > 0 else 0.0
    return "<0.1%" if 0 < share < 0.1 else f"{share:.3g}%"


def _closed_text(share: float) -> str:
    # Shares near 1 are told apart by what is left.
    return f"{100 * share:.3g}%" if share < 0.99 else f"{100 * share:.2f}%"
