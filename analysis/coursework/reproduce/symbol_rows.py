"""Rows 11 to 15: the process, its learner, the four models, three test streams, exact Bayes."""

from __future__ import annotations

import math

import jax
import numpy as np

from analysis.comparison.results import document, estimate_all
from analysis.coursework import bayes_figures
from analysis.coursework import experiments_page as pages
from analysis.coursework.curves import curve_shape
from analysis.coursework.exact_losses import bayes_losses, oracle_loss
from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.layers import causality, layers_table
from analysis.coursework.reproduce.run import Run
from analysis.report.formats import nats, percent
from analysis.report.report import Document, Panel, Table
from meta_learning.experiments import (
    ALWAYS_FIRST,
    CONCENTRATED,
    EXPERIMENTS,
    FLAT,
    OWN_STREAM,
    TEST_STREAMS,
)
from meta_learning.learner import TEST
from meta_learning.processes import DirichletCategorical, FixedCategorical
from meta_learning.training import stream_length

RECIPES = ("coursework", "default")
_SHOWN = 44


def process(run: Run) -> Result:
    """Row 11."""
    rows: list[list[str]] = []
    numbers: Document = {}
    paragraphs = []
    for name, prior in EXPERIMENTS.items():
        length = stream_length(prior.T)
        key = jax.random.fold_in(jax.random.key(run.seed), TEST)
        symbols = np.asarray(prior.sample(key, run.sizes.streams, length))
        tasks = symbols.reshape(-1, int(prior.T))
        misplaced = int((tasks[:, -1] != 3).sum() + (tasks[:, :-1] == 3).sum())
        alpha, total = np.asarray(prior.alpha), sum(prior.alpha)
        shares = {}
        for quantity, exact, each in (
            ("p(symbol 0)", alpha[0] / total, (tasks[:, :-1] == 0).mean(1)),
            (
                "two draws alike",
                float((alpha * (alpha + 1)).sum() / (total * (total + 1))),
                tasks[:, 0] == tasks[:, 1],
            ),
        ):
            mean, se = float(each.mean()), float(each.std(ddof=1) / math.sqrt(len(each)))
            shares[quantity] = {"exact": float(exact), "sampled": mean, "se": se}
            rows.append(
                [
                    name,
                    pages.show(prior.alpha),
                    str(prior.T),
                    quantity,
                    f"{exact:.4f}",
                    f"{mean:.4f} ± {se:.4f}",
                ]
            )
        numbers[name] = shares | {
            "tasks": len(tasks),
            "resets_misplaced": misplaced,
            "oracle": oracle_loss(prior),
            "bayes": float(bayes_losses(prior, int(prior.T) - 1).mean()),
        }
        if prior.T == 20:
            text = "".join("R" if s == 3 else str(s) for s in symbols[0][:60])
            paragraphs.append((f"{name}, a stream:", f"{text} (R: RESET)"))
    odd = sum(row["resets_misplaced"] for row in numbers.values())
    flat = np.asarray(FLAT) / sum(FLAT)
    answer = (
        f"{sum(row['tasks'] for row in numbers.values()):,} sampled tasks, {odd} RESETs out of "
        "their place. With alpha=(1.3,1.3,1.3) two draws of a task are alike with probability "
        f"{numbers['M4']['two draws alike']['exact']:.4f}, two of different tasks with "
        f"{float((flat**2).sum()):.4f}: that is what there is to learn."
    )
    table = Table(
        "Sampled against exact",
        ["model", "alpha", "T", "quantity", "exact", "sampled"],
        rows,
        "± one standard error over tasks. Two draws alike: the first two of a task, sum of "
        "alpha_k (alpha_k + 1) / (A (A + 1)) with A the sum of alpha.",
    )
    return Result(answer, numbers, [table], paragraphs=paragraphs)


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
    # Row t predicts x_t itself, so rows up to and with ``at`` may not change.
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


