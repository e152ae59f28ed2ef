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
from analysis.report.style import BLUE, STYLE, VERMILLION

Row = dict[str, Any]
_CELLS = {"transformer": ("transformer", VERMILLION, "-"), "lstm": ("LSTM", BLUE, "--")}
_PROCESSES = {"mess3": "Mess3", "rrxor": "Random-random-XOR"}
# title, key of a row, its interval over seeds
_QUANTITIES: tuple[tuple[str, Callable[[Row], float], Callable[..., Estimate]], ...] = (
    ("exact gap, nats a symbol", lambda row: row["gap"], student_log),
    ("1 - R², last layer", lambda row: 1 - row["r2"], student_log),
    ("1 - R², all layers", lambda row: 1 - row["r2_layers"], student_log),
)
# Corners of the triangle.
_CORNERS = np.array([[0.5, np.sqrt(3) / 2], [0.0, 0.0], [1.0, 0.0]])


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
        figure = Figure(figsize=(7.4, 4.6))
        grid: Any = figure.subplots(2, 3, sharex=True)
        for line_of, (process, name) in zip(grid, _PROCESSES.items(), strict=True):
            for axis, (title, value, over) in zip(line_of, _QUANTITIES, strict=True):
                for cell, (label, colour, line) in _CELLS.items():
                    iterations, estimates = _over_training(found, process, cell, value, over)
                    x = np.maximum(iterations, iterations[1] / 3)
                    mean, low, high = np.array([e.bounds for e in estimates]).T
                    axis.plot(x, mean, color=colour, linestyle=line, label=label)
                    axis.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
                axis.set(xscale="log", yscale="log")
                if process == "mess3":
                    axis.set_title(title)
                else:
                    axis.set_xlabel("iterations")
            line_of[0].set_ylabel(name)
        handles, labels = axis.get_legend_handles_labels()
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
            "p(state | past) of Mess3: the nearer to a corner, the likelier that state. A dot a history, "
            "drawn as often as it comes, coloured by the exact belief in every panel.",
        ),
        Panel(
            "training",
            _curves(found),
            "Exact gap, and 1 - R² from the last and from all layers, over training, by process and cell.",
            f"Means over {seeds} seeds, bands their 95% intervals (Student's t of the logarithm). The left "
            "edge is before training. Bayes has gap and 1 - R² of 0.",
        ),
    ]


def tables(found: Document) -> Sequence[Table]:
    """Before, within and after training."""
    rows = []
    for process, name in _PROCESSES.items():
        for cell, (label, _, _) in _CELLS.items():
            columns = [_over_training(found, process, cell, v, over) for _, v, over in _QUANTITIES]
            iterations = columns[0][0]
            for at in sorted({0, len(iterations) // 2, len(iterations) - 1}):
                shown = [_shown(estimates[at]) for _, estimates in columns]
                rows.append([f"{name}, {label}", f"{iterations[at]:,}", *shown])
    return [
        Table(
            "Over training, means over seeds [95%]",
            ["network", "iterations", *(title for title, *_ in _QUANTITIES)],
            rows,
            "All are over every history of up to nine symbols, weighted by its probability: without "
            "sampling error.",
        )
    ]


def _shown(estimate: Estimate) -> str:
    def two(value: float | None) -> str:
        return "-" if value is None else f"{value:.2g}"

    return f"{two(estimate.mean)} {interval(estimate.ci95, two)}".strip()


def says(found: Document) -> Sequence[str]:
    """What moves while R² does not."""
    out = []
    for cell, (label, _, _) in _CELLS.items():
        iterations, gaps = _over_training(found, "mess3", cell, lambda row: row["gap"], student)
        _, scores = _over_training(found, "mess3", cell, lambda row: row["r2"], student)
        gap, r2 = ([e.mean or 0.0 for e in each] for each in (gaps, scores))
        first = next((n for n, value in enumerate(r2) if value > 0.9), len(r2) - 1)
        out.append(
            f"Mess3, {label}: from iteration {iterations[first]:,} to {iterations[-1]:,} R² goes from "
            f"{r2[first]:.3f} to {r2[-1]:.4f}, and the exact gap falls by a factor of "
            f"{gap[first] / gap[-1]:.0f}."
        )
    out.append(
        "If the beliefs of random-random-XOR were read exactly, their distances would have a squared "
        f"correlation of {found['curves']['distance_exact']:.2f} with those of the next symbol's "
        "probabilities: that number is the process's, not the network's."
    )
    return out
