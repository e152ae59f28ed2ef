"""Tables, figures and sentences of Mikulik et al. (2020), from the run's document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.intervals import student_log
from analysis.report.formats import interval, nats
from analysis.report.report import Document, Panel, Table
from analysis.report.style import BLACK, STYLE, VERMILLION, log_scale

# Below it a KL of float32 predictions is none.
_ROUNDING = 1e-12
_WAYS = {
    "bayes_from_state": "Bayes, from the network's state",
    "network_from_belief": "the network, from Bayes's belief",
}
_OF = {
    "network": ("KL(network || that)", VERMILLION, "-", "o"),
    "bayes": ("KL(Bayes || that)", BLACK, "--", "s"),
}


def _figure(found: Document) -> Figure:
    curves = found["curves"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.2))
        axes: Any = figure.subplots(1, 2, sharey=True)
        for axis, (way, title) in zip(axes, _WAYS.items(), strict=True):
            for of, (label, colour, line, marker) in _OF.items():
                each = np.array(curves["by_draws"][way][of])
                bounds = np.array([student_log(column).bounds for column in each.T])
                # With one draw both know the same: 0, or what rounding makes of it.
                bounds[bounds[:, 0] < _ROUNDING] = np.nan
                mean, low, high = bounds.T
                x = curves["draws"]
                axis.plot(x, mean, line, color=colour, marker=marker, label=label)
                axis.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
            axis.axhline(curves["identity"]["mean"], color="#777777", linestyle=":")
            axis.set(xlabel="draws before the state is mapped")
            log_scale(axis)
            axis.set_title(f"that: {title}")
        axes[0].set_ylabel("nats a symbol")
        axes[0].legend()
    return figure


def panels(found: Document) -> Sequence[Panel]:
    """Both simulations by when they start."""
    return [
        Panel(
            "simulation",
            _figure(found),
            "KL to both simulations against the number of draws after which they start.",
            f"An LSTM of {found['curves']['hidden']} units and Bayes, each run on from the other's "
            "state for the rest of a task. The dotted line is KL(network || Bayes). Means over "
            f"{len(found['seeds'])} seeds, bands their 95% intervals (Student's t of the logarithm). "
            "What is 0 up to rounding is left out.",
        )
    ]


def tables(found: Document) -> Sequence[Table]:
    """Both ways, of trained and of untrained networks."""
    rows = []
    for name in ("trained", "untrained"):
        for way, title in _WAYS.items():
            shown = []
            for of in _OF:
                row = found["curves"]["rows"][f"{way}.{name}.{of}"]
                shown.append(f"{nats(row['mean'])} {interval(row['ci95'])}".strip())
            rows.append([f"{name}: {title}", *shown])
    return [
        Table(
            "Simulation both ways, nats a symbol [95%]",
            ["simulation", *(label for label, *_ in _OF.values())],
            rows,
            f"Maps are fitted on {found['curves']['fitted']:,} tasks and judged on "
            f"{found['curves']['tasks']:,} others.",
        )
    ]


def says(found: Document) -> Sequence[str]:
    """Whether each simulates the other."""
    rows = {key: row["mean"] for key, row in found["curves"]["rows"].items()}
    behaviour = rows["identity.trained.network_bayes"]
    forth = rows["bayes_from_state.trained.network"]
    back = rows["network_from_belief.trained.network"]
    untrained, trained = (rows[f"bayes_from_state.{of}.bayes"] for of in ("untrained", "trained"))
    return [
        f"The network is {nats(behaviour)} nats a symbol from Bayes. Bayes run on from its state is "
        f"{nats(forth)} from it, {forth / behaviour:.1f} times that; the network run on from Bayes's "
        f"belief {nats(back)}, {back / behaviour:.1f} times.",
        "The map alone does much, as an untrained network shows: Bayes run on from its state is "
        f"{nats(untrained)} nats a symbol from Bayes, from the trained one's {nats(trained)}.",
    ]
