"""What the benchmarks measured, as tables and one figure for the documentation.

Documents are those of benchmarks/results. One that is not there leaves its place on the page empty.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis.report.report import Panel, Table
from analysis.report.style import BLUE, STYLE, VERMILLION

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
JOBS = {
    "streams-8": "streams, batch 8 x 100 symbols",
    "streams-64": "streams, batch 64 x 100 symbols",
    "pixels-64": "images, batch 64 x 783 pixels",
    "pixels-256": "images, batch 256 x 783 pixels",
}


def training_table(document: dict[str, Any]) -> Table:
    """Milliseconds a training step, beside PyTorch."""
    rows = []
    for cell, jobs in document["jobs"].items():
        for job, row in jobs.items():
            ms = row["milliseconds"]
            rows.append(
                [
                    f"{cell.upper()}, {JOBS.get(job, job)}",
                    *(f"{ms[side]['median']:.2f}" for side in ("ours", "pytorch")),
                    f"{row['ratio_to_pytorch']['ours']:.2f}",
                ]
            )
    return Table(
        f"Milliseconds a training step on {where(document)}, medians",
        ["job", "meta-learn", f"PyTorch {document['torch'].split('+')[0]}", "ratio"],
        rows,
        "32 units, read-out 64, Adam, float32. Both take turns in one run; a ratio "
        "below 1 means that meta-learn needs less time.",
    )


def start_table(document: dict[str, Any]) -> Table:
    """Seconds of whole commands."""
    names = {
        "help": "`meta-learn --help`",
        "compare, cold": "`meta-learn compare`, empty cache: compiles and trains",
        "compare, repeated": "the same again: network and programs from the cache",
    }
    rows = [
        [names[name], *(f"{found[k]:.2f}" for k in ("median", "min", "max"))]
        for name, found in document["seconds"].items()
    ]
    return Table(
        f"Seconds from start to end of a command on {where(document)}",
        ["command", "median", "least", "most"],
        rows,
        f"With `{' '.join(document['arguments'][1:])}` and its report.",
    )


def optimizer_table(document: dict[str, Any]) -> Table:
    """A step's time by width, and the optimiser's share in it."""
    rows, names = [], ("soap", "soap, whole sides")
    for run in document["runs"]:
        ms, share = run["milliseconds"], run["share"]
        rows.append(
            [
                f"{run['cell'].upper()}, {run['hidden']}",
                *(f"{ms[n]:.2f}" if n in ms else "" for n in ("none", "adam", *names)),
                *(f"{100 * share[n]:.0f}%" if n in share else "" for n in names),
            ]
        )
    return Table(
        "Milliseconds of a step of the default recipe, by width",
        ["network", "gradient", "Adam", "SOAP", "whole sides", "SOAP's share", "whole sides'"],
        rows,
        "Batch 4 x 100. Milliseconds of the processor on one core, the least of some turns, "
        "refreshments of the bases included. Whole sides: one basis a side, however long. "
        f"{where(document)}.",
    )


def widths_table(document: dict[str, Any]) -> Table:
    """The gap of the default recipe by width, beside Adam's at the better of its learning rates."""
    rows = []
    for hidden, runs in document["runs"].items():
        named = [("SOAP", run) for name, run in runs.items() if name == "soap"]
        others = {name: run for name, run in runs.items() if name != "soap"}
        if len(others) > 1:  # both learning rates
            best = min(others, key=lambda name: np.mean(others[name]["gap"]))
            named.append((best.capitalize(), others[best]))
        for label, run in named:
            gap = np.array(run["gap"])
            closed = 100 * (1 - gap / run["memoryless"])
            rows.append(
                [
                    f"LSTM, {hidden}",
                    label,
                    f"{len(gap)}",
                    f"{1e5 * gap.mean():.2f}",
                    f"{closed.mean():.3f}%",
                    f"{closed.min():.3f} to {closed.max():.3f}%",
                    f"{run['seconds']:.0f}",
                ]
            )
    return Table(
        f"The gap after {document['symbols'] / 1e6:g} million symbols, by width",
        [
            "network",
            "optimiser",
            "seeds",
            "gap, 1e-5 nats",
            "closed",
            "of each seed",
            "CPU seconds",
        ],
        rows,
        f"alpha=(10,1,1), T=20; {document['streams']:,} test streams; seconds of training, a seed. "
        "Adam: the same recipe with Adam in SOAP's place, at the better of two peak learning rates "
        f"(on these seeds, which favours it). {where(document)}.",
    )


