"""The report of a sweep: sentences, tables, panels."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from analysis.comparison.tables import infinite, no_share
from analysis.report.formats import interval, nats, network_name, percent
from analysis.report.report import Document, Panel, Report, Table
from analysis.sweep.choices import axis_title
from analysis.sweep.grid import NETWORK_AXES, text_of
from analysis.sweep.results import document, to_datatree
from autoregressive.errors import counted

if TYPE_CHECKING:
    import xarray

    from analysis.sweep.sweep import Sweep

_HEADS = {"hidden": "units"}
_BEST = "The nearest network to Bayes of each process"


def title_of(sweep: Sweep) -> str:
    """What was swept, for headings."""
    several = [
        f"{_HEADS.get(name, name)} ({len(values)})"
        for name, values in sweep.grid.axes.items()
        if len(values) > 1
    ]
    return f"Sweep over {', '.join(several)}" if several else "Sweep of one point"


def headline(sweep: Sweep) -> str:
    """The answer in some sentences."""
    points, seeds = len(sweep.grid.points), len(sweep.seeds)
    targets = ", trained on the oracle" if sweep.grid.recipe.targets == "oracle" else ""
    text = f"{points} points, {counted(seeds, 'network')} each{targets}. "
    done = [d for d in _documents(sweep) if "failed" not in d]
    failed = points - len(done)
    if failed:
        text += f"Training diverged at {failed} of them. "
    endless = sum(d["gap"]["mean"] is None and bool(d["gap"]["by_position"]) for d in done)
    if endless:
        text += f"The gap is infinite at {endless} of them. "
    done = [d for d in done if d["gap_closed"]["mean"] is not None]
    if not done:
        return (
            text.strip()
            if endless
            else text + "There is no share of the gap to close at any of them."
        )
    best, worst = (pick(done, key=lambda d: d["gap_closed"]["mean"]) for pick in (max, min))
    text += (
        f"The share of the gap closed is largest for {_setting(sweep, best)}: "
        f"{_closed(best)}, gap {nats(best['gap']['mean'])} nats a symbol"
    )
    if len(done) == 1:
        return text + "."
    return f"{text}; and smallest for {_setting(sweep, worst)}: {_closed(worst)}."


def tables(sweep: Sweep) -> list[Table]:
    """The best of each process where there is more than one network, and every point."""
    axes = [name for name, values in sweep.grid.axes.items() if len(values) > 1]
    head = [_HEADS.get(name, name) for name in axes] or ["network"]
    closed, gaps, resets = [], [], []
    for point, numbers in zip(_places(sweep), _documents(sweep), strict=True):
        row = [text_of(point[name]) for name in axes] or [network_name(numbers)]
        if "failed" in numbers:
            closed.append([*row, "diverged", ""])
            gaps.append([*row, "diverged", ""])
            resets.append([*row, "diverged", ""])
            continue
        share, gap, reset = numbers["gap_closed"], numbers["gap"], numbers["reset"]
        closed.append(
            [*row, percent(share["mean"], no_share(numbers)), interval(share["ci95"], percent)]
        )
        gaps.append([*row, nats(gap["mean"], infinite(numbers)), interval(gap["ci95"])])
        resets.append([*row, nats(reset["leak"]), nats(reset["miss"])])
    over = (
        "seeds (Student t on the logarithm)" if len(sweep.seeds) > 1 else "test streams (bootstrap)"
    )
    note = f"Intervals are over {over}."
    out = [
        Table(
            "Share of the gap closed",
            [*head, "closed", "95% interval"],
            closed,
            f"1 - gap(network) / gap(memoryless). {note}",
        ),
        Table(
            "Gap KL(Bayes || network), nats a drawn symbol",
            [*head, "gap", "95% interval"],
            gaps,
            note,
        ),
        Table(
            "RESET",
            [*head, "leak", "miss"],
            resets,
            "Means of probabilities. Leak: p(RESET) before its place; miss: 1 - p(RESET) at its place.",
        ),
    ]
    best = _best(sweep)
    return [best, *out] if best else out


def view(sweep: Sweep) -> str:
    """A sweep as a notebook shows it."""
    from analysis.report.views import html_view

    return html_view(title_of(sweep), headline(sweep), tables(sweep))


def make_report(sweep: Sweep, seed: int) -> Report:
    """What there is to say of a sweep. seed: of the test streams."""
    tree = cache(lambda: to_datatree(sweep))
    return Report(
        "sweep",
        title_of(sweep),
        headline(sweep),
        document(sweep),
        tables(sweep),
        panels=lambda: panels(tree()),
        trees=lambda: {"sweep": tree()},
        seeds=list(sweep.seeds),
        run={"test_seed": seed},
    )


def panels(tree: xarray.DataTree) -> list[Panel]:
    """The figures of a sweep's labelled arrays."""
    from analysis.sweep import figures

    out = []
    intervals = tree["intervals"]
    endless = np.isinf(tree["network"]["gap"]).any() if "gap" in tree["network"] else False
    missing = " Points where the gap is infinite are left out." if endless else ""
    if (intervals["gap_closed"].sel(bound="mean") < math.inf).any():
        out.append(
            Panel(
                "closed-map",
                figures.closed_map(tree),
                "Heat map of the share of the gap closed: a row for each process, a column for each "
                "network.",
                "Share of the gap closed, 1 - gap(network) / gap(memoryless), mean over seeds. "
                "Colours show the share left open on a logarithmic scale: the darker, the nearer to "
                "Bayes.",
            )
        )
    if (intervals["gap_network"].sel(bound="mean") > 0).any():
        out.append(
            Panel(
                "gap-map",
                figures.gap_map(tree),
                "Heat map of the gap to Bayes in nats: a row for each process, a column for each "
                "network.",
                "KL(Bayes || network) in nats a drawn symbol, mean over seeds: the darker, the nearer "
                "to Bayes." + missing,
            )
        )
        for name in figures.curve_axes(tree):
            out.append(
                Panel(
                    f"gap-along-{name}",
                    figures.gap_along(tree, name),
                    f"Gap to Bayes against {axis_title(name)}, a curve for each network.",
                    f"The gap against {axis_title(name)}, with 95% intervals; one that "
                    "reaches zero is cut at a tenth of the mean.",
                )
            )
        if "share_first" in intervals and "pool" in figures.curve_axes(tree):
            out.append(
                Panel(
                    "between-pool-and-prior",
                    figures.between_along(tree, "pool"),
                    "KL from Bayes of the pool and from Bayes of the prior to the network, and its "
                    "share between the two, against the pool's size.",
                    "Between remembering the pool and learning the prior. Left: KL from Bayes of the "
                    "pool; middle: from Bayes of the prior; right: the share w for which pool^w "
                    "prior^(1-w), normalised, is nearest to the network. Bars: 95% intervals.",
                )
            )
        out += [
            Panel(
                "gap-by-position",
                figures.gap_by_position(tree),
                "Gap to Bayes by position within the task, a curve for each network.",
                "Where within a task the networks differ from Bayes, mean over seeds." + missing,
            ),
            Panel(
                "learning-curves",
                figures.learning_curves(tree),
                "Gap to Bayes on held-out streams against training symbols, a curve for each network.",
                "The gap on held-out streams while training, mean over seeds.",
            ),
        ]
    return out


