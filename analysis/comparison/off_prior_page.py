"""What a report says of a network off its training prior: a sentence, tables, a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.report.formats import interval, nats
from analysis.report.report import Panel, Table

if TYPE_CHECKING:
    from analysis.comparison.off_prior import OffPrior, Row

_LADDER = {
    "network": "network",
    "bayes": "Bayes",
    "bayes_test": "Bayes (test)",
    "oracle": "oracle",
    "memoryless": "memoryless",
}


def headline(off: OffPrior) -> str:
    """Where the network is furthest from the Bayes of its own prior."""
    own, *others = off.rows
    if not others:
        return "Off the training prior: the process can make no other test streams."
    worst = max(others, key=_gap)
    endless = [row.name for row in off.rows if row.infinite]
    if endless:
        return f"The gap to Bayes with the network's own prior is infinite at {', '.join(endless)}."
    return (
        f"Furthest from Bayes with its own prior at {worst.name}: {_both(worst)} nats a "
        f"symbol; on its own streams {_both(own)}."
    )


def tables(off: OffPrior) -> list[Table]:
    """Losses and gaps, one row a kind of test stream."""
    losses, gaps = [], []
    for row in off.rows:
        name = "as trained" if row.kind == "own" else row.name
        gap = row.estimates["gap.network"]
        losses.append([name, *(_mean(row, f"loss.{predictor}") for predictor in _LADDER)])
        gaps.append(
            [
                name,
                nats(gap.mean, "infinite" if row.infinite else "-"),
                interval(gap.ci95),
                nats(row.symbols_gap),
                _mean(row, "gap_test.network"),
            ]
        )
    return [
        Table(
            "Losses off the training prior, nats a drawn symbol",
            ["test streams", *_LADDER.values()],
            losses,
            "Bayes: of the training process; Bayes (test): of the test streams' own, the best "
            "predictor there. Both are told the test streams' T." + _left_out(off),
        ),
        Table(
            "Gaps off the training prior, nats a drawn symbol",
            ["test streams", "gap", "95% interval", "symbols", "gap (test)"],
            gaps,
            "gap: KL(Bayes || network). symbols: what is left of it without the cost of a RESET "
            "expected too early. gap (test): KL(Bayes (test) || network). Intervals over "
            f"{off.interval}, {off.rows[0].streams:,} streams each.",
        ),
    ]


def panel(off: OffPrior) -> Panel:
    """The gaps side by side."""
    from analysis.comparison.off_prior_figures import gaps

    return Panel(
        "off-prior",
        gaps(off),
        "Horizontal bars of the gap to Bayes for each kind of test stream on a log axis, split into "
        "symbols and RESET, with intervals.",
        "KL(Bayes || network) on test streams that training did not make. Dot: the whole gap with its "
        "95% interval; square: its part over the symbols; cross: memoryless's gap."
        + (" An infinite gap has no dot." if any(row.infinite for row in off.rows) else ""),
    )


def _left_out(off: OffPrior) -> str:
    if not off.left_out:
        return ""
    return f" Left out, since the training process cannot make them: {', '.join(off.left_out)}."


def _gap(row: Row) -> float:
    return row.estimates["gap.network"].mean or 0.0


def _mean(row: Row, name: str) -> str:
    if name not in row.estimates:
        return ""
    none = "infinite" if name.endswith(".network") and row.infinite else "-"
    return nats(row.estimates[name].mean, none)


def _both(row: Row) -> str:
    gap = row.estimates["gap.network"]
    return f"{nats(gap.mean)} {interval(gap.ci95)}".strip()
