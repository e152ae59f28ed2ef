"""How far predictors are from Bayes on shared streams, in nats, with intervals.

A predictor is anything that gives log p(x_t | x_<t); networks and references are treated alike.
Averages are over the places where a symbol is drawn. The gap is KL(Bayes || predictor) over all
K + 1 outcomes with 0 log 0 = 0: its mean estimates the expected excess loss far more precisely than
the difference of two losses does. Streams are drawn and scored in chunks, so memory does not grow
with their number beyond a few numbers a stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from analysis.comparison.between import derivatives
from analysis.comparison.metrics import METRICS
from analysis.report.report import Document
from autoregressive.pace import SCORING, part, tell
from autoregressive.scores import kl, log_loss, log_sum
from meta_learning.processes import FixedCategorical, Process, Streams, drawn_places
from meta_learning.references import ladder

Predictor = Callable[[np.ndarray], np.ndarray]
_CHUNK_SYMBOLS = 250_000


@dataclass
class Scores:
    """One predictor on the test streams; every array has one entry a stream, or one a position.

    loss: mean of -log q at drawn places, nats. gap: mean of KL(Bayes || q) there over all K + 1
    outcomes, nats. metrics: the mean of each of ``METRICS`` there. leak: mean probability of RESET at
    drawn places, where there is a RESET at all. miss: mean of 1 - it at RESET places. reset_cost: mean
    of -log(1 - probability of RESET) at drawn places, nats: the part of the gap that is about when a
    task ends; what is left is the KL over the K symbols, renormalised. gap_by_position,
    loss_by_position: means over tasks and streams at each draw of a task; gap_by_position_se: the
    standard error over streams. gap_test: as gap, from Bayes of the streams' own process; None where
    that is the prior or has nothing to learn. NaN where there is no such place.
    """

    loss: np.ndarray
    gap: np.ndarray
    metrics: dict[str, np.ndarray]
    leak: np.ndarray
    miss: np.ndarray
    reset_cost: np.ndarray
    gap_by_position: np.ndarray
    gap_by_position_se: np.ndarray
    loss_by_position: np.ndarray
    gap_test: np.ndarray | None = None
    between: Between | None = None


@dataclass
class Between:
    """One network between Bayes and the process's ``second`` exact predictor.

    gap: mean of KL(second || network) at drawn places, (streams,), nats. slopes: means of
    ``between.derivatives`` there, (streams, nodes). gap_by_position, slopes_by_position: means over
    tasks and streams, (positions,) and (positions, nodes).
    """

    gap: np.ndarray
    slopes: np.ndarray
    gap_by_position: np.ndarray
    slopes_by_position: np.ndarray


@dataclass
class Example:
    """One test stream with what was predicted along it.

    symbols: int (L,). network, bayes, oracle: probabilities (L, K+1). low, high: the central 95%
    interval of the posterior over p before each place (L, K), NaN at RESET places; None where the
    process has no such p.
    """

    symbols: np.ndarray
    network: np.ndarray
    bayes: np.ndarray
    oracle: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


@dataclass
class Comparison:
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
    key: jax.Array,
    streams: int = 10_000,
    length: int,
    seeds: Sequence[int] = (0,),
    only: Collection[str] | None = None,
) -> Comparison:
    """Scores ``networks`` and the reference ladder on ``streams`` streams of ``source``.

    prior: what the networks were trained on, at the test streams' T; 'bayes' and 'memoryless' use
    it. Where ``source`` is another process with latent values to learn, 'bayes_test' is Bayes under
    it, and every predictor gets a ``gap_test`` from it. only: names of the references to score, bayes
    among them; None is the whole ladder. Returns scores a stream: ``results.estimate_all`` makes means
    with intervals of them.
    Errors: ValueError where prior and source differ in K or T, or streams < 2.
    """
    if streams < 2:
        raise ValueError(f"an interval needs 2 or more test streams; got {streams}")
    done = 0

    def rows(network: Predictor, symbols: np.ndarray) -> np.ndarray:
        nonlocal done
        with part(SCORING, done, len(symbols), streams * len(networks)):
            log_q = network(symbols)
        done += len(symbols)
        return log_q

    chunks = (
        (chunk, (rows(network, np.asarray(chunk.symbols)) for network in networks))
        for chunk in drawn_chunks(source, key, streams, length)
    )
    tell(SCORING, 0, streams * len(networks))
    return score(prior, source, chunks, length=length, seeds=seeds, only=only)


def drawn_chunks(source: Process, key: jax.Array, streams: int, length: int) -> Iterator[Streams]:
    """``streams`` streams of ``source`` as NumPy arrays, some at a time; those of ``compare``."""
    per_chunk = chunk_rows(streams, length)
    starts = range(0, streams, per_chunk)
    # Every chunk is drawn whole, so that one compiled program serves all; JAX draws the next one
    # while the caller scores this one.
    drawn = (
        source.sample_with_latent(jax.random.fold_in(key, index), per_chunk, length)
        for index in range(len(starts))
    )
    ahead = next(drawn)
    for start in starts:
        now, ahead = ahead, next(drawn, ahead)
        keep = min(per_chunk, streams - start)
        yield Streams(*(np.asarray(a)[:keep] for a in now))


def chunk_rows(streams: int, length: int) -> int:
    """How many streams are drawn and scored at a time."""
    return min(streams, max(1, _CHUNK_SYMBOLS // length))


def score(
    prior: Process,
    source: Process,
    chunks: Iterable[tuple[Streams, Iterable[np.ndarray]]],
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
    test_prior = source if off else None
    references = ladder(prior, source, only)

    parts: dict[str, list[_Part]] = {n: [] for n in references}
    if test_prior:
        parts["bayes_test"] = []
    of_networks: list[list[_Part]] = []
    example: Example | None = None
    for chunk, networks in chunks:
        symbols = np.asarray(chunk.symbols)
        log_q = {name: reference(chunk) for name, reference in references.items()}
        if test_prior:
            log_q["bayes_test"] = test_prior.log_predictive(symbols)
        bayes, bayes_test = log_q["bayes"], log_q.get("bayes_test")
        for name, rows in log_q.items():
            parts[name].append(_score(rows, bayes, bayes_test, symbols, drawn, positions))
        for number, rows in enumerate(networks):
            if number == len(of_networks):
                of_networks.append([])
            part = _score(rows, bayes, bayes_test, symbols, drawn, positions)
            if prior.second in log_q:
                part.between = _between(rows, bayes, log_q[prior.second], drawn, positions)
            of_networks[number].append(part)
            if example is None:
                example = _example(rows[0], log_q, prior, chunk)
    assert example is not None, "a comparison needs at least one network"
    return Comparison(
        prior,
        source,
        [_join(part) for part in of_networks],
        {name: _join(part) for name, part in parts.items()},
        length,
        list(seeds),
        example,
    )


@dataclass
class _Part:
    loss: np.ndarray
    gap: np.ndarray
    metrics: dict[str, np.ndarray]
    leak: np.ndarray
    miss: np.ndarray
    reset_cost: np.ndarray
    gap_test: np.ndarray | None
    # Sums over streams of the gap by position, a stream's tasks averaged first, and of its square;
    # and of the loss.
    position_sum: np.ndarray
    position_squares: np.ndarray
    position_loss: np.ndarray
    between: Between | None = None


def _between(
    log_q: np.ndarray, bayes: np.ndarray, second: np.ndarray, drawn: np.ndarray, positions: int
) -> Between:
    """The network's place between two exact predictors, on some streams."""
    gap = kl(second[:, drawn], log_q[:, drawn])
    slopes = derivatives(*(rows[:, drawn, :-1] for rows in (log_q, bayes, second)))
    by_position = [
        values.reshape(len(values), -1, positions, *values.shape[2:]).mean((0, 1))
        if positions
        else values[0]
        for values in (gap, slopes)
    ]
    of_stream = slopes.mean(1) if positions else np.full((len(gap), slopes.shape[-1]), np.nan)
    return Between(_mean(gap), of_stream, *by_position)


