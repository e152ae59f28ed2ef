"""The tables of one comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from analysis.report.formats import interval, nats, percent
from analysis.report.report import Document, Json, Table

if TYPE_CHECKING:
    from analysis.comparison.compare import Comparison


def infinite(numbers: Mapping[str, Json]) -> str:
    """What None says among gaps and losses of a document of ``compare``: "infinite" where a symbol is
    drawn at all, else "-"."""
    return "infinite" if numbers["gap"]["by_position"] else "-"


def no_share(numbers: Mapping[str, Json]) -> str:
    """The same of the share of the gap closed, which does not exist where memoryless is Bayes."""
    closes = (numbers["gap"]["memoryless"] or 0) > 1e-12
    return "-infinite" if numbers["gap"]["mean"] is None and closes else "-"


def summary_tables(comparison: Comparison, numbers: Document) -> list[Table]:
    """The comparison's numbers as text: the ladder, and the network's own figures."""
    from analysis.report.style import look

    gaps = {"network": numbers["gap"]["mean"], **numbers["gap"]["references"]}
    tests = (
        {"network": numbers["gap_test"]["mean"], **numbers["gap_test"]["references"]}
        if ("gap_test" in numbers)
        else None
    )
    names = sorted(
        numbers["loss"], key=lambda n: (numbers["loss"][n] is None, numbers["loss"][n] or 0)
    )
    none = infinite(numbers)
    rows = []
    for name in names:
        row = [
            comparison.subject if name == "network" else look(name)[0],
            nats(numbers["loss"][name], none),
        ]
        if tests is None:
            row.append(interval(numbers["loss_ci95"][name]))
        row.append(nats(gaps[name], none) if name in gaps else "-")
        if tests is not None:
            row.append(nats(tests[name], none) if name in tests else "-")
        rows.append(row)
    head = ["predictor", "loss", *(["95% interval"] if tests is None else []), "gap to Bayes"]
    ladder = Table(
        "Loss of every predictor on the same test streams, nats a drawn symbol",
        head + ([] if tests is None else ["to Bayes (test prior)"]),
        rows,
        "Gap: mean of KL(Bayes || predictor). The oracle knows "
        f"{comparison.source.latent_name} and can beat Bayes. "
        "All know where RESET comes.",
    )
    gap, closed, reset, regret = (numbers[k] for k in ("gap", "gap_closed", "reset", "regret"))
    figures = [
        [
            "share of the gap closed",
            percent(closed["mean"], no_share(numbers)),
            interval(closed["ci95"], percent),
        ],
        [f"gap KL(Bayes || {comparison.subject})", nats(gap["mean"], none), interval(gap["ci95"])],
        [
            "regret against the oracle",
            nats(regret["oracle"]["mean"], none),
            interval(regret["oracle"]["ci95"]),
        ],
        [
            "realised regret against Bayes",
            nats(regret["realised"]["mean"], none),
            interval(regret["realised"]["ci95"]),
        ],
        ["leak: p(RESET) before its place", nats(reset["leak"]), interval(reset["leak_ci95"])],
        ["miss: 1 - p(RESET) at its place", nats(reset["miss"]), interval(reset["miss_ci95"])],
    ]
    if "gap_test" in numbers:
        test = numbers["gap_test"]
        figures.insert(
            2,
            ["gap to Bayes with the test prior", nats(test["mean"], none), interval(test["ci95"])],
        )
    if "between" in numbers:
        second, first = numbers["between"]["gap_second"], numbers["between"]["share_first"]
        name = look(numbers["between"]["second"])[0]
        figures.insert(
            2,
            [
                f"KL({name} || {comparison.subject})",
                nats(second["mean"], none),
                interval(second["ci95"]),
            ],
        )
        figures.insert(
            3,
            [f"share of Bayes between it and {name}", nats(first["mean"]), interval(first["ci95"])],
        )
    over = (
        "test streams (bootstrap)"
        if numbers["interval"] == "streams"
        else ("seeds (Student t; on the logarithm where a number cannot be below 0)")
    )
    network = Table(
        f"The {comparison.subject}",
        ["quantity", "value", "95% interval"],
        figures,
        f"Intervals are over {over}. Share of the gap closed: 1 - gap({comparison.subject}) / "
        "gap(memoryless). "
        "Regrets and gap in nats a drawn symbol; leak and miss are probabilities.",
    )
    return [network, ladder, *_metric_tables(comparison, numbers, names)]


def _metric_tables(comparison: Comparison, numbers: Document, names: list[str]) -> Iterator[Table]:
    """What each of ``METRICS`` says of every predictor."""
    from analysis.comparison.metrics import METRICS
    from analysis.report.style import look

    for metric in comparison.networks[0].metrics:
        rows = [
            [
                comparison.subject if name == "network" else look(name)[0],
                nats(numbers[metric][name], infinite(numbers)),
                interval(numbers[f"{metric}_ci95"][name]),
            ]
            for name in names
        ]
        yield Table(
            f"{METRICS[metric].heading}, mean over drawn symbols",
            ["predictor", "mean", "95% interval"],
            rows,
        )
