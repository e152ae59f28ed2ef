"""Rows 12 to 14: the learner, the four models, three test streams."""

from __future__ import annotations

import jax
import numpy as np

from analysis.comparison.estimates import estimate_all
from analysis.comparison.results import document
from analysis.coursework import experiments_page as pages
from analysis.coursework.curves import curve_shape
from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.layers import causality, layers_table
from analysis.coursework.reproduce.run import Run
from analysis.report.formats import nats, percent
from analysis.report.report import Document, Table
from meta_learning.experiments import (
    EXPERIMENTS,
    OWN_STREAM,
    TEST_STREAMS,
)

RECIPES = ("coursework", "default")


def model(run: Run) -> Result:
    """Row 12."""
    learner = run.learners("coursework")["M2"]
    table, count = layers_table(
        learner.params, "LSTM, read-out 64, softmax over 3 symbols and RESET"
    )
    symbols = np.asarray(EXPERIMENTS["M2"].sample(jax.random.key(run.seed), 1, 100))
    rows = learner.log_predictive(symbols)
    other = symbols.copy()
    at = 50
    other[:, at] = (other[:, at] + 1) % 3
    changed = learner.log_predictive(other)
    # Row t predicts x_t from x_<t: rows up to ``at``, inclusive, may not change.
    earlier, later = causality(rows, changed, at + 1)
    normalised = float(np.abs(np.exp(rows).sum(-1) - 1).max())
    answer = (
        f"{count:,} parameters. Rows of probabilities sum to 1 within {normalised:.0e}; changing one "
        f"symbol changes no prediction up to it (largest change {nats(earlier)}), and later ones by up "
        f"to {nats(later)} nats."
    )
    numbers = {
        "parameters": count,
        "change_before": earlier,
        "change_after": later,
        "sum_off_by": normalised,
    }
    return Result(answer, numbers, [table], made=run.learners_made)


def four_models(run: Run) -> Result:
    """Row 13."""
    tables, panels = [], []
    numbers: Document = {}
    for recipe in RECIPES:
        learners = run.learners(recipe)
        numbers[recipe] = {}
        rows = []
        for name, learner in learners.items():
            history = learner.history
            shapes = {
                kind: curve_shape(history[kind])
                for kind in ("train_loss", "held_out_loss", "held_out_gap")
            }
            last = float(history["held_out_gap"][-1])
            numbers[recipe][name] = {kind: s.document() for kind, s in shapes.items()} | {
                "final_gap": last
            }
            for kind, label in (("train_loss", "train"), ("held_out_loss", "test")):
                shape = shapes[kind]
                rows.append(
                    [
                        f"{name} {label}",
                        str(shape.points),
                        nats(shape.fall),
                        nats(shape.noise),
                        percent(shape.rises),
                        f"{nats(shape.late_fall)} ± {nats(shape.late_fall_se)}",
                        "yes" if shape.smooth else "no",
                        "yes" if shape.plateau else "no",
                        nats(last),
                    ]
                )
        first = next(iter(learners.values())).settings["recipe"]
        tables.append(
            Table(
                f"Recipe {recipe}: {first['iterations']:,} iterations, batch {first['batch_size']}, "
                f"unroll {first['unroll']}",
                [
                    "curve",
                    "points",
                    "fall",
                    "noise",
                    "rises",
                    "late fall",
                    "smooth",
                    "plateau",
                    "gap at the end",
                ],
                rows,
                "Nats a drawn symbol. Noise: standard deviation of a point about the curve, second "
                "half, from second differences. Rises: share of steps upwards there. Late fall: mean of "
                "the third quarter less that of the last, ± one standard error. Smooth: noise below 1% "
                "of the fall. Plateau: late fall within two standard errors. Gap at the end: "
                "KL(Bayes || network) on held-out streams.",
            )
        )
        panel = pages.curves_panel({name: [learner] for name, learner in learners.items()})
        panels.append(
            panel._replace(
                name=f"learning-curves-{recipe}", caption=f"Recipe {recipe}. {panel.caption}"
            )
        )
    answers = []
    for label, kind in (("Train", "train_loss"), ("Test", "held_out_loss")):
        own = numbers["coursework"]
        smooth = [name for name in own if own[name][kind]["smooth"]]
        flat = [name for name in own if own[name][kind]["plateau"]]
        answers.append(
            f"{label} curves of the coursework's recipe: smooth {', '.join(smooth) or 'none'}; on a "
            f"plateau {', '.join(flat) or 'none'}."
        )
    gaps = ", ".join(f"{name} {nats(own[name]['final_gap'])}" for name in own)
    answers.append(f"A plateau is no sign of Bayes: gaps at the end {gaps} nats.")
    return Result(
        " ".join(answers),
        numbers,
        tables,
        panels,
        made=run.learners_made,
        own=_experiments_command(run),
    )


