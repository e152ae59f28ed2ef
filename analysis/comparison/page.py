"""The report of one comparison: sentences, tables, panels."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from analysis.report.formats import infinite, interval, nats, network_name, no_share, percent
from analysis.report.report import Document, Panel, Report, Table

if TYPE_CHECKING:
    from analysis.comparison.compare import Comparison
    from meta_learning.learner import Learner


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


def headline(comparison: Comparison, numbers: Document) -> str:
    """The answer in one or two sentences."""
    gap, closed = numbers["gap"], numbers["gap_closed"]
    if not len(comparison.networks[0].gap_by_position):
        return "These tasks have no drawn symbol (T=1): there is nothing to predict but RESET."
    if gap["mean"] is None:
        return (
            f"The {comparison.subject} gives probability 0 to a symbol that Bayes does not rule out: "
            "its gap is infinite."
        )
    text = (
        f"The {comparison.subject} is {nats(gap['mean'])} nats a symbol from Bayes "
        f"(95% interval over {numbers['interval']}: {nats(gap['ci95'][0])} to {nats(gap['ci95'][1])})"
    )
    if closed["mean"] is None:
        return text + "; a memoryless predictor is Bayes here, so there is no share to close."
    return (
        f"{text}. It closes {percent(closed['mean'])} "
        f"({percent(closed['ci95'][0])} to {percent(closed['ci95'][1])}) of the gap between a "
        "memoryless predictor and Bayes."
    )


def trained_on(comparison: Comparison) -> str:
    """What was trained on what."""
    s = comparison.settings
    if "predictions" in s:
        return f"Predictions of {s['predictions']} on {comparison.source.title}"
    return f"{network_name(s)} trained on {s['trained_on']}"


def title_of(comparison: Comparison) -> str:
    """What was compared, for headings."""
    trained = trained_on(comparison)
    if comparison.source.title == comparison.settings.get("trained_on", comparison.source.title):
        return trained
    return f"{trained}, tested on {comparison.source.title}"


def not_drawn(comparisons: Iterable[Comparison]) -> str:
    """What to say under a figure that leaves out what is infinite: nothing where all is finite."""
    for comparison in comparisons:
        for scores in comparison.networks:
            if not np.isfinite(scores.gap_by_position).all():
                return (
                    f" The {comparison.subject} gives probability 0 to a symbol that Bayes does not "
                    "rule out: what is infinite is left out."
                )
    return ""


def _nowhere(comparison: Comparison) -> str:
    """The same where the network says nothing of the symbols: RESET is certain."""
    if (comparison.example.network[:, :-1].sum(-1) > 0)[drawn_of(comparison)].all():
        return ""
    return f" Where the {comparison.subject} is certain of RESET it has no point."


def drawn_of(comparison: Comparison) -> np.ndarray:
    """Which places of a stream hold a drawn symbol, bool (L,)."""
    from meta_learning.processes import drawn_places

    return drawn_places(comparison.length, comparison.prior.task_length)


def panels_of(comparison: Comparison, learners: list[Learner]) -> list[Panel]:
    """The figures of one comparison. What is infinite is left out of them, and the caption says so."""
    from analysis.comparison import figures, simplex_figures

    panels = []
    if learners and learners[0].history:
        panels.append(
            Panel(
                "learning-curves",
                figures.learning_curves({trained_on(comparison): [x.history for x in learners]}),
                "Training and held-out loss falling towards the dashed Bayes loss as training "
                "symbols grow; below, the gap to Bayes on a log axis.",
                "Loss at drawn places against training symbols, one line a seed. The dashed line "
                "is the exact Bayesian predictor on the same held-out streams: no predictor has a "
                "lower expected loss." + figures.points_left_out(x.history for x in learners),
            )
        )
    positions = len(comparison.networks[0].gap_by_position)
    missing = not_drawn([comparison])
    band = ""
    if comparison.example.low is not None:
        band = (
            " The grey band is the central 95% of the exact posterior over p; at every RESET it "
            "returns to the prior."
        )
    parts = title_of(comparison).replace(", tested", ",\ntested").splitlines()
    heading = "\n".join(textwrap.fill(part, 52) for part in parts)
    if positions:
        panels.insert(
            0,
            Panel(
                "predictions",
                figures.predictions(comparison),
                "Predicted probability of each outcome along one test stream: the "
                f"{comparison.subject}'s line "
                "against exact Bayes and the oracle.",
                "Probabilities of the next symbol along one test stream, each made before the "
                f"symbol was seen. The oracle knows {comparison.source.latent_name}.{band}",
            ),
        )
        panels.insert(
            1,
            Panel(
                "gap-by-position",
                figures.gap_by_position({heading: comparison}),
                f"KL from Bayes to the {comparison.subject} and to each reference predictor by "
                "position within the task, on a log axis.",
                "Where within a task each predictor differs from Bayes; the band is two standard "
                "errors. A curve is missing where the predictor is Bayes exactly." + missing,
            ),
        )
        panels.insert(2, _regret_panel(comparison))
        if comparison.networks[0].between is not None:
            panels.insert(2, _between_panel(comparison))
        if simplex_figures.can_draw(comparison.prior):
            panels.insert(1, _simplex_panel(comparison))
    return panels


def _between_panel(comparison: Comparison) -> Panel:
    from analysis.comparison.between_figures import by_position
    from analysis.report.style import look

    name = look(comparison.prior.second or "")[0]
    return Panel(
        "between",
        by_position(comparison),
        f"KL from Bayes and from {name} to the {comparison.subject} by position within the task, and "
        "its share between the two.",
        f"Between two exact predictors. Left: KL from each to the {comparison.subject}. Right: the "
        f"share w for which Bayes^w {name}^(1-w), normalised, is nearest to it: 1 is Bayes, 0 {name}.",
    )


def _regret_panel(comparison: Comparison) -> Panel:
    from analysis.comparison.regret_figures import regret

    expected = (
        "which is what to expect of it"
        if not comparison.off_prior
        else "which is not its expectation here, since the streams do not follow the training prior"
    )
    return Panel(
        "regret",
        regret(comparison),
        "Cumulative regret of every predictor within a task, against the oracle and, on a log axis, "
        f"against Bayes; below, the {comparison.subject}'s realised regret along one stream.",
        "Three regrets, each summed over draws. Above left: mean loss above that of the oracle, which "
        f"knows {comparison.source.latent_name}. Above right: mean KL(Bayes || predictor); Bayes itself "
        f"is at 0. Below: the {comparison.subject}'s loss above Bayes's on the stream above, which "
        f"can be negative, beside the sum of KL, {expected}." + not_drawn([comparison]),
    )


def _simplex_panel(comparison: Comparison) -> Panel:
    from analysis.comparison.simplex_figures import simplex

    return Panel(
        "simplex",
        simplex(comparison),
        "Triangles with a symbol at each corner: the posterior's density narrows from draw to draw, and "
        f"the {comparison.subject}'s probabilities lie on its mean.",
        "The first task of the same stream. A point is a p: the nearer to a corner, the likelier its "
        "symbol. Shaded: the density of the exact posterior, each by its own maximum. Lines: the way "
        f"from the task's first prediction on. The {comparison.subject}'s probabilities are of the "
        "three symbols, without RESET's." + _nowhere(comparison),
    )


def view(comparison: Comparison) -> str:
    """Its numbers as a notebook shows them."""
    from analysis.comparison.estimates import estimate_all
    from analysis.comparison.results import document
    from analysis.report.views import html_view

    numbers = document(comparison, estimate_all(comparison))
    title = title_of(comparison) if comparison.settings else comparison.source.title
    return html_view(title, headline(comparison, numbers), summary_tables(comparison, numbers))


def make_report(comparison: Comparison, learners: list[Learner], seed: int) -> Report:
    """What there is to say of a comparison. learners: none for predictions from elsewhere. seed: of
    the test streams."""
    from analysis.comparison.estimates import estimate_all
    from analysis.comparison.results import document, to_groups

    numbers = document(comparison, estimate_all(comparison))
    return Report(
        "comparison",
        title_of(comparison),
        headline(comparison, numbers),
        numbers,
        summary_tables(comparison, numbers),
        panels=lambda: panels_of(comparison, learners),
        trees=lambda: {"comparison": to_groups(comparison, learners)},
        networks={f"network-seed{one.settings.get('seed', 0)}": one for one in learners},
        seeds=comparison.seeds,
        run={"test_seed": seed},
    )
