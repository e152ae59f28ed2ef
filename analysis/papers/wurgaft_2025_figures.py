"""Tables, figures and sentences of Wurgaft et al. (2025), from the run's document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from analysis.intervals import Estimate, student_log, student_probability
from analysis.report.formats import interval, nats
from analysis.report.report import Document, Panel, Table
from analysis.report.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILLION,
    log_scale,
)

Row = dict[str, Any]
# Of every pool, from the smallest on: colour and line.
_LOOKS = (
    (VERMILLION, "-"),
    (ORANGE, "--"),
    (GREEN, "-."),
    (SKY, "-"),
    (BLUE, "--"),
    (PURPLE, "-."),
)
# name in a row -> label, colour, line, marker
_SHARES = {
    "relative": ("relative distance", VERMILLION, "-", "o"),
    "weight": ("weight of a mixture", BLUE, "--", "s"),
    "share": ("share w of a power", GREEN, "-.", "^"),
}
_DISTANCES = {
    "first": ("memorising", VERMILLION, "-", "o"),
    "second": ("generalising", BLUE, "--", "s"),
    "left": ("nearest mixture", GREEN, "-.", "^"),
}


def _of(found: Document, pool: int) -> list[list[Row]]:
    """Rows over training, of every seed."""
    return [n["rows"] for n in found["curves"]["networks"] if n["pool"] == pool]


def _end(found: Document, pool: int, name: str, over: Any) -> Estimate:
    """A number after training, over seeds."""
    estimate: Estimate = over(np.array([rows[-1][name] for rows in _of(found, pool)]))
    return estimate


def _apart(found: Document, pool: int) -> Estimate:
    """KL between the two predictors, over seeds."""
    networks = found["curves"]["networks"]
    return student_log(np.array([n["apart"] for n in networks if n["pool"] == pool]))


def _by_pool(found: Document) -> Figure:
    pools = found["curves"]["pools"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.2))
        left, right = axes = figure.subplots(1, 2)
        lines = ((left, _DISTANCES, student_log), (right, _SHARES, student_probability))
        for axis, names, over in lines:
            for name, (label, colour, line, marker) in names.items():
                ends = [_end(found, pool, name, over) for pool in pools]
                mean, low, high = np.array([e.bounds for e in ends]).T
                axis.plot(pools, mean, line, color=colour, marker=marker, label=label)
                axis.fill_between(pools, low, high, color=colour, alpha=0.2, linewidth=0)
        apart = [_apart(found, pool).mean for pool in pools]
        left.plot(pools, apart, ":", color=BLACK, label="between the two")
        left.set_ylabel("KL, nats a symbol")
        right.set(ylim=(0, 1))
        right.set_ylabel("share of memorising")
        log_scale(left)
        for axis in axes:
            axis.set_xscale("log", base=4)
            axis.set(
                xlabel="tasks in the pool", xticks=pools, xticklabels=[f"{p:,}" for p in pools]
            )
            axis.minorticks_off()
            axis.legend()
    return figure


def _over_training(found: Document) -> Figure:
    curves = found["curves"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.6))
        left, right = figure.subplots(1, 2, sharex=True)
        for at, (pool, (colour, line)) in enumerate(zip(curves["pools"], _LOOKS, strict=False)):
            seeds = _of(found, pool)
            iterations = [row["iterations"] for row in seeds[0]]
            for axis, name, mean in (
                (left, "relative", np.mean),
                (right, "new_second", _geometric),
            ):
                values = [mean([row[name] for row in rows]) for rows in zip(*seeds, strict=True)]
                axis.plot(iterations, values, color=colour, linestyle=line, label=f"{pool:,}")
            first = max(of["posterior"]["first"] for of in curves["by_seed"])
            weights = np.mean([of["posterior"]["weights"][at] for of in curves["by_seed"]], axis=0)
            left.plot(iterations[first:], weights[first:], color=colour, alpha=0.35, linewidth=4)
        left.axhline(0.5, color=BLACK, linewidth=0.6)
        left.set(xscale="log", xlabel="iterations", ylim=(0, 1), ylabel="relative distance")
        left.set_title("tasks of the pool")
        right.set(xlabel="iterations", ylabel="KL from generalising, nats a symbol")
        left.xaxis.set_minor_formatter(NullFormatter())
        right.set_title("new tasks")
        log_scale(right)
        handles, labels = right.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=6, title="tasks in the pool"
        )
    return figure


def _geometric(values: Sequence[float]) -> float:
    return float(np.exp(np.log(values).mean()))


def panels(found: Document) -> Sequence[Panel]:
    """Distances and shares by pool; shares, and distances on new tasks, over training."""
    seeds = len(found["seeds"])
    return [
        Panel(
            "by-pool",
            _by_pool(found),
            "KL from both predictors to the network, and its share of the memorising one, by pool.",
            f"After training, on the pool's tasks; means over {seeds} seeds, bands their 95% intervals. "
            "Memorising: Bayes of the pool; generalising: Bayes of the Dirichlet. Left: KL(predictor || "
            "network), also of the nearest mixture of the two, and KL(memorising || generalising). "
            "Right: 1 is memorising.",
        ),
        Panel(
            "over-training",
            _over_training(found),
            "Relative distance, and KL from the generalising predictor on new tasks, over training.",
            f"Means over {seeds} seeds, a line a pool. Left: above 1/2 the network is nearer to Bayes "
            "of the pool; wide pale lines are the fitted posterior's weights. Right: tasks that are in "
            "no pool.",
        ),
    ]


def tables(found: Document) -> Sequence[Table]:
    """Distances, shares and times by pool."""
    curves = found["curves"]
    distances, shares, times = [], [], []
    for at, pool in enumerate(curves["pools"]):
        ends = [_end(found, pool, name, student_log) for name in _DISTANCES]
        *both, mixture = ends
        means = [_short(e.mean) for e in (_apart(found, pool), mixture)]
        distances.append([f"{pool:,}", *(_cell(e, _short) for e in both), *means[::-1]])
        ends = [_end(found, pool, name, student_probability) for name in _SHARES]
        shares.append([f"{pool:,}", *(_cell(e, _two) for e in ends)])
        each = [[of[name][at] for of in curves["by_seed"]] for name in ("remembered", "stopped")]
        times.append([f"{pool:,}", *(_times(one) for one in each)])
    return [
        Table(
            "KL to the network, nats a symbol",
            ["tasks", "from memorising", "from generalising", "from a mixture", "between"],
            distances,
            f"On {curves['tasks']} tasks of the pool, with 95% intervals over seeds. From a "
            "mixture: from w memorising + (1 - w) generalising at the best w. Between: "
            "KL(memorising || generalising).",
        ),
        Table(
            "Shares of the memorising predictor",
            ["tasks", *(label for label, *_ in _SHARES.values())],
            shares,
            "Three ways to say it: the paper's relative distance; the w of the nearest mixture; the w "
            "of the nearest memorising^w generalising^(1-w), as `compare` says it.",
        ),
        Table(
            "Iterations, by seed",
            ["tasks", "nearer to memorising for good", "new tasks: nearest to generalising"],
            times,
            f"An iteration is {curves['symbols']:,} symbols. Left: - where a network always was nearer, "
            "or is not yet. Right: - where it is nearest at the first stage or at the last.",
        ),
    ]


def _cell(estimate: Estimate, form: Callable[[float | None], str]) -> str:
    return f"{form(estimate.mean)} {interval(estimate.ci95, form)}".strip()


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def _times(values: Sequence[float | None]) -> str:
    return ", ".join("-" if value is None else f"{value:,.0f}" for value in values)


def says(found: Document) -> Sequence[str]:
    """Which predictor networks are; when they change; what neither explains."""
    curves = found["curves"]
    pools = curves["pools"]

    def mean(pool: int, name: str) -> float:
        return float(np.mean([rows[-1][name] for rows in _of(found, pool)]))

    def of_seeds(name: str) -> float:
        return float(np.mean([of[name] for of in curves["by_seed"]]))

    few, many, last = pools[0], pools[-1], _of(found, pools[0])[0][-1]["iterations"]
    before, now = (2 ** of_seeds(name) for name in ("crossover_before", "crossover"))
    out = [
        f"After {last:,} iterations networks remember small pools and have learnt the prior of large "
        f"ones: the relative distance is {mean(few, 'relative'):.2f} with {few} tasks and "
        f"{mean(many, 'relative'):.2f} with {many:,}.",
        f"Where it is 1/2 depends on how long was trained: at {before:.0f} tasks after "
        f"{curves['by_seed'][0]['before']:,} iterations, at {now:.0f} after {last:,}. First networks "
        "learn the prior, then they remember the pool, the later the larger it is.",
    ]
    out.append(_caution(found))
    beyond = [p for p in pools if mean(p, "left") > (_apart(found, p).mean or 0.0)]
    if beyond:
        out.append(
            f"With {_listed(beyond)} tasks the two predictors are nearer to each other than the network "
            "is to any mixture of them: there a share says little of what it computes. With "
            f"{many:,} they are {nats(_apart(found, many).mean)} nats a symbol apart, and it is "
            f"{nats(mean(many, 'left'))} from the nearest mixture."
        )
    return out


def _caution(found: Document) -> str:
    """How much the numbers hold that were compared with other settings."""
    ends = next(c["ci95"] for c in found["claims"] if c["quantity"].startswith("Pool above"))
    by_seed = found["curves"]["by_seed"]
    crossed = max(sum(n is not None for n in of["remembered"]) for of in by_seed)
    wide = ""
    if ends is not None:
        low, high = (2**end for end in ends)
        wide = f", an interval from {low:,.0f} to {high:,.0f} tasks,"
    return (
        f"That the threshold{wide} and the exponents meet published ones is weak evidence: ours rest on "
        f"few seeds and, for remembering, on {crossed} pools that are passed within the training; the "
        "threshold and the exponent below 1 were published of linear regression."
    )


def _listed(pools: Sequence[int]) -> str:
    *first, last = [f"{pool:,}" for pool in pools]
    return f"{', '.join(first)} and {last}" if first else last
