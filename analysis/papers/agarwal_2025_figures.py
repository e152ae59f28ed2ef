"""Tables, figures and sentences of Agarwal et al. (2025), from the run's document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.report.formats import interval
from analysis.report.report import Document, Panel, Table
from analysis.report.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILLION,
    log_scale,
)

# name -> label, colour, line
CELLS = {
    "lstm": ("LSTM", BLUE, "-"),
    "mingru": ("minGRU", GREEN, "-"),
    "mamba": ("Mamba", ORANGE, "-"),
    "transformer": ("Transformer", VERMILLION, "-"),
}
LIMITS = {
    "memoryless": ("nothing of the past", BLACK, "-."),
    "last_symbol": ("the last symbol", SKY, ":"),
    "counts": ("the counts", PURPLE, "--"),
    "counts_and_last": ("counts and last symbol", "#777777", "--"),
}


def _networks(found: Document) -> dict[str, list[dict[str, Any]]]:
    return {n["cell"]: n["rows"] for n in found["curves"]["networks"]}


def _by_place(found: Document) -> Figure:
    """The gap after each number of symbols: networks, and the best that knows no more than so much."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.2))
        axes: Any = figure.subplots(1, 2, width_ratios=(3, 2))
        for name, (label, colour, line) in LIMITS.items():
            gap = np.array(found["curves"]["limits"][name])
            axes[0].plot(
                np.where(gap > 1e-12, gap, np.nan),
                color=colour,
                linestyle=line,
                label=f"best of {label}",
            )
        for cell, rows in _networks(found).items():
            label, colour, line = CELLS[cell]
            gaps = np.array([row["by_place"] for row in rows])
            axes[0].plot(gaps.mean(0), color=colour, linestyle=line, marker="o", label=label)
            each, inside = ([row[key] for row in rows] for key in ("each", "inside"))
            axes[1].plot(each, inside, "o", color=colour, label=label)
        axes[0].set(xlabel="symbols before", ylabel="gap, nats")
        log_scale(axes[0])
        axes[0].set_title("exact gap, all histories")
        axes[1].set(xlabel="every history's own, bits")
        log_scale(axes[1], "x")
        log_scale(axes[1], "y")
        axes[1].set(title="error of the entropy, two means", ylabel="mean inside, bits")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def panels(found: Document) -> Sequence[Panel]:
    """Networks and limits by place; the two errors."""
    return [
        Panel(
            "filtering",
            _by_place(found),
            "Left: exact gap by number of symbols before, of networks and of limits. Right: the "
            "two errors of the entropy against each other, a dot a network.",
            "Left: means over seeds; the dashed and dotted lines are the least gaps of any "
            "predictor that knows no more of the past than so much. What is below the counts' "
            "line filters. Right: the same networks, with the absolute value within and without "
            "the mean.",
        )
    ]


def tables(found: Document) -> Sequence[Table]:
    """Networks and limits in numbers."""
    estimates = found["curves"]["estimates"]
    keys = ("exact", "closed", "each", "inside", "each_longer")
    rows = []
    for cell in _networks(found):
        of = [estimates[f"{cell}.{key}"] for key in keys]
        exact = f"{_three(of[0]['mean'])} {interval(of[0]['ci95'], _three)}".strip()
        shown = [exact, *(_three(e["mean"]) for e in of[1:])]
        rows.append([CELLS[cell][0], *shown])
    limits = {name: float(np.mean(v)) for name, v in found["curves"]["limits"].items()}
    for name, gap in limits.items():
        share = _three(1 - gap / limits["memoryless"])
        rows.append([f"best of {LIMITS[name][0]}", _three(gap), share, "", "", ""])
    return [
        Table(
            "Networks, and what can be had without filtering",
            [
                "predictor",
                "exact gap, nats",
                "closed",
                "entropy error, bits",
                "mean inside",
                "at 50 symbols",
            ],
            rows,
            f"Exact gap: the first {found['curves']['draws']} draws. Errors on "
            f"{found['curves']['streams']:,} streams of 20 and of 50 symbols. Means over "
            f"{len(found['seeds'])} seeds, 95% intervals over seeds.",
        )
    ]


def _three(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def says(found: Document) -> Sequence[str]:
    """What the LSTM does, the two errors, and how much the paper's own models ask for."""
    estimates = found["curves"]["estimates"]
    limits = {name: float(np.mean(v)) for name, v in found["curves"]["limits"].items()}
    last = {name: v[-1] for name, v in found["curves"]["limits"].items()}
    lstm = estimates["lstm.exact"]["mean"]
    at_last = float(np.mean([row["by_place"][-1] for row in _networks(found)["lstm"]]))
    numbers = f"{lstm:.2g} and {limits['counts']:.2g} nats a symbol"
    if lstm < limits["counts"]:
        first = (
            f"An LSTM is {limits['counts'] / lstm:.2g} times nearer to Bayes than the best function of "
            f"the counts can be ({numbers}), at the last of these draws "
            f"{last['counts'] / at_last:.2g} times; the best function of counts and last symbol has "
            f"{limits['counts_and_last']:.2g}. So it propagates beliefs, and does not only sum "
            "evidence up."
        )
    else:
        first = (
            "The LSTM is no nearer to Bayes than the best function of the counts "
            f"({numbers}): trained for so short a time it does not show whether it filters."
        )
    ratios = [
        estimates[f"{cell}.each"]["mean"] / estimates[f"{cell}.inside"]["mean"]
        for cell in _networks(found)
    ]
    return [
        first,
        "Of one and the same network the two errors of the entropy differ by factors of "
        f"{min(ratios):.2g} to {max(ratios):.2g}: numbers of the one kind are not to be set beside "
        "those of the other.",
        "In models drawn as the paper draws them the last symbol alone closes "
        f"{estimates['drawn.last_symbol']['mean']:.1%} of the gap of the next symbol's "
        f"probabilities ({found['curves']['drawn']} models): little is left there that asks for a "
        "filter.",
    ]