def growth_figure(document: dict[str, Any]) -> Figure:
    """Time, and memory above what was there before the work, against what grows; logarithmic."""
    axes = document["axes"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 1.95 * math.ceil(len(axes) / 2) + 0.5))
        grid = figure.subplots(math.ceil(len(axes) / 2), 2, squeeze=False).ravel()
        for axis, panel in zip(axes.values(), grid, strict=False):
            _draw_axis(panel, axis)
        for panel in grid[len(axes) :]:
            panel.set_axis_off()
    return figure


def _draw_axis(panel: Axes, axis: dict[str, Any]) -> None:
    points = axis["points"]
    values = [p["value"] for p in points]
    times = [1e3 * p["seconds"]["median"] for p in points]
    memory = [p["memory_peak_mib"] - p["memory_before_mib"] for p in points]
    panel.plot(values, times, color=BLUE, marker="o")
    right = panel.twinx()
    right.plot(values, memory, color=VERMILLION, linestyle="--", marker="s")
    if max(values) / min(values) > 8:  # missing pixels stay on a plain axis
        panel.set_xscale("log")
    panel.set_xticks(values, [f"{v:,}" for v in values])
    panel.xaxis.set_minor_locator(NullLocator())
    for side, scale_to in ((panel, times), (right, memory)):
        side.set_yscale("log")
        side.yaxis.set_minor_locator(NullLocator())
        side.set_ylim(min(scale_to) / 2, max(max(scale_to) * 2, min(scale_to) * 20))
    panel.set_title(axis["about"])
    panel.set_xlabel(axis["label"])
    panel.set_ylabel(f"— ms a {axis['unit']}", color=BLUE)
    right.set_ylabel("- - MiB more", color=VERMILLION)
    right.spines["right"].set_visible(True)
    right.grid(visible=False)


def growth_panel(document: dict[str, Any]) -> Panel:
    """``growth_figure`` with its caption."""
    return Panel(
        "growth",
        growth_figure(document),
        "Time and memory against sequence length, batch, width, missing pixels, images and streams.",
        "One thing grows in each panel. Time (left, solid): the median, without compiling. Memory "
        "(right, dashed): the largest resident size of the process above what it was before the work, "
        f"compiling included. {where(document)}.",
    )


def growth_table(document: dict[str, Any]) -> Table:
    """The first and the last point of every axis."""
    rows = []
    for axis in document["axes"].values():
        first, last = axis["points"][0], axis["points"][-1]
        ends = [
            f"{_time(p['seconds']['median'])}, {p['memory_peak_mib']:.0f}\N{NO-BREAK SPACE}MiB"
            for p in (first, last)
        ]
        span = f"{axis['label']}: {first['value']:,} to {last['value']:,}"
        rows.append([axis["about"], span, *ends])
    return Table(
        "The ends of each curve: time, and the whole process's memory",
        ["work", "what grows", "at the first", "at the last"],
        rows,
    )


def _time(seconds: float) -> str:
    value, unit = (seconds, "s") if seconds >= 1 else (1e3 * seconds, "ms")
    return f"{value:.3g}\N{NO-BREAK SPACE}{unit}"


def where(document: dict[str, Any]) -> str:
    """The machine, in words."""
    machine = document.get("machine")
    if not isinstance(machine, dict):
        return f"{document.get('cores', 'unknown')} cores"
    return f"{machine['cores']} cores ({machine['processor']})"