def test_streams(run: Run) -> Result:
    """Row 14."""
    tables, panels = [], []
    numbers: Document = {}
    for recipe in RECIPES:
        comparisons = run.comparisons(recipe)
        documents = {
            name: {key: document(c, estimate_all(c)) for key, c in streams.items()}
            for name, streams in comparisons.items()
        }
        numbers[recipe] = {
            name: {
                key: {
                    "loss": d["loss"],
                    "gap": d["gap"]["mean"],
                    "gap_ci95": d["gap"]["ci95"],
                    "gap_closed": d["gap_closed"]["mean"],
                }
                for key, d in streams.items()
            }
            for name, streams in documents.items()
        }
        every = pages.tables(documents) if recipe == "coursework" else [pages.own_table(documents)]
        tables += [t._replace(title=f"Recipe {recipe}. {t.title}") for t in every]
        for panel in pages.prediction_panels(comparisons):
            panels.append(
                panel._replace(
                    name=f"{panel.name}-{recipe}", caption=f"Recipe {recipe}. {panel.caption}"
                )
            )
    closed = {
        recipe: {name: of[name][OWN_STREAM[name]]["gap_closed"] for name in of}
        for recipe, of in numbers.items()
    }
    own = numbers["coursework"]
    answer = (
        "Share of memoryless's gap closed on streams of the own prior: "
        + "; ".join(
            f"recipe {recipe} "
            + ", ".join(f"{name} {percent(share)}" for name, share in of.items())
            for recipe, of in closed.items()
        )
        + "."
    )
    parts = []
    for key, stream in TEST_STREAMS.items():
        loss = {name: own[name][key]["loss"]["network"] for name in own}
        priors, lengths = (
            " and ".join(_lower(loss, *pair) for pair in pairs)
            for pairs in ((("M2", "M4"), ("M1", "M3")), (("M2", "M1"), ("M4", "M3")))
        )
        said = ", ".join(f"{name} {nats(value)}" for name, value in loss.items())
        parts.append((f"Stream {key}, {stream.title}:", f"{said}. {priors}; {lengths}."))
    paragraphs = [
        ("M2 against M4, both against M1 and M3:", "nats a symbol, coursework's recipe."),
        *parts,
    ]
    return Result(
        answer,
        numbers,
        tables,
        panels,
        paragraphs,
        made=run.learners_made,
        own=_experiments_command(run),
    )


def _lower(loss: dict[str, float], one: str, other: str) -> str:
    """Which of two models loses less, and by how much, in words."""
    low, high = sorted((one, other), key=loss.__getitem__)
    return f"{low} loses {nats(loss[high] - loss[low])} less than {high}"


def _experiments_command(run: Run) -> str:
    """The commands that give the same numbers; empty where networks are trained on a budget of the
    run's own, or are packaged and so of another seed."""
    if run.sizes.budget is not None or (run.sizes.packaged and run.seed):
        return ""
    return "\n".join(
        f"meta-learn experiments --recipe {recipe} --streams {run.sizes.streams} --seed {run.seed}"
        for recipe in RECIPES
    )
