"""Where a network breaks: test streams of other processes than it was trained on.

For dirichlet-categorical these are other priors at the trained T; for other processes, those of their
own references that are processes. For all of them, tasks whose p is always the same, and other T. The
reference 'bayes' believes in the training process and knows the test streams' T; 'bayes_test' is Bayes
of the test streams' own process, the best predictor there. Streams that the training process cannot
make are left out: Bayes predicts nothing after them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import PRNGKeyArray

from analysis.comparison.chunks import drawn_chunks
from analysis.comparison.compare import Predictor, compare
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
# The estimates of a row that are reported.
_REPORTED = {
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


@dataclass(frozen=True)
class Row:
    """One kind of test stream. kind: "own", "alpha", "p", "T", or the name of a reference. source: what
    makes the streams. streams: how many. estimates: of ``estimate_all``."""

    kind: str
    source: Process
    streams: int
    estimates: dict[str, Estimate]

    @property
    def name(self) -> str:
        """What differs from training, as ``name_of`` says it."""
        return name_of(self.kind, self.source)

    @property
    def infinite(self) -> bool:
        """Whether the gap is infinite: a network rules out what Bayes does not. Without a draw there is
        no gap at all."""
        return self.estimates["gap.network"].mean is None and self.source.task_length > 1

    @property
    def symbols_gap(self) -> float | None:
        """KL over the K symbols, with the network's renormalised, nats: the gap less the part about
        RESET."""
        gap, cost = self.estimates["gap.network"].mean, self.estimates["reset_cost"].mean
        return None if gap is None or cost is None else gap - cost

    def document(self) -> Document:
        """Plain JSON values, nats a drawn symbol; None for what does not exist."""
        return {
            "kind": self.kind,
            "name": self.name,
            **self.source.settings(),
            "streams": self.streams,
            "gap_over_symbols": self.symbols_gap,
            **{n: e.document() for n, e in self.estimates.items() if n in _REPORTED},
        }


@dataclass(frozen=True)
class OffPrior:
    """Networks trained on one process, on other test streams. interval: what the intervals are over,
    "seeds" or "streams". left_out: names of test streams that the process cannot make."""

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

    predictors: each network's ``log_predictive``. streams: how many of each kind. sources: (kind,
    process) pairs; None takes ``default_sources``. Errors: ValueError where a source has another K.
    """
    rows, left_out = [], []
    sources = sources or default_sources(process)
    for number, (kind, source) in enumerate(sources):
        prior = process
        if source.task_length != process.task_length:
            prior = process.replace({"T": source.task_length})
        if not _can_make(prior, source, key, streams):
            left_out.append(name_of(kind, source))
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
        return True  # another K is an error of ``compare``
    for chunk in drawn_chunks(source, key, streams, stream_length(source.task_length)):
        symbols = np.asarray(chunk.symbols)
        rows = Machine.log_predictive(process, symbols)
        if np.isneginf(np.take_along_axis(rows, symbols[..., None], -1)).any():
            return False
    return True


def default_sources(process: Process) -> list[tuple[str, Process]]:
    """The test streams of ``off_prior`` as (kind, process): the process itself; flat priors and one
    concentrated on the first symbol, or its references; p at two corners and at the centre; other T."""
    return [("own", process), *_others(process)]


def _others(process: Process) -> Iterator[tuple[str, Process]]:
    K, T = process.num_symbols, process.task_length
    if isinstance(process, DirichletCategorical):
        for alpha in ((10.0, *(1.0,) * (K - 1)), *((a,) * K for a in _FLAT)):
            if alpha != process.alpha:
                yield "alpha", DirichletCategorical(alpha, T)
    else:
        for name, machine in process.ladder().items():
            if isinstance(machine, Process) and machine != process:
                yield name, machine
    first, last = (1.0, *(0.0,) * (K - 1)), (*(0.0,) * (K - 1), 1.0)
    for p in (first, last, (1 / K,) * K):
        if FixedCategorical(p, T) != process:
            yield "p", FixedCategorical(p, T)
    for other in TASK_LENGTHS if "T" in process.parameters else ():
        if other != T:
            yield "T", process.replace({"T": other})


# Test streams of references whose names are no words: what they follow.
_REFERENCES = {
    "iid_dirichlet": "i.i.d. symbols",
    "laplace": "Dirichlet, alpha=1",
    "kt": "Dirichlet, alpha=1/2",
    "bigram": "another first symbol",
}


def name_of(kind: str, source: Process) -> str:
    """What differs from training: "alpha=1.3,1.3,1.3", "p=1,0,0", "T=5", or a reference's name in words:
    "wrong model" for "bayes_wrong_model"."""
    if kind == "p" and isinstance(source, FixedCategorical):
        return f"p={_numbers(source.p)}"
    if kind == "T":
        return f"T={source.task_length:g}"
    if kind == "alpha" and isinstance(source, DirichletCategorical):
        return f"alpha={_numbers(source.alpha)}"
    return _REFERENCES.get(kind, kind.removeprefix("bayes_").replace("_", " "))


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{v:.2g}" for v in values)
