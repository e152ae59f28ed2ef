"""Tables, figures and sentences of Chlon et al. (2025), from the run's document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.report.formats import interval
from analysis.report.report import Document, Panel, Table
from analysis.report.style import BLUE, GREEN, ORANGE, STYLE, VERMILLION, log_scale

# name -> label, colour, line
NETWORKS = {
    "one_layer": ("No positions, one layer", GREEN, "-"),
    "unplaced": ("No positions, two layers", BLUE, "--"),
    "distance": ("Bias by distance", VERMILLION, "-."),
    "rotary": ("Rotary positions", ORANGE, ":"),
}
_ORDERS = {"variance": "all orders", "variance_last": "orders that end alike"}


def _variances(found: Document) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.0))
        axes: Any = figure.subplots(1, 2, sharey=True)
        for axis, (key, title) in zip(axes, _ORDERS.items(), strict=True):
            for network in found["curves"]["networks"]:
                label, colour, line = NETWORKS[network["kind"]]
                mean = np.array([row[key] for row in network["rows"]]).mean(0)
                x = np.arange(found["curves"]["draws"] - len(mean), found["curves"]["draws"])
                axis.plot(x, mean, color=colour, linestyle=line, label=label)
            axis.axhspan(1e-8, 1e-6, color="#bbbbbb", alpha=0.4, linewidth=0)
            axis.axhline(1e-16, color="#999999", linewidth=0.8)
            axis.set(title=title, xlabel="symbols before")
            log_scale(axis)
        axes[0].set_ylabel("variance of q(1)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def panels(found: Document) -> Sequence[Panel]:
    """Variances over orders by the length of the history."""
    return [
        Panel(
            "orders",
            _variances(found),
            "Variance of the prediction over orders of the same symbols, by their number: over "
            "all orders, and over those that end with the same symbol; one line a kind of "
            "transformer.",
            "Means over seeds and counts, over all histories. Grey: what the paper prints, a line "
            "without positions, a band with them.",
        )
    ]


def tables(found: Document) -> Sequence[Table]:
    """Variances, gap, and the part of it that is order."""
    estimates = found["curves"]["estimates"]
    rows = []
    for network in found["curves"]["networks"]:
        kind = network["kind"]
        of = {key: estimates[f"{kind}.{key}"] for key in (*_ORDERS, "gap", "order")}
        shown = [f"{_two(of[k]['mean'])} {interval(of[k]['ci95'], _two)}".strip() for k in _ORDERS]
        shown += [_two(of[key]["mean"]) for key in ("gap", "order")]
        rows.append([NETWORKS[kind][0], *shown])
    return [
        Table(
            "Orders of the same symbols",
            ["network", "variance, all orders", "that end alike", "exact gap, nats", "of it order"],
            rows,
            f"Means over {len(found['seeds'])} seeds [95%]. All histories of up to "
            f"{found['curves']['draws'] - 1} symbols. Of it order: what of the gap no function of "
            "the counts has.",
        )
    ]


def _two(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2g}" if value >= 1e-3 else f"{value:.1e}"


def says(found: Document) -> Sequence[str]:
    """Whether 1e-16 can be had, and from what."""
    estimates = found["curves"]["estimates"]

    def mean(key: str) -> float:
        value: float = estimates[key]["mean"]
        return value

    return [
        "A causal transformer without positions is not free of order. Of two layers, the first "
        "sees at every symbol those before it alone, and the second reads that: variance "
        f"{mean('unplaced.variance'):.1e}. Of one layer, what is left is the last symbol, which "
        f"asks the question: {mean('one_layer.variance'):.1e} over all orders.",
        "Rounding of float32, as the published 1e-16 must be, is what one layer leaves over orders "
        f"that end alike: {mean('one_layer.variance_last'):.1e}. There attention is a sum over a set. "
        "A query symbol that is always the same would do it, too, or attention without the causal mask.",
        f"With positions the variance is {mean('distance.variance'):.1e} (bias by distance) and "
        f"{mean('rotary.variance'):.1e} (rotary). Order is "
        f"{mean('distance.order') / mean('distance.gap'):.0%} and "
        f"{mean('rotary.order') / mean('rotary.gap'):.0%} of their exact gaps, and "
        f"{mean('unplaced.order') / mean('unplaced.gap'):.0%} without positions.",
    ]
