"""Row 16: networks against Bayes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from analysis.audit import page as audit_pages
from analysis.comparison.tables import summary_tables
from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.run import Run
from analysis.coursework.reproduce.symbol_rows import RECIPES
from analysis.report.formats import nats, percent
from analysis.report.report import Document, Panel, Table
from meta_learning.experiments import EXPERIMENTS, OWN_STREAM

if TYPE_CHECKING:
    from analysis.comparison.compare import Comparison

_MODELS = ("M2", "M4")


def against_bayes(run: Run) -> Result:
    """Row 16."""
    from analysis.audit.exact_gap import exact_gap
    from analysis.audit.worst_histories import worst_histories
    from analysis.comparison import figures
    from analysis.comparison.estimates import estimate_all
    from analysis.comparison.results import document

    tables: list[Table] = []
    panels: list[Panel] = []
    numbers: Document = {}
    sentences = []
    T = run.sizes.exact_task_length
    for recipe in RECIPES:
        numbers[recipe] = {}
        shown: dict[str, Comparison] = {}
        for name in _MODELS:
            learner = run.learners(recipe)[name]
            comparison = run.comparisons(recipe)[name][OWN_STREAM[name]]
            compared = document(comparison, estimate_all(comparison))
            walked = EXPERIMENTS[name].replace({"T": T})
            exact = exact_gap(learner, walked, folder=run.networks_folder)
            worst = worst_histories(learner, walked)
            title = f"{name}, recipe {recipe}"
            own = [
                *summary_tables(comparison, compared)[:1],
                _over(audit_pages.decomposition_table(exact, None), T),
                audit_pages.worst_table(dataclasses.replace(worst, by_gap=worst.by_gap[:5])),
            ]
            tables += [t._replace(title=f"{title}. {t.title}") for t in own]
            numbers[recipe][name] = {
                "loss": compared["loss"],
                "gap": compared["gap"],
                "gap_closed": compared["gap_closed"],
                "reset": compared["reset"],
                "exact": exact.document() | {"T": T},
                "worst": [audit_pages.history_document(h) for h in worst.by_gap[:5]],
            }
            shown[title] = comparison
            largest = max(exact.terms, key=lambda term: exact.terms[term])
            sentences.append(
                f"{title}: {percent(compared['gap_closed']['mean'])} of memoryless's gap closed; "
                f"most of what is left ({percent(exact.terms[largest] / exact.gap)}) is "
                f"{audit_pages.term_names(exact)[largest]}."
            )
        panels.append(
            Panel(
                f"gap-by-position-{recipe}",
                figures.gap_by_position(shown),
                "KL from Bayes to the network and to each reference by position within the task, on a "
                "log axis, for M2 and M4.",
                f"Recipe {recipe}: where within a task the networks and the references differ from "
                "Bayes; bands are two standard errors.",
            )
        )
        for name, comparison in zip(_MODELS, shown.values(), strict=True):
            panels.append(
                Panel(
                    f"predictions-{name}-{recipe}",
                    figures.predictions(comparison),
                    f"Predicted probability of each outcome along one test stream: {name} against exact "
                    "Bayes and the oracle.",
                    f"{name}, recipe {recipe}, on one stream of its own prior, beside the exact "
                    "posterior's mean and central 95%.",
                )
            )
    every = [of for models in numbers.values() for of in models.values()]
    leak, miss = (max(of["reset"][k] for of in every) for k in ("leak", "miss"))
    agrees = (
        f"on when RESET comes: all four networks give it at most {nats(leak)} before its place on "
        f"average and miss at most {nats(miss)} at it."
    )
    fails = "; ".join(
        f"{name}, recipe {recipe}, is furthest off, {nats(of['worst'][0]['gap'])} nats, after "
        f"{''.join(map(str, of['worst'][0]['symbols'])) or 'no symbol'}, whose probability is "
        f"{of['worst'][0]['probability']:.1e}"
        for recipe, models in numbers.items()
        for name, of in models.items()
    )
    shares = ", ".join(
        f"{name} of recipe {recipe} {percent(_share_of_worst(of))}"
        for recipe, models in numbers.items()
        for name, of in models.items()
    )
    why = (
        "training lowers the mean gap, which weighs a history by its probability under the training "
        f"prior. The history furthest off makes up this share of the gap at its place: {shares}."
    )
    paragraphs = [
        ("What agrees:", agrees),
        ("Where it fails:", f"{fails}."),
        ("Why:", why),
    ]
    return Result(
        " ".join(sentences),
        numbers,
        tables,
        panels,
        paragraphs,
        own=_compare_command(run),
        made=run.learners_made,
    )


def _share_of_worst(model: Document) -> float:
    """What the worst history adds to the exact gap at the draw after it, as a share of that gap."""
    worst = model["worst"][0]
    there = model["exact"]["gap"]["by_position"][len(worst["symbols"])]
    return worst["probability"] * worst["gap"] / there


def _over(table: Table, T: int) -> Table:
    """The table, whose note also says how many draws it is about."""
    return table._replace(note=f"{table.note} Over the {T - 1} first draws of a task.")


def _compare_command(run: Run) -> str:
    return "\n".join(
        f"meta-learn compare --checkpoint {run.learner_file(name, recipe)} "
        f"--streams {run.sizes.streams} --seed {run.seed}"
        for recipe in RECIPES
        for name in _MODELS
    )