def exact_bayes(run: Run) -> Result:
    """Row 15."""
    priors = {f"alpha=({pages.show(a)})": a for a in (CONCENTRATED, FLAT)}
    counts = (0, 1, 2, 3, 5, 10, 18)
    numbers: Document = {}
    rows: list[list[str]] = []
    losses: list[list[str]] = []
    streams: dict[str, dict[str, bayes_figures.Along]] = {}
    for T in (5, 20):
        source = FixedCategorical(ALWAYS_FIRST, T)
        symbols = np.asarray(source.sample(jax.random.key(run.seed), 1, stream_length(T)))
        streams[f"Test stream 3, T={T}"] = {}
        for name, alpha in priors.items():
            prior = DirichletCategorical(alpha, T)
            log_p = prior.log_predictive(symbols)[0]
            interval = prior.posterior_interval(symbols[0])
            assert interval is not None
            here = symbols[0] != 3
            p = np.where(here, np.exp(log_p[:, 0]), np.nan)
            shown = slice(0, _SHOWN)
            streams[f"Test stream 3, T={T}"][name] = bayes_figures.Along(
                p[shown], interval[0][shown, 0], interval[1][shown, 0]
            )
            loss = float(-log_p[here, 0].mean())
            numbers[f"{name}, T={T}"] = {"loss": loss, "first_of_second_task": float(p[T])}
            losses.append(
                [name, str(T), nats(loss), f"{p[0]:.4f}", f"{p[T - 2]:.4f}", f"{p[T]:.4f}"]
            )
            if T == 20:
                low, high = (v[:, 0] for v in interval)
                numbers[name] = {"p0_after_n_zeros": {str(n): float(p[n]) for n in counts}}
                rows += [
                    [name, str(n), f"{p[n]:.4f}", f"{low[n]:.4f} to {high[n]:.4f}"] for n in counts
                ]
    tables = [
        Table(
            "p(symbol 0) after n symbols 0 since the last RESET",
            ["prior", "n", "predictive", "95% of the posterior"],
            rows,
            "Predictive: (alpha_0 + n) / (sum of alpha + n), the posterior's mean. Posterior: "
            "Dirichlet(alpha + counts).",
        ),
        Table(
            "Bayes on test stream 3, nats a drawn symbol",
            ["prior", "T", "loss", "first draw", "last draw", "first of the next task"],
            losses,
            "First, last draw: p(symbol 0) there. The first of the next task is as the first: RESET "
            "leads back to the prior.",
        ),
    ]
    short, long = (numbers[f"alpha=({pages.show(FLAT)}), T={T}"]["loss"] for T in (5, 20))
    answer = (
        f"Under (10,1,1) symbol 0 is expected from the start, under (1.3,1.3,1.3) it is learnt anew in "
        f"every task: {nats(short)} nats a symbol at T=5, {nats(long)} at T=20."
    )
    panel = Panel(
        "posteriors",
        bayes_figures.posteriors(streams),
        "Posterior mean and 95% interval of p(symbol 0) along test stream 3 for both priors, at T=5 and "
        "T=20: rising within a task and back at the prior after each RESET.",
        "Exact Bayes on tasks that always have p=(1,0,0): the posterior of symbol 0's probability "
        "before each draw.",
    )
    return Result(answer, numbers, tables, [panel])


def _lower(loss: dict[str, float], one: str, other: str) -> str:
    low, high = sorted((one, other), key=loss.__getitem__)
    return f"{low} loses {nats(loss[high] - loss[low])} less than {high}"


def _experiments_command(run: Run) -> str:
    """Empty where the run's trainings are no bigger than a test's."""
    if run.sizes.budget is not None or (run.sizes.packaged and run.seed):
        return ""
    return "\n".join(
        f"meta-learn experiments --recipe {recipe} --streams {run.sizes.streams} --seed {run.seed}"
        for recipe in RECIPES
    )
