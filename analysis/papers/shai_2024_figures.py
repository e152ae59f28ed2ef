"""Tables, figures and sentences of Shai et al. (2024), from the run's document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.intervals import Estimate, student, student_log
from analysis.report.formats import interval
from analysis.report.report import Document, Panel, Table
from analysis.report.style import BLUE, STYLE, VERMILLION, log_scale

Row = dict[str, Any]
_CELLS = {"transformer": ("transformer", VERMILLION, "-"), "lstm": ("LSTM", BLUE, "--")}
_PROCESSES = {"mess3": "Mess3", "rrxor": "Random-random-XOR"}
# Of each process: what the R² is read off, and its key in a row.
_READ = {"mess3": ("last layer", "r2"), "rrxor": ("all layers", "r2_layers")}
# Corners of the triangle.
_CORNERS = np.array([[0.5, np.sqrt(3) / 2], [0.0, 0.0], [1.0, 0.0]])


def _value(key: str, left_of_one: bool = False) -> Callable[[Row], float]:
    """A number of a row, or 1 less it."""
    return lambda row: 1 - row[key] if left_of_one else row[key]


def _over_training(
    found: Document, process: str, cell: str, value: Callable[[Row], float], over: Any = student_log
) -> tuple[list[int], list[Estimate]]:
    """Iterations, and the estimate over seeds after each."""
    seeds = [
        n["rows"]
        for n in found["curves"]["networks"]
        if (n["process"], n["cell"]) == (process, cell)
    ]
    return (
        [row["iterations"] for row in seeds[0]],
        [over(np.array([value(row) for row in rows])) for rows in zip(*seeds, strict=True)],
    )


def _curves(found: Document) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.4))
        grid: Any = figure.subplots(2, 2, sharex=True)
        for (left, right), (process, name) in zip(grid, _PROCESSES.items(), strict=True):
            layers, key = _READ[process]
            for axis, value in ((left, _value("gap")), (right, _value(key, left_of_one=True))):
                for cell, (label, colour, line) in _CELLS.items():
                    iterations, estimates = _over_training(found, process, cell, value)
                    x = np.maximum(iterations, iterations[1] / 3)
                    mean, low, high = np.array([e.bounds for e in estimates]).T
                    axis.plot(x, mean, color=colour, linestyle=line, label=label)
                    axis.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
                axis.set(xscale="log")
                log_scale(axis)
            left.set_title(name)
            right.set_title(name)
            left.set_ylabel("exact gap, nats a symbol")
            right.set_ylabel(f"1 - R², {layers}")
        for axis in grid[-1]:
            axis.set_xlabel("iterations")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _triangles(found: Document) -> Figure:
    pictures = {k: np.array(v) for k, v in found["curves"]["pictures"].items()}
    colours = np.clip(pictures["exact"], 0, 1)
    titles = {"exact": "exact", "transformer": "read: transformer", "lstm": "read: LSTM"}
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(7.4, 2.6))
        axes: Any = figure.subplots(1, len(pictures), sharex=True, sharey=True)
        for axis, (name, values) in zip(axes, pictures.items(), strict=True):
            axis.plot(*_CORNERS[[0, 1, 2, 0]].T, color="#999999", linewidth=0.6)
            axis.scatter(*(values @ _CORNERS).T, c=colours, s=4, linewidths=0)
            axis.set_title(titles[name], loc="center")
            axis.set_aspect("equal")
            axis.set_axis_off()
    return figure


def panels(found: Document) -> Sequence[Panel]:
    """Gap and read-out over training; the triangle of Mess3."""
    seeds = len(found["seeds"])
    return [
        Panel(
            "triangle",
            _triangles(found),
            "Beliefs of Mess3 in a triangle: exact, and as read off a transformer and an LSTM.",
            "p(state | past) of Mess3: the nearer to a corner, the likelier that state. A dot a "
            "history, drawn as often as it comes, coloured by the exact belief in every panel.",
        ),
        Panel(
            "training",
            _curves(found),
            "Exact gap, and 1 - R² of the beliefs that a line reads, over training.",
            f"Means over {seeds} seeds, bands their 95% intervals (Student's t of the logarithm). The "
            "left edge is before training. Bayes has a gap and a 1 - R² of 0.",
        ),
    ]


def tables(found: Document) -> Sequence[Table]:
    """Before, within and after training."""
    rows = []
    for process, name in _PROCESSES.items():
        key = _READ[process][1]
        for cell, (label, _, _) in _CELLS.items():
            iterations, gaps = _over_training(found, process, cell, _value("gap"))
            _, scores = _over_training(found, process, cell, _value(key), student)
            for at in sorted({0, 1, len(iterations) // 2, len(iterations) - 1}):
                shown = [_shown(gaps[at], 2), _shown(scores[at], 4)]
                rows.append([f"{name}, {label}", f"{iterations[at]:,}", *shown])
    return [
        Table(
            "Over training, means over seeds [95%]",
            ["network", "iterations", "exact gap, nats a symbol", "R²"],
            rows,
            "Over every history of up to nine symbols, weighted by its probability: without sampling "
            "error. R² of Mess3 from the last layer, of random-random-XOR from all layers.",
        )
    ]


def _shown(estimate: Estimate, digits: int) -> str:
    def form(value: float | None) -> str:
        return "-" if value is None else f"{value:.{digits}g}"

    return f"{form(estimate.mean)} {interval(estimate.ci95, form)}".strip()


def says(found: Document) -> Sequence[str]:
    """What moves while R² does not; what the numbers of distances can be."""
    out = []
    for cell, (label, _, _) in _CELLS.items():
        iterations, gaps = _over_training(found, "mess3", cell, _value("gap"), student)
        _, scores = _over_training(found, "mess3", cell, _value("r2"), student)
        gap, r2 = ([e.mean or 0.0 for e in each] for each in (gaps, scores))
        out.append(
            f"Mess3, {label}: before training a line reads the beliefs with an R² of {r2[0]:.3f}, after "
            f"{iterations[-1]:,} iterations with {r2[-1]:.4f}. The exact gap falls from {gap[0]:.2f} to "
            f"{gap[-1]:.5f} nats meanwhile, by a factor of {gap[0] / gap[-1]:,.0f}."
        )
    exact = found["curves"]["distance_exact"]
    out.append(
        "Beliefs of random-random-XOR that were read exactly would have an R² of 1 with their own "
        f"distances and of {exact:.2f} with those of the next symbol's probabilities: the second number "
        "is the process's, and above it what is read still leans to the next symbol."
    )
    return out