def _documents(sweep: Sweep) -> list[Document]:
    return [result.document for result in sweep.results]


def _places(sweep: Sweep) -> list[Document]:
    """The values on every axis of each point."""
    from itertools import product

    axes = sweep.grid.axes
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _setting(sweep: Sweep, numbers: Document) -> str:
    """A point in words: "LSTM-32 after 500 iterations on Dirichlet(10, 1, 1), T=20"."""
    return (
        f"{network_name(numbers)} after {numbers['iterations']:,} iterations on "
        f"{numbers['trained_on']}"
    )


def _closed(numbers: Document) -> str:
    share = numbers["gap_closed"]
    return f"{percent(share['mean'])} {interval(share['ci95'], percent)}".strip()


def _best(sweep: Sweep) -> Table | None:
    """The network with the smallest gap on each process; None where there is one network only."""
    axes = sweep.grid.axes
    if all(len(axes[name]) == 1 for name in NETWORK_AXES):
        return None
    groups: dict[str, list[Document]] = {}
    for numbers in _documents(sweep):
        if "failed" not in numbers and numbers["gap"]["mean"] is not None:
            groups.setdefault(numbers["trained_on"], []).append(numbers)
    rows = []
    for process, group in groups.items():
        best = min(group, key=lambda d: d["gap"]["mean"])
        rows.append(
            [
                process,
                f"{network_name(best)}, {best['iterations']:,} iterations",
                nats(best["gap"]["mean"]),
                percent(best["gap_closed"]["mean"]),
            ]
        )
    return Table(_BEST, ["process", "network", "gap", "closed"], rows)
