"""The study behind the coursework's thought questions: a JSON document that answers are made from.

What depends on training (prior, T, unroll) is measured on networks of every setting of
``meta_learning.experiments.STUDY``; what does not is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Float64, PRNGKeyArray

from analysis.comparison.compare import Predictor, compare
from analysis.comparison.off_prior import TASK_LENGTHS, default_sources, off_prior
from analysis.coursework.effective_prior import effective_alpha, over_seeds
from analysis.coursework.exact_losses import bayes_losses, nats_from_uniform, oracle_loss
from analysis.intervals import student_log
from analysis.report.formats import finite
from analysis.report.report import Document
from autoregressive.versions import versions
from meta_learning.experiments import (
    CONCENTRATED,
    FLAT,
    NEARLY_UNIFORM,
    STUDY,
    STUDY_LENGTHS,
    Setting,
)
from meta_learning.learner import TEST, Learner
from meta_learning.processes import (
    DirichletCategorical,
    FixedCategorical,
    Process,
    drawn_places,
    json_task_length,
)
from meta_learning.processes.places import stream_length
from meta_learning.recipes import Recipe, make_recipe

# The w of p = (w, (1 - w) / 2, (1 - w) / 2).
WEIGHTS = (0.0, 0.1, 1 / 3, 0.5, 0.7, 0.85, 0.95, 1.0)
# Networks of T=inf are scored to so many times their unroll.
_BEYOND = 4
# Draws of the longest finite task of the study, T=50.
_EXACT_DRAWS = 49
# Symbols of one training iteration, whatever the unroll.
ITERATION_SYMBOLS = 400


def study_recipes(budget: int) -> list[Recipe]:
    """How each setting of the study is trained. Errors: ValueError for a budget below one iteration."""
    return [
        make_recipe(budget=budget, unroll=s.unroll, batch_size=ITERATION_SYMBOLS // s.unroll)
        for s in STUDY
    ]


def study(
    train: Callable[[int, int, Setting, Recipe], list[Learner]],
    recipes: Sequence[Recipe],
    budget: int,
    seeds: Sequence[int],
    streams: int,
) -> Document:
    """The whole study as JSON values: what is exact, and what is measured on every setting.

    train: from the setting's number, how many there are, the setting and its recipe to networks, one a
    seed. recipes: of each setting. budget: training symbols of each network. streams: test streams of
    each kind.
    """
    key = jax.random.fold_in(jax.random.key(seeds[0]), TEST)
    trainings = []
    for number, (setting, recipe) in enumerate(zip(STUDY, recipes, strict=True), 1):
        learners = train(number, len(STUDY), setting, recipe)
        predictors = [learner.log_predictive for learner in learners]
        trainings.append(measure(setting, predictors, key=key, streams=streams))
    return {
        "seeds": list(seeds),
        "budget": budget,
        "streams": streams,
        "versions": versions(),
        "exact": exact(),
        "trainings": trainings,
    }


def measure(
    setting: Setting, predictors: Sequence[Predictor], *, key: PRNGKeyArray, streams: int
) -> Document:
    """Everything that is measured of the networks of one setting, as JSON values, nats a drawn symbol.
    predictors: each network's ``log_predictive``."""
    process = setting.process
    endless = math.isinf(process.T)
    length = stream_length(process.T) if not endless else _BEYOND * setting.unroll
    comparison = compare(
        predictors,
        process,
        process,
        key=key,
        streams=streams,
        length=length,
    )
    off = off_prior(
        predictors, process, key=key, streams=streams, sources=_sources(setting)
    ).document()
    curves = np.stack([s.gap_by_position for s in comparison.networks])
    memoryless = comparison.references["memoryless"].gap_by_position
    return {
        "name": setting.name,
        "alpha": list(process.alpha),
        "T": json_task_length(process.T),
        "unroll": setting.unroll,
        "rows": [_shorten(row) for row in off["rows"]],
        "gap_by_position": [_round(v) for v in curves.mean(0)] if curves.size else [],
        "memoryless_by_position": [_round(v) for v in memoryless] if curves.size else [],
        "first": _spans(curves, setting) if endless else None,
        "effective_alpha": _effective_alpha(setting, predictors, key, streams),
    }


