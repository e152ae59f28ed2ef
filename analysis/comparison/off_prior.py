"""Where a network breaks: test streams that its training process does not make.

Other priors at the trained T, the trained prior at other T, and tasks whose p is always the same. The
reference 'bayes' believes in the training alpha and knows the test streams' T; 'bayes_test' is Bayes
with the test streams' own alpha, the best predictor there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jaxtyping import PRNGKeyArray

from analysis.comparison.compare import compare
from analysis.comparison.results import estimate_all
from analysis.intervals import Estimate
from analysis.report.report import Document
from autoregressive.pace import SCORING, part
from meta_learning.learner import Learner
from meta_learning.processes import (
    DirichletCategorical,
    FixedCategorical,
    Process,
    json_task_length,
)
from meta_learning.training import stream_length

_FLAT = (1.3, 1.1, 1.0, 0.3)
TASK_LENGTHS = (2, 5, 20, 50, math.inf)


@dataclass(frozen=True)
class Row:
    """One kind of test stream. kind: "own", "alpha", "p" or "T". estimates: those of
    ``estimate_all``."""

    kind: str
    source: Process
    streams: int
    estimates: dict[str, Estimate]

    @property
    def name(self) -> str:
        """What differs from training: "alpha=1.3,1.3,1.3", "p=1,0,0", "T=5"."""
        if isinstance(self.source, FixedCategorical):
            return f"p={_numbers(self.source.p)}"
        if self.kind == "T":
            return f"T={self.source.task_length:g}"
        assert isinstance(self.source, DirichletCategorical)
        return f"alpha={_numbers(self.source.alpha)}"

    @property
    def infinite(self) -> bool:
        """Whether a network gives probability 0 to what Bayes does not rule out. With one draw or
        more a gap always exists."""
        return self.estimates["gap.network"].mean is None and self.source.task_length > 1

    @property
    def symbols_gap(self) -> float | None:
        """The gap less what is about RESET: KL over the K symbols, the network's renormalised."""
        gap, cost = self.estimates["gap.network"].mean, self.estimates["reset_cost"].mean
        return None if gap is None or cost is None else gap - cost

    def document(self) -> Document:
        """Plain JSON values, nats a drawn symbol; None for what does not exist."""
        names = {
            "loss.network",
            "loss.oracle",
            "loss.bayes",
            "loss.bayes_test",
            "loss.memoryless",
            "gap.network",
            "gap.memoryless",
            "gap_test.network",
            "gap_test.bayes",
            "gap_closed",
            "regret.realised",
            "leak",
            "miss",
            "reset_cost",
        }
        return {
            "kind": self.kind,
            "name": self.name,
            **self.source.settings(),
            "streams": self.streams,
            "gap_over_symbols": self.symbols_gap,
            **{
                n: {"mean": e.mean, "ci95": e.ci95} for n, e in self.estimates.items() if n in names
            },
        }


@dataclass(frozen=True)
class OffPrior:
    """All rows of networks trained on one process. interval: what the intervals are over."""

    process: DirichletCategorical
    rows: list[Row]
    interval: str

    def document(self) -> Document:
        """Plain JSON values."""
        return {
            "alpha": list(self.process.alpha),
            "T": json_task_length(self.process.T),
            "interval": self.interval,
            "rows": [row.document() for row in self.rows],
        }


def off_prior(
    learners: Sequence[Learner],
    process: DirichletCategorical,
    *,
    key: PRNGKeyArray,
    streams: int = 1_000,
    sources: Sequence[tuple[str, Process]] | None = None,
) -> OffPrior:
    """Scores networks trained on ``process`` on other test streams, the same for all seeds.

    sources: (kind, process) pairs; None takes the process itself, flat priors and one concentrated on
    the first symbol, p at two corners and at the centre, and task lengths from 2 to inf.
    Errors: ValueError where a source has another K.
    """
    rows = []
    sources = sources or default_sources(process)
    for number, (kind, source) in enumerate(sources):
        prior = DirichletCategorical(process.alpha, source.task_length)
        with part(SCORING, number * streams, streams, len(sources) * streams):
            comparison = compare(
                [learner.log_predictive for learner in learners],
                prior,
                source,
                key=key,
                streams=streams,
                length=stream_length(source.task_length),
            )
        rows.append(Row(kind, source, streams, estimate_all(comparison)))
    return OffPrior(process, rows, "seeds" if len(learners) > 1 else "streams")


def default_sources(process: DirichletCategorical) -> list[tuple[str, Process]]:
    """The test streams of ``off_prior``, the process's own first."""
    return [("own", process), *_others(process)]


def _others(process: DirichletCategorical) -> Iterator[tuple[str, Process]]:
    K, T = process.num_symbols, process.T
    for alpha in ((10.0, *(1.0,) * (K - 1)), *((a,) * K for a in _FLAT)):
        if alpha != process.alpha:
            yield "alpha", DirichletCategorical(alpha, T)
    first, last = (1.0, *(0.0,) * (K - 1)), (*(0.0,) * (K - 1), 1.0)
    for p in (first, last, (1 / K,) * K):
        yield "p", FixedCategorical(p, T)
    for other in TASK_LENGTHS:
        if other != T:
            yield "T", DirichletCategorical(process.alpha, other)


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{v:.2g}" for v in values)
