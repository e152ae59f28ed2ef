"""The board of architectures as tables and one figure, from docs/results/architectures.nc."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.intervals import student_share
from analysis.report import markdown
from analysis.report.formats import nats
from analysis.report.report import Panel, Table
from analysis.report.style import BLUE, STYLE, VERMILLION

KEPT = Path(__file__).parent / "results" / "architectures.nc"
TITLES = {
    "dirichlet": "Dirichlet",
    "markov-chain": "Markov chain",
    "mess3": "Mess3",
    "rrxor": "RRXOR",
    "change-points": "change points",
    "task-pool": "task pool",
}
_LOOKS = ((BLUE, "o", "none"), (VERMILLION, "D", "full"))
# What a share closed of 99.9% leaves.
_AIM = 1e-3


def load() -> xr.Dataset:
    """The board; of numbers of symbols those of which every square is done, if there are any."""
    with xr.open_dataset(KEPT, engine="h5netcdf") as found:
        board = found.load()
    done = board["gap"].notnull().all(("process", "cell", "seed"))
    return board.sel(symbols=done) if done.any() else board


def closed(board: xr.Dataset, exact: bool = False) -> xr.DataArray:
    """Share of the memoryless predictor's gap that is closed (process, cell, symbols, seed)."""
    prefix = "exact_" if exact else ""
    gap = board["exact_gap" if exact else "gap"]
    return 1 - gap / board[f"{prefix}memoryless"]


def as_markdown(board: xr.Dataset, folder: Path, link: str) -> str:
    """The page's figure and tables; the figure goes to ``folder``, which the page calls ``link``."""
    parts = [markdown.figure(panel(board), folder, link, "architectures")]
    for symbols in board["symbols"].values[::-1].tolist():
        if board["gap"].sel(symbols=symbols).notnull().any():
            text = markdown.table(share_table(board, symbols), "architectures")
            # Columns of intervals leave no room for a mean and its interval on one line.
            parts.append(text.replace(":class: numbers", ":class: over"))
    if board["exact_gap"].notnull().any():
        parts.append(markdown.table(exact_table(board), "architectures"))
    parts.append(markdown.table(cell_table(board), "architectures"))
    return "\n\n".join(parts) + "\n"


def share_table(board: xr.Dataset, symbols: int) -> Table:
    """Share closed of every cell on every process, with the interval over seeds."""
    shares = closed(board).sel(symbols=symbols)
    processes = board["process"].values
    rows = []
    for cell in board["cell"].values:
        each = [shares.sel(process=process, cell=cell).values for process in processes]
        rows.append([cell, *map(_share, each)])
    streams = json.loads(board.attrs["settings"])["streams"]
    return Table(
        f"Share of the gap closed, in %, after {symbols / 1e6:g} million symbols",
        ["cell", *(TITLES[process] for process in processes)],
        rows,
        f"Mean of {board.sizes['seed']} seeds and its 95% Student t interval, on {streams:,} shared "
        "test streams. Empty: not measured yet.",
    )


def _share(values: np.ndarray) -> str:
    """Mean and interval, per cent; a line may end between the two."""
    if np.isnan(values).any():
        return ""
    found = student_share(values) if len(values) > 1 else None
    if found is None or found.low is None or found.high is None:
        return f"{100 * values.mean():.2f}"
    return f"{100 * values.mean():.2f} [{100 * found.low:.2f},\N{NO-BREAK SPACE}{100 * found.high:.2f}]"


def exact_table(board: xr.Dataset) -> Table:
    """The exact gap where tasks have no end: its first draws."""
    gaps = board["exact_gap"].dropna("symbols", how="all")
    last = int(gaps["symbols"].values[-1])
    means = gaps.sel(symbols=last).mean("seed", skipna=False).dropna("process", how="all")
    rows = [
        [cell, *("" if np.isnan(m) else nats(float(m)) for m in means.sel(cell=cell).values)]
        for cell in board["cell"].values
    ]
    draws = json.loads(board.attrs["settings"])["draws"]
    return Table(
        f"Exact gap of the first {draws} draws, nats, after {last / 1e6:g} million symbols",
        ["cell", *(TITLES[process] for process in means["process"].values)],
        rows,
        "Mean of seeds, over all histories that the process can make: no sampling error. A task of T=20 "
        "with three symbols has 581 million histories, too many for every network here.",
    )


def cell_table(board: xr.Dataset) -> Table:
    """What cells are and cost."""
    rows = []
    for cell in board["cell"].values:
        of = board.sel(cell=cell)
        sizes = sorted({int(v) for v in of["hidden"].values})
        parameters = [int(v) for v in of["parameters"].values]
        rate = float(of["learning_rate"])
        seconds = of["seconds"].mean("process")
        rows.append(
            [
                cell,
                " or ".join(map(str, sizes)),
                f"{min(parameters):,} to {max(parameters):,}",
                "" if np.isnan(rate) else f"{rate:g}",
                *("" if np.isnan(s) else f"{float(s):.0f}" for s in seconds.values),
            ]
        )
    budgets = [f"s, {symbols / 1e6:g} million" for symbols in board["symbols"].values]
    return Table(
        "Cells",
        ["cell", "width", "parameters", "learning rate", *budgets],
        rows,
        "s: processor seconds of one network's training on one core beside other programs, compiling "
        "included, mean over processes.",
    )


def panel(board: xr.Dataset) -> Panel:
    """``figure`` with its caption."""
    return Panel(
        "architectures",
        figure(board),
        "Share of the gap left open by cell, one panel a process.",
        "What is left of the memoryless predictor's gap to Bayes, logarithmic: lower is nearer to "
        "Bayes. A dot is a seed; the dashed line is 0.1%. Parameters are matched to LSTM-32.",
    )


def figure(board: xr.Dataset) -> Figure:
    """One panel a process."""
    left = 1 - closed(board)
    cells = list(board["cell"].values)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 4.6))
        grid: Any = figure.subplots(2, 3, sharex=True, sharey=True)
        for axis, process in zip(grid.ravel(), board["process"].values, strict=True):
            for number, symbols in enumerate(board["symbols"].values.tolist()):
                colour, marker, fill = _LOOKS[number % len(_LOOKS)]
                values = left.sel(process=process, symbols=symbols).values
                at = np.arange(len(cells))[:, None] + 0.24 * (number - 0.5)
                axis.plot(
                    np.broadcast_to(at, values.shape).ravel(),
                    np.maximum(values, 1e-6).ravel(),
                    marker,
                    color=colour,
                    fillstyle=fill,
                    markersize=3.5,
                    label=f"{symbols / 1e6:g} million symbols",
                )
            axis.axhline(_AIM, color="#777777", linestyle="--", linewidth=0.8)
            axis.set_yscale("log")
            axis.set_title(TITLES[process])
            axis.set_xticks(range(len(cells)), cells, rotation=60, ha="right", fontsize=8)
            axis.set_xlim(-0.5, len(cells) - 0.5)
        for axis in grid[:, 0]:
            axis.set_ylabel("share of the gap left")
        grid[0, 0].legend(loc="best")
        return figure
