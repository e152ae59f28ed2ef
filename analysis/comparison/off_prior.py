"""Where a network breaks: test streams that its training process does not make.

Other priors at the trained T, the trained prior at other T, and tasks whose p is always the same; of
processes other than Dirichlet's, in place of other priors those of their own references that are
processes. The reference 'bayes' believes in the training process and knows the test streams' T;
'bayes_test' is Bayes of the test streams' own process, the best predictor there. Streams that the
training process cannot make are left out: Bayes has nothing to say there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import PRNGKeyArray

from analysis.comparison.compare import Predictor, compare, drawn_chunks
from analysis.comparison.estimates import estimate_all
from analysis.intervals import Estimate
from analysis.report.report import Document
from autoregressive.pace import SCORING, part
from meta_learning.processes import (
    DirichletCategorical,
    FixedCategorical,
    Machine,
    Process,
)
from meta_learning.processes.places import stream_length

_FLAT = (1.3, 1.1, 1.0, 0.3)
TASK_LENGTHS = (2, 5, 20, 50, math.inf)


@dataclass(frozen=True)
class Row:
    """One kind of test stream. kind: "own", "alpha", "p", "T", or the name of a reference. estimates:
    those of ``estimate_all``."""

    kind: str
    source: Process
    streams: int
    estimates: dict[str, Estimate]

    @property
    def name(self) -> str:
        """What differs from training: "alpha=1.3,1.3,1.3", "p=1,0,0", "T=5"."""
        if self.kind == "p" and isinstance(self.source, FixedCategorical):
            return f"p={_numbers(self.source.p)}"
        if self.kind == "T":
            return f"T={self.source.task_length:g}"
        if self.kind == "alpha" and isinstance(self.source, DirichletCategorical):
            return f"alpha={_numbers(self.source.alpha)}"
        return _words(self.kind)

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
    """All rows of networks trained on one process. interval: what the intervals are over. left_out:
    names of test streams that the process cannot make."""

    process: Process
    rows: list[Row]
    interval: str
    left_out: list[str] = field(default_factory=list)

    def document(self) -> Document:
        """Plain JSON values."""
        return {
            **self.process.settings(),
            "interval": self.interval,
            "left_out": self.left_out,
            "rows": [row.document() for row in self.rows],
        }


def off_prior(
    predictors: Sequence[Predictor],
    process: Process,
    *,
    key: PRNGKeyArray,
    streams: int = 1_000,
    sources: Sequence[tuple[str, Process]] | None = None,
) -> OffPrior:
    """Scores networks trained on ``process`` on other test streams, the same for all seeds.

    predictors: each network's ``log_predictive``.
    sources: (kind, process) pairs; None takes the process itself, flat priors and one concentrated on
    the first symbol, p at two corners and at the centre, and task lengths from 2 to inf.
    Errors: ValueError where a source has another K.
    """
    rows, left_out = [], []
    sources = sources or default_sources(process)
    for number, (kind, source) in enumerate(sources):
        prior = process
        if source.task_length != process.task_length:
            prior = process.replace({"T": source.task_length})
        if not _can_make(prior, source, key, streams):
            left_out.append(Row(kind, source, streams, {}).name)
            continue
        with part(SCORING, number * streams, streams, len(sources) * streams):
            comparison = compare(
                predictors,
                prior,
                source,
                key=key,
                streams=streams,
                length=stream_length(source.task_length),
            )
        rows.append(Row(kind, source, streams, estimate_all(comparison)))
    return OffPrior(process, rows, "seeds" if len(predictors) > 1 else "streams", left_out)


def _can_make(process: Process, source: Process, key: PRNGKeyArray, streams: int) -> bool:
    """Whether ``process`` gives the test streams of ``source`` a probability above 0."""
    if source == process or process.num_symbols != source.num_symbols:
        return True  # or a comparison says what is wrong
    for chunk in drawn_chunks(source, key, streams, stream_length(source.task_length)):
        symbols = np.asarray(chunk.symbols)
        rows = Machine.log_predictive(process, symbols)
        if np.isneginf(np.take_along_axis(rows, symbols[..., None], -1)).any():
            return False
    return True


def default_sources(process: Process) -> list[tuple[str, Process]]:
    """The test streams of ``off_prior``, the process's own first."""
    return [("own", process), *_others(process)]


def _others(process: Process) -> Iterator[tuple[str, Process]]:
    K, T = process.num_symbols, process.task_length
    if isinstance(process, DirichletCategorical):
        for alpha in ((10.0, *(1.0,) * (K - 1)), *((a,) * K for a in _FLAT)):
            if alpha != process.alpha:
                yield "alpha", DirichletCategorical(alpha, T)
    else:
        for name, machine in process.ladder().items():
            if isinstance(machine, Process):
                yield name, machine
    first, last = (1.0, *(0.0,) * (K - 1)), (*(0.0,) * (K - 1), 1.0)
    for p in (first, last, (1 / K,) * K):
        if FixedCategorical(p, T) != process:
            yield "p", FixedCategorical(p, T)
    for other in TASK_LENGTHS if "T" in process.parameters else ():
        if other != T:
            yield "T", process.replace({"T": other})


def _words(reference: str) -> str:
    """A reference's name in a table: "wrong model" of "bayes_wrong_model"."""
    return reference.removeprefix("bayes_").replace("_", " ")


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{v:.2g}" for v in values)
