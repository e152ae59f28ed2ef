"""Regret on switching sources, by place; and Bayes of a prior over segmentations, by enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from jaxtyping import Float64, Integer, PRNGKeyArray

from analysis.comparison.chunks import drawn_chunks
from analysis.comparison.scores import Rows
from autoregressive.scores import kl
from meta_learning.processes import PartitionTree
from meta_learning.processes.stretches import Stretches

Predict = Callable[[Integer[np.ndarray, "streams length"]], Rows]
# Sums over a stream's places, (streams,), and their means by place, (length,).
OfStreams = Float64[np.ndarray, " streams"]
OfPlaces = Float64[np.ndarray, " length"]


def regrets(
    source: Stretches,
    predictors: Mapping[str, Predict],
    key: PRNGKeyArray,
    streams: int,
    length: int,
) -> dict[str, tuple[OfStreams, OfStreams, OfPlaces]]:
    """Of each predictor q, on ``streams`` streams of ``source``: the sums over a stream's places of
    KL(p || q), p the true probabilities, and of KL(Bayes || q), nats; and the mean of the former by
    place. The first is the regret in expectation over the next symbol, as the paper has it."""
    found: dict[str, list[tuple[OfStreams, OfStreams, OfPlaces]]] = {n: [] for n in predictors}
    for chunk in drawn_chunks(source, key, streams, length):
        symbols = np.asarray(chunk.symbols)
        oracle = source.log_predictive_given_latent(chunk)
        bayes = source.log_predictive(symbols)
        for name, predict in predictors.items():
            rows = predict(symbols)
            regret = kl(oracle, rows)
            found[name].append((regret.sum(-1), kl(bayes, rows).sum(-1), regret.sum(0)))
    return {
        name: (
            np.concatenate([part[0] for part in parts]),
            np.concatenate([part[1] for part in parts]),
            np.sum([part[2] for part in parts], axis=0) / streams,
        )
        for name, parts in found.items()
    }


def enumeration_error(process: Stretches, length: int) -> float:
    """The largest difference, in nats, between log p(next | past) of ``process`` and that by the sum
    over every segmentation, over all histories of up to ``length`` - 1 symbols."""
    histories = np.array(list(itertools.product(range(process.num_symbols), repeat=length)))
    # log p of the first n symbols, n = 0..length, each summed over segmentations on its own.
    log_p = np.array([_log_probability(process, histories[:, :n]) for n in range(length + 1)])
    wanted = np.diff(log_p, axis=0).T
    rows = process.log_predictive(histories)
    found = np.take_along_axis(rows, histories[..., None], -1)[..., 0]
    return float(np.abs(found - wanted).max())


def _log_probability(process: Stretches, draws: Integer[np.ndarray, "rows n"]) -> np.ndarray:
    total = np.zeros(len(draws))
    for weight, starts in _segmentations(process, draws.shape[1]):
        of = np.full(len(draws), weight)
        for start, end in itertools.pairwise([*starts, draws.shape[1]]):
            of *= _stretch(process.alpha, draws[:, start:end])
        total += of
    return np.log(total)


def _stretch(alpha: tuple[float, ...], draws: Integer[np.ndarray, "rows n"]) -> np.ndarray:
    """p of the symbols of one stretch: the rule of succession, symbol by symbol."""
    out = np.ones(len(draws))
    for t, symbol in enumerate(draws.T):
        seen = (draws[:, :t] == symbol[:, None]).sum(1)
        out *= (np.asarray(alpha)[symbol] + seen) / (sum(alpha) + t)
    return out


def _segmentations(process: Stretches, length: int) -> Iterator[tuple[float, list[int]]]:
    """(weight, starts of the stretches) of ``length`` places: of a tree, by its splits; else by a
    change or none after each symbol, with probability 1/(2n) after the n-th of a stretch."""
    if isinstance(process, PartitionTree):
        whole = max(2**process.depth, 1)
        assert length <= whole, "one tree"
        yield from ((w, [s for s in starts if s < length] or [0]) for w, starts in _trees(whole))
        return
    for changes in itertools.product((False, True), repeat=max(length - 1, 0)):
        starts, weight = [0], 1.0
        for t, change in enumerate(changes, 1):
            chance = 0.5 / (t - starts[-1])
            weight *= chance if change else 1 - chance
            starts = [*starts, t] if change else starts
        yield weight, starts


def _trees(size: int) -> list[tuple[float, list[int]]]:
    if size == 1:
        return [(1.0, [0])]
    half = _trees(size // 2)
    return [
        (0.5, [0]),
        *(
            (0.5 * v * w, [*here, *(s + size // 2 for s in there)])
            for v, here in half
            for w, there in half
        ),
    ]


def halves(longest: int) -> list[float]:
    """1, 1/2, 1/4, .., 1/2^longest."""
    return [math.ldexp(1.0, -n) for n in range(longest + 1)]