def _score(
    log_q: np.ndarray,
    bayes: np.ndarray,
    bayes_test: np.ndarray | None,
    symbols: np.ndarray,
    drawn: np.ndarray,
    positions: int,
) -> _Part:
    log_drawn, log_bayes, targets = log_q[:, drawn], bayes[:, drawn], symbols[:, drawn]
    loss, gap = log_loss(log_drawn, targets), kl(log_bayes, log_drawn)
    # A stream's tasks are averaged first: streams, not places, are independent.
    by_stream, losses = (
        values.reshape(len(values), -1, positions).mean(1) if positions else values
        for values in (gap, loss)
    )
    reset = np.exp(log_q[..., -1])
    has_reset = not drawn.all()
    return _Part(
        loss=_mean(loss),
        gap=_mean(gap),
        metrics={n: _mean(m.score(log_drawn, log_bayes, targets)) for n, m in METRICS.items()},
        leak=_mean(reset[:, drawn & has_reset]),
        miss=_mean(1 - reset[:, ~drawn]),
        reset_cost=_mean(-log_sum(log_drawn[..., :-1])),
        gap_test=None if bayes_test is None else _mean(kl(bayes_test[:, drawn], log_drawn)),
        position_sum=by_stream.sum(0),
        position_squares=(by_stream**2).sum(0),
        position_loss=losses.sum(0),
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over places, NaN where there are none."""
    return values.mean(-1) if values.shape[-1] else np.full(len(values), np.nan)


def _positions(length: int, task_length: float) -> int:
    """Drawn places in one task, or in the stream where there is no RESET."""
    return length if math.isinf(task_length) else min(int(task_length) - 1, length)


def _join_between(parts: list[Between]) -> Between:
    weights = np.array([len(part.gap) for part in parts]) / sum(len(part.gap) for part in parts)
    return Between(
        np.concatenate([part.gap for part in parts]),
        np.concatenate([part.slopes for part in parts]),
        sum(w * part.gap_by_position for w, part in zip(weights, parts, strict=True)),
        sum(w * part.slopes_by_position for w, part in zip(weights, parts, strict=True)),
    )


def _join(parts: list[_Part]) -> Scores:
    def whole(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    between = [part.between for part in parts if part.between is not None]
    total = np.sum([part.position_sum for part in parts], axis=0)
    squares = np.sum([part.position_squares for part in parts], axis=0)
    count = sum(len(part.loss) for part in parts)
    mean = total / count
    with np.errstate(invalid="ignore"):  # the oracle's gap can be infinite
        variance = np.maximum(squares / count - mean**2, 0.0) * count / max(count - 1, 1)
    return Scores(
        loss=whole("loss"),
        gap=whole("gap"),
        metrics={
            name: np.concatenate([part.metrics[name] for part in parts])
            for name in parts[0].metrics
        },
        leak=whole("leak"),
        miss=whole("miss"),
        reset_cost=whole("reset_cost"),
        gap_by_position=mean,
        gap_by_position_se=np.sqrt(variance / count),
        loss_by_position=np.sum([part.position_loss for part in parts], axis=0) / count,
        gap_test=None if parts[0].gap_test is None else whole("gap_test"),
        between=_join_between(between) if between else None,
    )


def _example(
    network: np.ndarray, log_q: dict[str, np.ndarray], prior: Process, chunk: Streams
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
