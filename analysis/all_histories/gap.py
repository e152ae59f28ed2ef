"""The exact gap of predictions for all histories that another program wrote.

The sums over histories are those of ``tree.belief_walk``, from rows of a file in the place of a network.
"""

from __future__ import annotations

from operator import attrgetter
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer

from analysis.all_histories.file import HistoriesFile
from analysis.audit.gap import ExactGap, gap_by_belief
from analysis.audit.tree.belief_classes import find_classes
from analysis.audit.tree.belief_tree import (
    HISTORIES,
    LEAK,
    LOG_Q,
    MEMORYLESS,
    RESET,
    SYMBOLS,
    columns,
)
from analysis.audit.tree.belief_tree import WEIGHT as P
from analysis.audit.worst_histories import History, WorstHistories
from autoregressive.scores import kl, log_softmax, logsumexp
from meta_learning.processes import Process


class Scored(NamedTuple):
    """Every history once, the shorter first and then in the order of their symbols.

    row, place: where it stands in the file; place is its length. log_p: of the history, nats. log_b,
    log_q: of the K symbols and, of the model alone, RESET, nats.
    """

    row: Int64[np.ndarray, " n"]
    place: Int64[np.ndarray, " n"]
    log_p: Float64[np.ndarray, " n"]
    log_b: Float64[np.ndarray, "n symbols"]
    log_q: Float64[np.ndarray, "n outcomes"]

    @property
    def gap(self) -> Float64[np.ndarray, " n"]:
        """KL(Bayes || model) at the next draw, nats."""
        return np.maximum(kl(self.log_b, self.log_q[:, :-1]), 0.0)


def score(histories: HistoriesFile, log_q: Float[np.ndarray, "rows length outcomes"]) -> Scored:
    """What Bayes and the model say after every history. log_q (rows, D, K+1), nats, is normalised in
    float64."""
    symbols = histories.symbols[: histories.rows]
    log_b = histories.process.log_predictive_along(symbols)
    own = np.take_along_axis(log_b, symbols[..., None].astype(np.int64), -1)[..., 0]
    before = np.concatenate([np.zeros((len(own), 1)), np.cumsum(own, axis=1)[:, :-1]], axis=1)
    place, row = np.nonzero(histories.prefixes.T)
    at = row, place
    return Scored(row, place, before[at], log_b[at], log_softmax(log_q[at]))


def exact_gap_of(histories: HistoriesFile, scored: Scored) -> ExactGap:
    """The exact gap and its parts. Errors: ValueError where the process's machine is not normalised."""
    process, D = histories.process, histories.length
    cell, cells = _cells(process, histories, scored)
    K = process.num_symbols
    log_stays = logsumexp(scored.log_q[:, :-1])
    rules = np.isneginf(log_stays)  # RESET is certain
    given = scored.log_q[:, :-1] - np.where(rules, 0.0, log_stays)[:, None]
    values = np.zeros((len(cell), columns(K)))
    values[:, P] = 1.0
    values[:, LOG_Q:LEAK] = given
    values[:, LEAK] = -log_stays
    values[:, RESET] = np.exp(scored.log_q[:, -1])
    # Where RESET is certain to come nothing is left to the symbols.
    values[:, SYMBOLS] = np.where(rules, 0.0, np.maximum(kl(scored.log_b, given), 0.0))
    first = process.log_first()[None]
    values[:, MEMORYLESS] = np.maximum(kl(scored.log_b, first), 0.0)
    weight = np.exp(scored.log_p)[:, None]
    with np.errstate(invalid="ignore"):
        values = np.where(weight > 0, values * weight, 0.0)
    values[:, HISTORIES] = 1.0
    sums = np.stack([np.bincount(cell, column, cells) for column in values.T], axis=-1)
    return gap_by_belief(process, D, sums)


def _cells(
    process: Process, histories: HistoriesFile, scored: Scored
) -> tuple[Int64[np.ndarray, " n"], int]:
    """The class of each history, or its length where there are none; and how many there are."""
    D = histories.length
    classes = find_classes(process, D)
    if classes is None:
        return scored.place, D
    symbols = histories.symbols[: histories.rows]
    along = np.zeros(symbols.shape, np.int64)
    for place in range(1, D):
        along[:, place] = classes.after[along[:, place - 1], symbols[:, place - 1]]
    return along[scored.row, scored.place], int(classes.first[-1])


def worst_of(histories: HistoriesFile, scored: Scored, top: int = 10) -> WorstHistories:
    """The ``top`` histories by gap, and by probability times gap."""
    gap, weight = scored.gap, np.exp(scored.log_p)
    found = {}
    for name, values in {"gap": gap, "weight": gap * weight}.items():
        chosen = np.argsort(-values, kind="stable")[:top]
        listed = [_history(histories, scored, float(gap[n]), n) for n in chosen.tolist()]
        found[name] = sorted(listed, key=attrgetter(name), reverse=True)
    return WorstHistories(found["gap"], found["weight"], histories.length - 1)


def _history(histories: HistoriesFile, scored: Scored, gap: float, n: int) -> History:
    symbols: Integer[np.ndarray, " length"] = histories.symbols[scored.row[n], : scored.place[n]]
    return History(
        tuple(symbols.tolist()),
        float(np.exp(scored.log_p[n])),
        gap,
        np.append(np.exp(scored.log_b[n]), 0.0),
        np.exp(scored.log_q[n]),
    )


def weights(histories: HistoriesFile, scored: Scored) -> Float64[np.ndarray, " n"]:
    """The weight of each history in a mean over places and histories: they sum to 1."""
    return np.exp(scored.log_p) / histories.length
