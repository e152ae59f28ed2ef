"""Rows 11 and 15: what the process draws, and exact Bayes."""

from __future__ import annotations

import math

import jax
import numpy as np

from analysis.coursework import bayes_figures
from analysis.coursework import experiments_page as pages
from analysis.coursework.exact_losses import bayes_losses, oracle_loss
from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.run import Run
from analysis.report.formats import nats
from analysis.report.report import Document, Panel, Table
from meta_learning.experiments import (
    ALWAYS_FIRST,
    CONCENTRATED,
    EXPERIMENTS,
    FLAT,
)
from meta_learning.learner import TEST
from meta_learning.processes import DirichletCategorical, FixedCategorical
from meta_learning.processes.places import stream_length

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
