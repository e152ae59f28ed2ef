"""Tables, figures and sentences of Genewein et al. (2023), from the run's document."""

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
    STYLE,
    VERMILLION,
    log_scale,
)

SOURCES = {
    "partition_tree": "PTW source",
    "live_and_die": "LIN source",
    "change_points": "change points",
}
# name -> label, colour, line
PREDICTORS = {
    "partition_tree": ("PTW", ORANGE, "--"),
    "live_and_die": ("LAD", GREEN, "-."),
    "no_change_points": ("KT", PURPLE, ":"),
    "change_points": ("Bayes", BLACK, "--"),
    "lstm_partition_tree": ("LSTM trained on PTW", VERMILLION, "-"),
    "lstm_live_and_die": ("LSTM trained on LIN", BLUE, "-"),
}


def _regret(found: Document) -> Figure:
    """Cumulative regret of every predictor, networks below the exact ones that they may lie on."""
    curves = found["curves"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.1))
        axes: Any = figure.subplots(1, len(SOURCES))
        labels: dict[str, Any] = {}
        for axis, (source, title) in zip(axes, SOURCES.items(), strict=True):
            for name, regret in curves["regret"][source].items():
                label, colour, line = PREDICTORS[name]
                x = curves["every"] * np.arange(1, len(regret) + 1)
                label = "Bayes of the source" if name == "change_points" else label
                (labels[label],) = axis.plot(
                    x, regret, color=colour, linestyle=line, zorder=2 + (line != "-")
                )
            axis.set(title=title, xlabel="symbols")
            # A predictor that is far off would press the others together.
            top = max(v[-1] for n, v in curves["regret"][source].items() if n != "no_change_points")
            axis.set_ylim(0, 1.25 * top)
        axes[0].set_ylabel("cumulative regret, nats")
        figure.legend(labels.values(), labels, loc="outside lower center", ncols=3)
    return figure


def _by_hazard(found: Document) -> Figure:
    by_hazard = found["curves"]["by_hazard"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.9))
        axis: Any = figure.subplots()
        for name in ("partition_tree", "live_and_die", "no_change_points"):
            label, colour, line = PREDICTORS[name]
            axis.plot(
                by_hazard["hazard"], by_hazard[name], color=colour, linestyle=line, label=label
            )
        axis.set_xscale("log", base=2)
        axis.set(xlabel="hazard", ylabel=f"gap over {found['curves']['length']} symbols, nats")
        log_scale(axis)
        axis.legend()
    return figure


def panels(found: Document) -> Sequence[Panel]:
    """Regret on three sources; the gap of the exact predictors by hazard."""
    return [
        Panel(
            "regret",
            _regret(found),
            "Cumulative regret of PTW, LAD, KT and LSTMs over a stream, one panel a source.",
            "Sums of KL(p || q), p the true probabilities, over the symbols so far. On its own "
            "source PTW, or LAD, is Bayes: nothing is lower. KT believes in no switches, and "
            "leaves the panel.",
        ),
        Panel(
            "by-hazard",
            _by_hazard(found),
            "Gap to Bayes of PTW, LAD and KT on change points, by hazard.",
            "KL(Bayes || q) over a whole stream whose p is drawn anew after each symbol with the "
            "same probability, the hazard. Neither PTW nor LAD is Bayes there; at a hazard of 1 "
            "nothing can be learnt.",
        ),
    ]


def tables(found: Document) -> Sequence[Table]:
    """Gaps of every predictor on every source."""
    curves = found["curves"]
    rows = []
    for name, (label, *_) in PREDICTORS.items():
        if name == "change_points":
            continue
        cells = [_cell(curves["estimates"].get(f"{source}.{name}.gap")) for source in SOURCES]
        rows.append([label, *cells])
    return [
        Table(
            f"Gap to Bayes over {curves['length']} symbols, nats",
            ["predictor", *SOURCES.values()],
            rows,
            f"KL(Bayes || q) on {curves['streams']:,} streams, with 95% intervals over streams; of "
            f"LSTMs over {len(found['seeds'])} seeds.",
        )
    ]


def _cell(estimate: Document | None) -> str:
    if estimate is None:
        return "-"
    if estimate["mean"] < 1e-9:
        return "0 (is Bayes)"
    return f"{estimate['mean']:.3g} {interval(estimate['ci95'], _three)}".strip()


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def says(found: Document) -> Sequence[str]:
    """Where the LSTMs stand between the two, and where LAD is Bayes."""
    estimates, length = found["curves"]["estimates"], found["curves"]["length"]

    def gap(source: str, name: str) -> float:
        value: float = estimates[f"{source}.{name}.gap"]["mean"]
        return value

    out = []
    for source, other in (("partition_tree", "live_and_die"), ("live_and_die", "partition_tree")):
        own, wrong = gap(source, f"lstm_{source}"), gap(source, other)
        regret = estimates[f"{source}.{source}.regret"]["mean"]
        out.append(
            f"{SOURCES[source]}: over {length} symbols the LSTM trained on it is {own:.2g} nats "
            f"behind Bayes, {own / regret:.1%} of Bayes's own regret of {regret:.3g}; "
            f"{PREDICTORS[other][0]}, Bayes of the other source, is {wrong:.2g} behind."
        )
    pairs = [
        f"{gap(source, 'lstm_live_and_die'):.3g} and {gap(source, 'live_and_die'):.3g} nats ({title})"
        for source, title in SOURCES.items()
        if source != "live_and_die"
    ]
    out.append(
        "From Bayes of sources that it never saw the LSTM trained on LIN, and LAD, are "
        f"{', '.join(pairs)}."
    )
    by_hazard = found["curves"]["by_hazard"]
    gaps = by_hazard["live_and_die"]
    least = min(range(1, len(gaps)), key=gaps.__getitem__)
    most = max(range(len(gaps)), key=gaps.__getitem__)
    out.append(
        "LAD is Bayes of its own source alone. On change points it is nearest at a hazard of "
        f"1/{1 / by_hazard['hazard'][least]:.0f} ({gaps[least]:.1f} nats over {length} symbols) "
        f"and farthest at 1/{1 / by_hazard['hazard'][most]:.0f} ({gaps[most]:.1f})."
    )
    return out
