"""How far predictors are from Bayes on shared streams, in nats, with intervals.

A predictor is anything that gives log p(x_t | x_<t); networks and references are treated alike.
Averages are over the places where a symbol is drawn. The gap is KL(Bayes || predictor) over all
K + 1 outcomes with 0 log 0 = 0: its mean estimates the expected excess loss far more precisely than
the difference of two losses does. Streams are drawn and scored in chunks, so memory does not grow
with their number beyond a few numbers a stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, PRNGKeyArray

from analysis.comparison.chunks import cache_blocks, drawn_chunks
from analysis.comparison.scores import (
    DrawnRows,
    Part,
    Rows,
    Scores,
    at_drawn,
    join,
    score_between,
    score_part,
)
from analysis.report.report import Document
from analysis.report.views import Viewed
from autoregressive.errors import counted
from autoregressive.pace import SCORING, part, tell
from meta_learning.processes import FixedCategorical, Process, Streams, drawn_places
from meta_learning.references import ladder

# Symbols (streams, L) -> log q.
Predictor = Callable[[Integer[np.ndarray, "streams length"]], Rows]
Item = TypeVar("Item")


@dataclass
class Example:
    """One test stream with what was predicted along it.

    symbols: int (L,). network, bayes, oracle: probabilities (L, K+1). low, high: the central 95%
    interval of the posterior over p before each place (L, K), NaN at RESET places; None where the
    process has no such p.
    """

    symbols: Integer[np.ndarray, " length"]
    network: Float[np.ndarray, "length outcomes"]
    bayes: Float64[np.ndarray, "length outcomes"]
    oracle: Float64[np.ndarray, "length outcomes"]
    low: Float64[np.ndarray, "length symbols"] | None
    high: Float64[np.ndarray, "length symbols"] | None


@dataclass(repr=False)
class Comparison(Viewed):
    """Scores of networks (one a seed) and of the reference ladder on the same streams.

    settings: how the networks came to be, for reports. subject: what they are called there.
    """

    prior: Process
    source: Process
    networks: list[Scores]
    references: dict[str, Scores]
    length: int
    seeds: list[int]
    example: Example
    settings: Document = field(default_factory=dict)
    subject: str = "network"

    def __repr__(self) -> str:
        gap = np.mean([scores.gap.mean() for scores in self.networks])
        return (
            f"<Comparison on {self.streams} streams of {self.source.title}: "
            f"{counted(len(self.networks), 'network')}, mean gap {gap:.3g} nats, beside "
            f"{', '.join(self.references)}>"
        )

    @property
    def streams(self) -> int:
        """How many test streams were scored."""
        return len(self.references["bayes"].loss)

    @property
    def off_prior(self) -> bool:
        """Whether the streams come from another source than the training prior."""
        return self.source != self.prior


def compare(
    networks: Sequence[Predictor],
    prior: Process,
    source: Process,
    *,
    key: PRNGKeyArray,
    streams: int = 10_000,
    length: int,
    seeds: Sequence[int] = (0,),
    only: Collection[str] | None = None,
) -> Comparison:
    """Scores ``networks`` and the reference ladder on ``streams`` streams of ``source``.

    prior: what the networks were trained on, at the test streams' T; 'bayes' and 'memoryless' use
    it. Where ``source`` is another process with latent values to learn, 'bayes_test' is Bayes under
    it, and every predictor gets a ``gap_test`` from it. only: names of the references to score, bayes
    among them; None is the whole ladder. Returns scores a stream: ``estimates.estimate_all`` makes means
    with intervals of them.
    Errors: ValueError where prior and source differ in K or T, or streams < 2.
    """
    if streams < 2:
        raise ValueError(f"an interval needs 2 or more test streams; got {streams}")
    done = 0

    def rows(network: Predictor, symbols: Integer[np.ndarray, "n length"]) -> Rows:
        nonlocal done
        with part(SCORING, done, len(symbols), streams * len(networks)):
            log_q = network(symbols)
        done += len(symbols)
        return log_q

    tell(SCORING, 0, streams * len(networks))
    # Networks run in a thread beside the references, which are NumPy's for the most part.
    with ThreadPoolExecutor(1) as beside:
        chunks = (
            (chunk, _each_ahead(beside, rows, networks, np.asarray(chunk.symbols)))
            for chunk in drawn_chunks(source, key, streams, length)
        )
        return score(prior, source, chunks, length=length, seeds=seeds, only=only)


def _each_ahead(
    beside: ThreadPoolExecutor,
    rows: Callable[[Predictor, Integer[np.ndarray, "n length"]], Rows],
    networks: Sequence[Predictor],
    symbols: Integer[np.ndarray, "n length"],
) -> Iterator[Rows]:
    """What each network predicts, the first begun now and each next one when the one before it is
    asked for."""

    def begin(network: Predictor) -> Future[Rows]:
        # In the caller's context: who listens to the work, and NumPy's error state, stay.
        return beside.submit(copy_context().run, rows, network, symbols)

    def results(now: Future[Rows]) -> Iterator[Rows]:
        for network in networks[1:]:
            following = begin(network)
            yield now.result()
            now = following
        yield now.result()

    return results(begin(networks[0]))


def score(
    prior: Process,
    source: Process,
    chunks: Iterable[tuple[Streams, Iterable[Rows]]],
    *,
    length: int,
    seeds: Sequence[int] = (0,),
    only: Collection[str] | None = None,
) -> Comparison:
    """Scores given rows and the reference ladder on given streams; arguments as for ``compare``.

    chunks: streams of ``source``, with the rows log q (streams, length, K+1) that each network
    predicts on them, one or more networks and always the same ones.
    Errors: ValueError where prior and source differ in K or T, or streams do not hold whole tasks.
    """
    if prior.num_symbols != source.num_symbols:
        raise ValueError(
            f"the test streams have {source.num_symbols} symbols, the network was trained with "
            f"{prior.num_symbols}; they must agree"
        )
    if prior.task_length != source.task_length:
        raise ValueError(
            f"the references must know the streams' T: prior has {prior.task_length}, "
            f"source {source.task_length}"
        )
    T = source.task_length
    if length < 1 or (not math.isinf(T) and length % int(T)):
        raise ValueError(f"test streams must hold whole tasks: length {length} at T={T}")
    drawn = drawn_places(length, source.task_length)
    positions = _positions(length, source.task_length)
    off = source != prior and not isinstance(source, FixedCategorical)
    references = ladder(prior, source, only)
    if off:
        references["bayes_test"] = lambda streams: source.log_predictive(streams.symbols)

    parts: dict[str, list[Part]] = {n: [] for n in references}
    of_networks: list[list[Part]] = []
    example: Example | None = None
    for chunk, networks, log_q in _one_ahead(_with_references(chunks, references)):
        targets, bayes = (at_drawn(a, drawn) for a in (np.asarray(chunk.symbols), log_q["bayes"]))
        bayes_test = at_drawn(log_q["bayes_test"], drawn) if off else None
        blocks = cache_blocks(log_q["bayes"])
        of_blocks = partial(_score_blocks, blocks, bayes, bayes_test, targets, drawn, positions)
        for name, rows in log_q.items():
            parts[name] += of_blocks(rows)
        for number, rows in enumerate(networks):
            if number == len(of_networks):
                of_networks.append([])
            scored = of_blocks(rows)
            of_networks[number] += scored
            if prior.second in log_q:
                second = log_q[prior.second]
                for part, some in zip(scored, blocks, strict=True):
                    part.between = score_between(
                        rows[some], bayes[some], second[some], drawn, positions
                    )
            if example is None:
                example = _example(rows[0], log_q, prior, chunk)
    assert example is not None, "a comparison needs at least one network"
    return Comparison(
        prior,
        source,
        [join(part) for part in of_networks],
        {name: join(part) for name, part in parts.items()},
        length,
        list(seeds),
        example,
    )


def _with_references(
    chunks: Iterable[tuple[Streams, Iterable[Rows]]],
    references: Mapping[str, Callable[[Streams], Rows]],
) -> Iterator[tuple[Streams, Iterable[Rows], dict[str, Rows]]]:
    """The chunks with what each reference says of them."""
    for chunk, networks in chunks:
        yield chunk, networks, {name: reference(chunk) for name, reference in references.items()}


def _one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each made in a thread while the caller works on the one before it."""
    with ThreadPoolExecutor(1) as beside:

        def begin() -> Future[Item | None]:
            following = partial(next, items, None)
            return beside.submit(copy_context().run, following)

        ahead = begin()
        while (now := ahead.result()) is not None:
            ahead = begin()
            yield now


def _score_blocks(
    blocks: Sequence[slice],
    bayes: DrawnRows,
    bayes_test: DrawnRows | None,
    targets: Integer[np.ndarray, "streams drawn"],
    drawn: Bool[np.ndarray, " length"],
    positions: int,
    log_q: Rows,
) -> list[Part]:
    """``score_part`` of each block of streams."""
    return [
        score_part(
            log_q[some],
            bayes[some],
            None if bayes_test is None else bayes_test[some],
            targets[some],
            drawn,
            positions,
        )
        for some in blocks
    ]


def _positions(length: int, task_length: float) -> int:
    """Drawn places in one task, or in the stream where there is no RESET."""
    return length if math.isinf(task_length) else min(int(task_length) - 1, length)


def _example(
    network: Float[np.ndarray, "length outcomes"],
    log_q: dict[str, Rows],
    prior: Process,
    chunk: Streams,
) -> Example:
    symbols = np.asarray(chunk.symbols[0])
    low, high = prior.posterior_interval(symbols) or (None, None)
    return Example(
        symbols,
        np.exp(network),
        np.exp(log_q["bayes"][0]),
        np.exp(log_q["oracle"][0]),
        low,
        high,
    )
