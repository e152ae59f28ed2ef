"""Tables, figures and sentences of Edelman et al. (2024), from the run's document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.intervals import Estimate, student_log
from analysis.report.formats import nats
from analysis.report.report import Document, Panel, Table
from analysis.report.style import BLACK, BLUE, GREEN, PURPLE, STYLE, VERMILLION, log_scale

_RULES = {
    "uniform": ("uniform", GREEN, ":"),
    "unigram": ("unigram", BLUE, "-."),
    "bigram": ("bigram", PURPLE, "--"),
    "bayes": ("Bayes", BLACK, "-"),
}


def _distances(found: Document, rule: str) -> tuple[list[int], list[Estimate]]:
    """Iterations, and KL(rule || network) over seeds after each, nats a symbol."""
    seeds = found["curves"]["phases"]
    return (
        [row["iterations"] for row in seeds[0]],
        [student_log(np.array([row[rule] for row in rows])) for rows in zip(*seeds, strict=True)],
    )


def _phases(found: Document) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.4))
        axis: Any = figure.subplots()
        for rule, (label, colour, line) in _RULES.items():
            iterations, estimates = _distances(found, rule)
            x = np.maximum(iterations, iterations[1] / 2)
            mean, low, high = np.array([e.bounds for e in estimates]).T
            axis.plot(x, mean, color=colour, linestyle=line, label=label)
            axis.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.set(xscale="log", xlabel="iterations")
        log_scale(axis)
        axis.set_ylabel("KL(rule || network), nats a symbol")
        axis.legend()
    return figure


def _excess(found: Document) -> Figure:
    looks = {"2": ("two symbols", VERMILLION, "-", "o"), "3": ("three symbols", BLUE, "--", "s")}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.0))
        axis: Any = figure.subplots()
        for K, values in found["curves"]["excess"].items():
            label, colour, line, marker = looks[K]
            places = np.arange(1, len(values) + 1)
            axis.plot(places, values, line, color=colour, marker=marker, label=label)
        axis.set(xlabel="draw", ylim=(0, None))
        axis.set_ylabel("KL(Bayes || bigram rule), nats")
        axis.legend()
    return figure


def panels(found: Document) -> Sequence[Panel]:
    """What the rule costs; phases of training."""
    draws = found["curves"]["T"] - 1
    return [
        Panel(
            "excess",
            _excess(found),
            "KL from Bayes to the bigram rule by draw: none at the first, most at the second.",
            "Mean over all histories, without sampling error. At the first draw the two are the same.",
        ),
        Panel(
            "phases",
            _phases(found),
            "KL from four rules to a transformer over its training.",
            f"Three symbols, {draws} draws, a transformer of 32 units; the lowest line is the rule that "
            f"the network is nearest to. Means over {len(found['seeds'])} seeds, bands their 95% "
            "intervals (Student's t of the logarithm). The left edge is before training.",
        ),
    ]


def tables(found: Document) -> Sequence[Table]:
    """The distances after every stage."""
    columns = {rule: _distances(found, rule) for rule in _RULES}
    iterations = columns["bayes"][0]
    rows = [
        [f"{done:,}", *(nats(estimates[at].mean) for _, estimates in columns.values())]
        for at, done in enumerate(iterations)
    ]
    return [
        Table(
            "KL(rule || network), nats a symbol",
            ["iterations", *(label for label, *_ in _RULES.values())],
            rows,
            "Means over seeds, on shared streams.",
        )
    ]


def says(found: Document) -> Sequence[str]:
    """What the rule costs, and which one a network ends at."""
    curves = found["curves"]
    two, three = (np.array(curves["excess"][K]) for K in ("2", "3"))
    end = {rule: _distances(found, rule)[1][-1].mean or 0.0 for rule in ("bigram", "bayes")}
    nearer = "Bayes" if end["bayes"] < end["bigram"] else "the bigram rule"
    gaps = {cell: float(np.mean(each)) for cell, each in curves["gaps"].items()}
    below = [cell for cell, gap in gaps.items() if gap < two.mean()]
    out = [
        f"The bigram rule is not Bayes: with two symbols it loses {two.max():.4f} nats at the second "
        f"draw and {two.sum():.3f} over the ten after the first, with three {three.max():.4f} and "
        f"{three.sum():.3f} (their quadrature is good to {curves['quadrature_error']:.0e}).",
        f"At its end the network on {curves['T'] - 1} draws is nearer to {nearer}: "
        f"{nats(end['bayes'])} nats a symbol from Bayes, {nats(end['bigram'])} from the bigram rule.",
    ]
    if below:
        cells = " and ".join({"lstm": "LSTM"}.get(cell, cell) for cell in below)
        numbers = " and ".join(nats(gaps[cell]) for cell in below)
        out.append(
            f"On tasks of eleven draws {cells} end {numbers} nats a symbol from Bayes, less than the "
            f"bigram rule's {nats(float(two.mean()))}: the first symbol is used as Bayes uses it."
        )
    return out
