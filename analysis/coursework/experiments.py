"""The coursework's four models on its three test streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analysis.comparison.compare import Comparison
from analysis.comparison.estimates import estimate_all
from analysis.comparison.learners import compare_learners
from analysis.comparison.results import document
from analysis.report.report import Document
from meta_learning.experiments import EXPERIMENTS, TEST_STREAMS
from meta_learning.learner import Learner
from meta_learning.processes import DirichletCategorical


@dataclass(frozen=True)
class Experiments:
    """learners: by model, one a seed. comparisons, documents: by model and test stream; the latter are
    JSON."""

    learners: dict[str, list[Learner]]
    comparisons: dict[str, dict[str, Comparison]]
    documents: dict[str, dict[str, Document]]


def run_experiments(
    train: Callable[[str, DirichletCategorical], list[Learner]], seed: int, streams: int
) -> Experiments:
    """Trains and scores every model on every test stream. train: from a model's name and process to its
    networks. seed, streams: of the test streams."""
    learners: dict[str, list[Learner]] = {}
    comparisons: dict[str, dict[str, Comparison]] = {}
    for name, process in EXPERIMENTS.items():
        learners[name] = train(name, process)
        comparisons[name] = compare_on_test_streams(learners[name], process, seed, streams)
    documents = {
        name: {key: document(c, estimate_all(c)) for key, c in of.items()}
        for name, of in comparisons.items()
    }
    return Experiments(learners, comparisons, documents)


def compare_on_test_streams(
    learners: list[Learner], process: DirichletCategorical, seed: int, streams: int
) -> dict[str, Comparison]:
    """Scores one model's networks on the three test streams at its own T, by the streams' names. seed,
    streams: of the test streams."""
    return {
        key: compare_learners(learners, process, process, stream.make(process.T), seed, streams)
        for key, stream in TEST_STREAMS.items()
    }
