"""Scores of one predictor on test streams: of some streams at a time, then of all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Shaped

from analysis.comparison.between import derivatives
from analysis.comparison.metrics import METRICS, score_of
from autoregressive.scores import kl, log_loss, logsumexp

# log q of every outcome, nats.
Rows = Float[np.ndarray, "streams length outcomes"]
# The same at drawn places alone.
DrawnRows = Float[np.ndarray, "streams drawn outcomes"]


@dataclass
class Between:
    """One network between Bayes and the process's ``second`` exact predictor.

    gap: mean of KL(second || network) at drawn places, (streams,), nats. slopes: means of
    ``between.derivatives`` there, (streams, nodes). gap_by_position, slopes_by_position: means over
    tasks and streams, (positions,) and (positions, nodes).
    """

    gap: Float64[np.ndarray, " streams"]
    slopes: Float64[np.ndarray, "streams nodes"]
    gap_by_position: Float64[np.ndarray, " positions"]
    slopes_by_position: Float64[np.ndarray, "positions nodes"]


@dataclass(kw_only=True)
class ByStream:
    """One predictor on test streams; every array has one entry a stream.

    loss: mean of -log q at drawn places, nats. gap: mean of KL(Bayes || q) there over all K + 1
    outcomes, nats. metrics: the mean of each of ``METRICS`` there. leak: mean probability of RESET at
    drawn places, where there is a RESET at all. miss: mean of 1 - it at RESET places. reset_cost: mean
    of -log(1 - probability of RESET) at drawn places, nats: the part of the gap that is about when a
    task ends; what is left is the KL over the K symbols, renormalised. gap_test: as gap, from Bayes of
    the streams' own process; None where that is the prior or has nothing to learn. NaN where there is
    no such place.
    """

    loss: Float64[np.ndarray, " streams"]
    gap: Float64[np.ndarray, " streams"]
    metrics: dict[str, Float64[np.ndarray, " streams"]]
    leak: Float64[np.ndarray, " streams"]
    miss: Float64[np.ndarray, " streams"]
    reset_cost: Float64[np.ndarray, " streams"]
    gap_test: Float64[np.ndarray, " streams"] | None = None
    between: Between | None = None


@dataclass(kw_only=True)
class Scores(ByStream):
    """One predictor on all test streams.

    gap_by_position, loss_by_position: means over tasks and streams at each draw of a task, NaN where
    there is no such place; gap_by_position_se: the standard error over streams.
    """

    gap_by_position: Float64[np.ndarray, " positions"]
    gap_by_position_se: Float64[np.ndarray, " positions"]
    loss_by_position: Float64[np.ndarray, " positions"]


@dataclass(kw_only=True)
class Part(ByStream):
    """One predictor on some of the streams.

    position_sum, position_squares, position_loss: sums over these streams of the gap by position, a
    stream's tasks averaged first, of its square, and of the loss.
    """

    position_sum: Float64[np.ndarray, " positions"]
    position_squares: Float64[np.ndarray, " positions"]
    position_loss: Float64[np.ndarray, " positions"]


def at_drawn(
    values: Shaped[np.ndarray, "streams length ..."], drawn: Bool[np.ndarray, " length"]
) -> Shaped[np.ndarray, "streams drawn ..."]:
    """What stands at drawn places: ``values[:, drawn]``, several times as fast."""
    return values.take(np.flatnonzero(drawn), axis=1)


def score_part(
    log_q: Rows,
    bayes: DrawnRows,
    bayes_test: DrawnRows | None,
    targets: Integer[np.ndarray, "streams drawn"],
    drawn: Bool[np.ndarray, " length"],
    positions: int,
) -> Part:
    """A predictor's rows (streams, L, K+1) on some streams, against those of Bayes and what came there,
    both at drawn places alone.

    drawn: bool (L,). positions: drawn places in a task; 0 where there are none.
    """
    log_drawn = at_drawn(log_q, drawn)
    loss, gap = log_loss(log_drawn, targets), kl(bayes, log_drawn)
    # A stream's tasks are averaged first: streams, not places, are independent.
    by_stream, losses = (
        values.reshape(len(values), -1, positions).mean(1) if positions else values
        for values in (gap, loss)
    )
    reset = np.exp(log_q[..., -1])
    has_reset = not drawn.all()
    return Part(
        loss=_mean(loss),
        gap=_mean(gap),
        metrics={n: _mean(score_of(n, log_drawn, bayes, targets)) for n in METRICS},
        leak=_mean(reset[:, drawn & has_reset]),
        miss=_mean(1 - reset[:, ~drawn]),
        reset_cost=_mean(-logsumexp(log_drawn[..., :-1])),
        gap_test=None if bayes_test is None else _mean(kl(bayes_test, log_drawn)),
        position_sum=by_stream.sum(0),
        position_squares=(by_stream**2).sum(0),
        position_loss=losses.sum(0),
    )


def score_between(
    log_q: Rows,
    bayes: DrawnRows,
    second: Rows,
    drawn: Bool[np.ndarray, " length"],
    positions: int,
) -> Between:
    """The network's place between two exact predictors, on some streams. bayes: as in ``score_part``."""
    log_drawn, other = at_drawn(log_q, drawn), at_drawn(second, drawn)
    gap = kl(other, log_drawn)
    slopes = derivatives(*(rows[..., :-1] for rows in (log_drawn, bayes, other)))
    by_position = [
        values.reshape(len(values), -1, positions, *values.shape[2:]).mean((0, 1))
        if positions
        else values[0]
        for values in (gap, slopes)
    ]
    of_stream = slopes.mean(1) if positions else np.full((len(gap), slopes.shape[-1]), np.nan)
    return Between(_mean(gap), of_stream, *by_position)


def join(parts: list[Part]) -> Scores:
    """The scores on the streams of all parts, in their order."""

    def whole(name: str) -> Float64[np.ndarray, " streams"]:
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


def _join_between(parts: list[Between]) -> Between:
    weights = np.array([len(part.gap) for part in parts]) / sum(len(part.gap) for part in parts)
    return Between(
        np.concatenate([part.gap for part in parts]),
        np.concatenate([part.slopes for part in parts]),
        sum(w * part.gap_by_position for w, part in zip(weights, parts, strict=True)),
        sum(w * part.slopes_by_position for w, part in zip(weights, parts, strict=True)),
    )


def _mean(values: Float64[np.ndarray, "streams places"]) -> Float64[np.ndarray, " streams"]:
    """Mean over places, NaN where there are none."""
    return values.mean(-1) if values.shape[-1] else np.full(len(values), np.nan)
