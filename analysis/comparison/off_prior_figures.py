"""The figure of ``analysis.comparison.off_prior``."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure

from analysis.comparison.off_prior import OffPrior
from analysis.report.style import STYLE, log_scale, look


def gaps(off: OffPrior) -> Figure:
    """A row for each kind of test stream, gaps in nats on a log axis."""
    rows = [r for r in off.rows if r.infinite or (r.estimates["gap.network"].mean or 0) > 0]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.27 * len(rows) + 1.3))
        axis = figure.subplots()
        colour, memoryless = look("network")[1], look("memoryless")[1]
        for y, row in enumerate(rows):
            gap = row.estimates["gap.network"]
            mean, low, high = gap.bounds
            if low > 0:
                axis.plot([low, high], [y, y], color=colour, linewidth=2.5, alpha=0.5)
            first = y == 0
            axis.plot(mean, y, "o", color=colour, label="network" if first else None)
            if row.symbols_gap and row.symbols_gap > 0:
                axis.plot(
                    row.symbols_gap,
                    y,
                    "s",
                    color=colour,
                    markerfacecolor="none",
                    markersize=7,
                    label="its part over the symbols" if first else None,
                )
            other = row.estimates["gap.memoryless"].mean
            if other and other > 1e-12:  # where it is Bayes, what is left is rounding
                axis.plot(other, y, "x", color=memoryless, label="memoryless" if first else None)
        names = ["as trained" if r.kind == "own" else r.name for r in rows]
        names = [f"{n}: infinite" if r.infinite else n for n, r in zip(names, rows, strict=True)]
        axis.set_yticks(range(len(rows)), names)
        axis.invert_yaxis()
        for y in range(1, len(rows)):
            if _group(rows[y].kind) != _group(rows[y - 1].kind):
                axis.axhline(y - 0.5, color="#999999", linewidth=0.8)
        log_scale(axis, "x")
        axis.set_xlabel("KL(Bayes || predictor), nats a drawn symbol")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _group(kind: str) -> str:
    """Streams that stand together: those of references do."""
    return kind if kind in ("own", "alpha", "p", "T") else "reference"