def exact() -> Document:
    """What needs no network, in nats: losses of Bayes by draw and of the oracle, and how flat priors
    are."""
    priors = []
    for alpha in (CONCENTRATED, FLAT, NEARLY_UNIFORM):
        process = DirichletCategorical(alpha, math.inf)
        losses = bayes_losses(process, _EXACT_DRAWS)
        priors.append(
            {
                "alpha": list(alpha),
                "oracle": oracle_loss(process),
                "bayes_by_draw": losses.tolist(),
                "bayes_by_T": [
                    {"T": T, "loss": float(losses[: T - 1].mean())}
                    for T in STUDY_LENGTHS
                    if not math.isinf(T)
                ],
                "nats_from_uniform": nats_from_uniform(process),
            }
        )
    return {"priors": priors, "largest_p": [_largest_p(a) for a in (NEARLY_UNIFORM, (1.0,) * 3)]}


def _round(value: float) -> float | None:
    """Six digits: enough for a figure, and the document stays small."""
    return finite(float(f"{value:.6g}"))


def _largest_p(alpha: Sequence[float]) -> Document:
    """The 5, 50 and 95% quantiles of the largest entry of p under Dirichlet(alpha), from a million
    draws."""
    draws = np.random.default_rng(0).dirichlet(alpha, 1_000_000).max(1)
    return {"alpha": list(alpha), "quantiles": np.quantile(draws, [0.05, 0.5, 0.95]).tolist()}


def _sources(setting: Setting) -> list[tuple[str, Process]]:
    """The test streams of a setting, as ``off_prior`` takes them, its own first."""
    process = setting.process
    if setting.unroll == 100 and process.T == 20:
        grid = [("line", FixedCategorical((w, (1 - w) / 2, (1 - w) / 2), 20)) for w in WEIGHTS]
        return [*default_sources(process), *grid]
    own: list[tuple[str, Process]] = [("own", process)]
    if setting.unroll == 100 and process.T > 1:
        others = (T for T in TASK_LENGTHS if process.T != T)
        own += [("T", DirichletCategorical(process.alpha, T)) for T in others]
    return own


def _shorten(row: Document) -> Document:
    """A row of ``off_prior`` with only what answers need."""
    names = (
        "kind",
        "name",
        "alpha",
        "p",
        "T",
        "gap_over_symbols",
        "gap.network",
        "gap_closed",
        "gap_test.network",
        "gap_test.bayes",
        "leak",
        "miss",
        "reset_cost",
    )
    out = {name: row[name] for name in names if name in row}
    references = ("loss.network", "loss.bayes", "loss.bayes_test", "loss.oracle", "gap.memoryless")
    return out | {name: row[name]["mean"] for name in references if name in row}


def _spans(curves: Float64[np.ndarray, "seeds positions"], setting: Setting) -> list[Document]:
    """The mean gap over each stretch of one unroll, nats, with its interval over several seeds."""
    out = []
    for n in range(_BEYOND):
        each = curves[:, n * setting.unroll : (n + 1) * setting.unroll].mean(1)
        estimate = student_log(each) if len(each) > 1 else None
        out.append(
            {
                "from": n * setting.unroll + 1,
                "to": (n + 1) * setting.unroll,
                "mean": finite(each.mean()),
                "ci95": estimate.ci95 if estimate else [None, None],
            }
        )
    return out


def _effective_alpha(
    setting: Setting, predictors: Sequence[Predictor], key: PRNGKeyArray, streams: int
) -> list[Document] | None:
    """The alpha that the networks behave like, an estimate an entry; None where tasks have fewer than
    two draws, or a network is certain of RESET at a drawn place."""
    process = setting.process
    if process.T < 3:
        return None
    K, length = process.num_symbols, stream_length(process.T)
    symbols = np.asarray(process.sample(key, streams, length))
    predicted = [predict(symbols) for predict in predictors]
    drawn = drawn_places(length, process.T)
    if any(np.isneginf(rows[:, drawn, :K].max(-1)).any() for rows in predicted):
        # Where RESET is certain, the symbols have no distribution of their own.
        return None
    fitted = over_seeds([effective_alpha(rows, symbols, K, process.T) for rows in predicted])
    return [e.document() for e in fitted]
