"""Trained networks against Bayes, on the test streams of a seed."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from analysis.comparison.chunks import drawn_chunks
from analysis.comparison.compare import Comparison, compare
from meta_learning.learner import TEST, Learner
from meta_learning.processes import Process, json_task_length
from meta_learning.processes.places import stream_length
from meta_learning.references import ladder


def compare_learners(
    learners: Sequence[Learner],
    process: Process,
    prior: Process,
    source: Process,
    seed: int,
    streams: int,
) -> Comparison:
    """``compare`` for learners trained on ``process``, on streams of ``source``.

    prior: what the references believe. seed: its test key draws the streams. streams: how many. The
    comparison's settings say how the learners were trained. Errors: as ``compare``.
    """
    comparison = compare(
        [learner.log_predictive for learner in learners],
        prior,
        source,
        key=_test_key(seed),
        streams=streams,
        length=stream_length(source.task_length),
        seeds=[learner.settings.get("seed", 0) for learner in learners],
    )
    settings = learners[0].settings
    recipe = settings.get("recipe", {})
    comparison.settings = {
        "train_T": json_task_length(process.task_length),
        "trained_on": process.title,
        "cell": settings["cell"],
        "hidden": settings["hidden"],
        "recipe": recipe.get("name"),
        "iterations": recipe.get("iterations"),
        "batch_size": recipe.get("batch_size"),
        "unroll": recipe.get("unroll"),
        "targets": recipe.get("targets", "symbols"),
        "symbols": recipe.get("iterations", 0)
        * recipe.get("batch_size", 0)
        * recipe.get("unroll", 0),
    }
    return comparison


def score_ahead(prior: Process, source: Process, seed: int, streams: int) -> None:
    """What ``compare_learners`` does first, without a network and for nothing: it then finds the
    programs compiled. Arguments as there."""
    length = stream_length(source.task_length)
    chunk = next(drawn_chunks(source, _test_key(seed), streams, length))
    for reference in ladder(prior, source).values():
        reference(chunk)


def _test_key(seed: int) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.key(seed), TEST)
