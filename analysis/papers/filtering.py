"""Hidden Markov models drawn as a paper draws them, and what is left to a predictor that cannot filter.

Over all histories of a few draws, each weighted by its probability: nothing is sampled.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Integer

from analysis.comparison.scores import Rows
from autoregressive.scores import kl
from meta_learning.processes import HiddenMarkov, Process, count_symbols

Predict = Callable[[Integer[np.ndarray, "rows length"]], Rows]
# Of histories, what a predictor may know of them: equal rows are alike to it.
Statistic = Callable[[Int64[np.ndarray, "rows n"]], Int64[np.ndarray, "rows m"]]
OfPlaces = Float64[np.ndarray, " length"]


def draw_matrix(
    states: int, rng: np.random.Generator, least: int = 5
) -> tuple[tuple[float, ...], ...]:
    """A square stochastic matrix: rows from a flat Dirichlet, no entry under ``least`` hundredths, in
    whole hundredths."""
    rows = np.maximum(rng.dirichlet(np.ones(states), size=states), least / 100)
    hundredths = np.maximum(np.rint(100 * rows / rows.sum(1, keepdims=True)).astype(int), least)
    for row in hundredths:
        while row.sum() != 100:
            if row.sum() > 100:
                row[row.argmax()] -= 1
            else:
                row[row.argmin()] += 1
    return tuple(tuple(float(v) / 100 for v in row) for row in hundredths)


def draw_model(states: int, seed: int, stay: float = 0.0) -> HiddenMarkov:
    """A hidden Markov model of as many states as symbols, without end, that starts anywhere. stay: the
    probability with which a move is left out, and the state stays as it is."""
    rng = np.random.default_rng(seed)
    moves, shows = np.array(draw_matrix(states, rng)), draw_matrix(states, rng)
    moves = stay * np.eye(states) + (1 - stay) * moves
    rows = tuple(map(tuple, moves.tolist()))
    return HiddenMarkov(rows, shows, math.inf, (1 / states,) * states)


@dataclass(frozen=True)
class Histories:
    """All histories of a process's first draws. symbols: (rows, D), the last place arbitrary. weight:
    of each row's first t draws, over the rows that share them, (rows, D); each column sums to 1. log_p:
    of the next symbol, by Bayes (rows, D, K + 1)."""

    symbols: Int64[np.ndarray, "rows length"]
    weight: Float64[np.ndarray, "rows length"]
    log_p: Rows

    @classmethod
    def of(cls, process: Process, draws: int) -> Histories:
        """Of ``draws`` places: histories of up to ``draws`` - 1 symbols, which all can come."""
        K = process.num_symbols
        before = np.array(list(itertools.product(range(K), repeat=draws - 1)), np.int64)
        symbols = np.concatenate([before, np.zeros((len(before), 1), np.int64)], axis=1)
        log_p = process.log_predictive(symbols)
        own = np.take_along_axis(log_p[:, :-1], before[..., None], -1)[..., 0]
        own = np.concatenate([np.zeros((len(own), 1)), np.cumsum(own, axis=1)], axis=1)
        return cls(symbols, np.exp(own) / float(K) ** np.arange(draws - 1, -1, -1), log_p)

    def gap(self, predict: Predict) -> OfPlaces:
        """Mean of KL(Bayes || predictor) at each place, nats."""
        return (self.weight * kl(self.log_p, predict(self.symbols))).sum(0)

    def mean_of_like(
        self, statistic: Statistic, n: int, values: Float64[np.ndarray, "rows m"]
    ) -> Float64[np.ndarray, "rows m"]:
        """For each row the mean of ``values`` over all rows of which the first n symbols have the same
        ``statistic``, integers (rows, ..), each as likely as it is."""
        _, group = np.unique(statistic(self.symbols[:, :n]), axis=0, return_inverse=True)
        group, weight = group.reshape(-1), self.weight[:, n]
        sums = np.stack([np.bincount(group, weight * of) for of in values.T], axis=-1)
        return (sums / np.bincount(group, weight)[:, None])[group]

    def gap_of_best(self, statistic: Statistic) -> OfPlaces:
        """The least mean of KL(Bayes || q) at each place of any q that knows no more of the past than
        ``statistic`` of it: that of the mean of p over histories that share it."""
        out = []
        for n in range(self.symbols.shape[1]):
            mean = self.mean_of_like(statistic, n, np.exp(self.log_p[:, n]))
            with np.errstate(divide="ignore"):  # RESET never comes
                log_q = np.log(mean)
            out.append((self.weight[:, n] * kl(self.log_p[:, n], log_q)).sum())
        return np.array(out)


def last_symbol(histories: Int64[np.ndarray, "rows n"]) -> Int64[np.ndarray, "rows m"]:
    """The last symbol, and nothing before it."""
    return histories[:, -1:]


def counts(symbols: int) -> Statistic:
    """How often each of ``symbols`` symbols came, in whatever order: evidence that is summed up."""
    return lambda histories: count_symbols(histories, symbols).astype(np.int64)


def counts_and_last(symbols: int) -> Statistic:
    """Both."""
    return lambda h: np.concatenate([counts(symbols)(h), last_symbol(h)], axis=1)


def entropy_bits(log_p: Rows) -> Float64[np.ndarray, "streams length"]:
    """Entropy of each row of log-probabilities, bits."""
    p = np.exp(log_p)
    with np.errstate(invalid="ignore"):
        return -np.where(p > 0, p * log_p, 0.0).sum(-1) / math.log(2)


def entropy_errors(
    log_q: Rows, log_p: Rows
) -> tuple[Float64[np.ndarray, " streams"], Float64[np.ndarray, " length"]]:
    """H(q) - H(p) in bits: the mean over a stream's places of its size, (streams,); and its own mean
    over streams at each place, (length,), of which the size is another, smaller number."""
    difference = entropy_bits(log_q) - entropy_bits(log_p)
    return np.abs(difference).mean(-1), difference.mean(0)
