"""Gap, R² of the belief and effects of another belief over training, from docs/results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.intervals import Estimate, student, student_log
from analysis.report.formats import interval
from analysis.report.report import Panel, Table
from analysis.report.style import BLUE, GREEN, STYLE, VERMILLION

CELLS = {"lstm": ("LSTM", BLUE, "-"), "gru": ("GRU", GREEN, "--")}
CELLS |= {"transformer": ("transformer", VERMILLION, "-.")}
Row = dict[str, Any]
# title, a row's number, its interval over seeds, whether the axis is logarithmic
QUANTITIES: tuple[tuple[str, Callable[[Row], float], Callable[..., Estimate], bool], ...] = (
    ("exact gap, nats a symbol", lambda row: row["gap"], student_log, True),
    ("1 - R² of the belief", lambda row: 1 - row["r2"], student_log, True),
    (
        "effect of another belief",
        lambda row: row["effects"]["other_belief"] / row["effects"]["other_belief_bayes"],
        student,
        False,
    ),
)


def over_training(
    document: dict[str, Any], value: Callable[[Row], float], estimate: Callable[..., Estimate]
) -> Iterator[tuple[str, list[int], list[Estimate]]]:
    """Cell, iterations, and the estimate over its seeds after each."""
    for cell in dict.fromkeys(network["cell"] for network in document["networks"]):
        seeds = [n["rows"] for n in document["networks"] if n["cell"] == cell]
        yield (
            cell,
            [row["iterations"] for row in seeds[0]],
            [estimate(np.array([value(row) for row in rows])) for rows in zip(*seeds, strict=True)],
        )


def figure(document: dict[str, Any]) -> Figure:
    """The three quantities against iterations; before the first is at the left edge."""
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(7.4, 3.0))
        for panel, (title, value, estimate, log) in zip(
            drawn.subplots(1, 3), QUANTITIES, strict=True
        ):
            for cell, iterations, found in over_training(document, value, estimate):
                name, colour, line = CELLS[cell]
                x = np.maximum(iterations, iterations[1] / 3)
                mean, low, high = np.array([(e.mean, e.low, e.high) for e in found], float).T
                panel.plot(x, mean, color=colour, linestyle=line, label=name)
                panel.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
            panel.set_xscale("log")
            panel.set_yscale("log" if log else "linear")
            panel.set_title(title)
            panel.set_xlabel("iterations")
        handles, labels = panel.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=3)
    return drawn


def panel(document: dict[str, Any]) -> Panel:
    """``figure`` with its caption."""
    seeds = len({network["seed"] for network in document["networks"]})
    return Panel(
        "belief-and-gap",
        figure(document),
        "Exact gap, 1 - R² of the belief and effect of another belief, against training iterations.",
        f"Mess3, tasks of {document['process']['T'] - 1} draws. Lines are means over {seeds} seeds, "
        "bands their 95% intervals (Student's t; of the first two on the logarithm). The left edge is "
        "the network before training. Gap and 1 - R² of Bayes are 0, its effect is 1.",
    )


def table(document: dict[str, Any]) -> Table:
    """Before, early in, and after training."""
    rows = []
    columns = [list(over_training(document, value, est)) for _, value, est, _ in QUANTITIES]
    for of_cell in zip(*columns, strict=True):
        cell, iterations, _ = of_cell[0]
        for at in (0, len(iterations) // 2, len(iterations) - 1):
            found = [estimates[at] for _, _, estimates in of_cell]
            shown = [f"{_two(e.mean)} {interval(e.ci95, _two)}" for e in found]
            rows.append([CELLS[cell][0], f"{iterations[at]:,}", *shown])
    return Table(
        "Means over seeds [95%]",
        ["network", "iterations", *(title for title, *_ in QUANTITIES)],
        rows,
    )


def _two(value: float | None) -> str:
    """Two digits; what is next to nothing is 0."""
    assert value is not None
    return "0" if abs(value) < 5e-5 else f"{value:.2g}"
