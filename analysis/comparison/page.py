"""The report of one comparison: sentences, tables, panels."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from analysis.comparison.tables import summary_tables
from analysis.report.formats import nats, network_name, percent
from analysis.report.report import Document, Panel, Report

if TYPE_CHECKING:
    from analysis.comparison.compare import Comparison
    from meta_learning.learner import Learner


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
    text = (
        f"{text}. It closes {percent(closed['mean'])} "
        f"({percent(closed['ci95'][0])} to {percent(closed['ci95'][1])}) of the gap between a "
        "memoryless predictor and Bayes."
    )
    test = numbers.get("gap_test")
    if test is None or test["mean"] is None:
        return text
    return (
        f"{text} That Bayes has the prior of training; from Bayes with the prior of the test it is "
        f"{nats(test['mean'])} nats a symbol."
    )


def trained_on(comparison: Comparison) -> str:
    """What was trained on what."""
    s = comparison.settings
    if "predictions" in s:
        return f"Predictions of {s['predictions']} on {comparison.source.title}"
    oracle = "the oracle of " if s.get("targets") == "oracle" else ""
    return f"{network_name(s)} trained on {oracle}{s['trained_on']}"


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
