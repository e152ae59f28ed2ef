"""Partners of histories: others that lead to the same belief, to another one, to the nearest one.

A partner with the same belief is drawn as the process would draw it: where all orders of the draws lead
to one belief, uniformly among the other orders; else among the other tasks that came to this belief. If
there is none, two neighbouring stretches of the history are exchanged, where that keeps the belief.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, Integer

from analysis.hidden.beliefs import beliefs_after, columns_of, nearest
from meta_learning.processes import Process

_TRIES = 60
# Of each of B tasks: its first draws; the index of another task; whether there is a partner.
Histories = Integer[np.ndarray, "B n"]
Which = Int64[np.ndarray, " B"]
Has = Bool[np.ndarray, " B"]


class Partners(NamedTuple):
    """Partners of B histories of n draws. same: a history with the same belief, int (B, n). other,
    nearest: the index of the task whose first n draws are meant, (B,). has: by the names of kinds in
    ``interventions``, whether there is one, (B,)."""

    same: Histories
    other: Which
    nearest: Which
    has: dict[str, Has]


def partners(
    rng: np.random.Generator, process: Process, symbols: Integer[np.ndarray, "B draws"], n: int
) -> Partners:
    """Partners for the first ``n`` draws of tasks. symbols: int (B, draws)."""
    histories = symbols[:, :n]
    statistic = process.statistic(histories)
    if statistic is not None:
        same, has_same = same_belief(rng, process, histories, statistic)
        other, has_other = other_row(rng, statistic)
    else:
        same, has_same = histories, np.zeros(len(histories), bool)
        other, has_other = other_row(rng, histories)
    near, has_near = np.arange(len(histories)), np.zeros(len(histories), bool)
    if not has_same.any():
        near, has_near = nearest_belief(process, symbols, n)
    has = {"same_belief": has_same, "other_belief": has_other, "nearest_belief": has_near}
    return Partners(same, other, near, has)


def same_belief(
    rng: np.random.Generator,
    process: Process,
    histories: Histories,
    statistic: Integer[np.ndarray, "B m"],
) -> tuple[Histories, Has]:
    """For each history (B, n) another one with the same ``statistic`` (B, m), and whether there is
    one (B,)."""
    if _equal(process.statistic(np.sort(histories, axis=1)), statistic).all():
        found, has = other_order(rng, histories)
        return found, has & _equal(process.statistic(found), statistic)
    found, has = other_member(rng, histories, statistic)
    for _ in range(_TRIES):
        missing = np.flatnonzero(~has)
        if not len(missing):
            break
        tried = exchange_stretches(rng, histories[missing])
        fits = _equal(process.statistic(tried), statistic[missing])
        fits &= (tried != histories[missing]).any(1)
        found[missing[fits]], has[missing[fits]] = tried[fits], True
    return found, has


def nearest_belief(
    process: Process, symbols: Integer[np.ndarray, "B draws"], n: int
) -> tuple[Which, Has]:
    """For each task the index of the one whose belief after ``n`` draws is nearest, by the distance of
    ``beliefs.Columns``, and whether there is one (B,)."""
    numbers = beliefs_after(process, symbols, n).numbers
    try:
        columns = columns_of(numbers).write(numbers, len(symbols))
    except ValueError:
        return np.arange(len(symbols)), np.zeros(len(symbols), bool)
    return nearest(columns, symbols[:, :n])


def other_order(rng: np.random.Generator, histories: Histories) -> tuple[Histories, Has]:
    """Each history (B, n) in another order, uniform among those that differ, and whether there is
    one (B,)."""
    orders = histories.copy()
    can = (histories != histories[:, :1]).any(1)
    for _ in range(_TRIES):
        same = can & (orders == histories).all(1)
        if not same.any():
            break
        orders[same] = rng.permuted(orders[same], axis=1)
    return orders, (orders != histories).any(1)


def other_row(rng: np.random.Generator, rows: Integer[np.ndarray, "B m"]) -> tuple[Which, Has]:
    """For each row (B, m) the index of one that differs, and whether there is one (B,)."""
    partner = np.arange(len(rows))
    for _ in range(_TRIES):
        same = (rows[partner] == rows).all(1)
        if not same.any():
            break
        partner[same] = rng.integers(0, len(rows), same.sum())
    return partner, (rows[partner] != rows).any(1)


def other_member(
    rng: np.random.Generator, histories: Histories, rows: Integer[np.ndarray, "B m"]
) -> tuple[Histories, Has]:
    """For each history (B, n) another one whose row (B, m) is equal, and whether there is one (B,)."""
    _, group = np.unique(rows, axis=0, return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    first = (np.cumsum(sizes) - sizes)[group]
    partner = np.arange(len(histories))
    for _ in range(_TRIES):
        same = (histories[partner] == histories).all(1) & (sizes[group] > 1)
        if not same.any():
            break
        partner[same] = order[first[same] + rng.integers(0, sizes[group[same]])]
    found = histories[partner]
    return found, (found != histories).any(1)


def exchange_stretches(rng: np.random.Generator, histories: Histories) -> Histories:
    """Each history (B, n), n >= 2, with its stretches x_a .. x_{b-1} and x_b .. x_{c-1} exchanged, for
    random a < b < c."""
    rows, n = histories.shape
    cuts = np.argsort(rng.random((rows, n + 1)), axis=1)[:, :3]
    a, b, c = np.sort(cuts, axis=1).T[..., None]
    place = np.arange(n)[None]
    middle = a + c - b
    inside = np.where(place < middle, place - a + b, place - (c - b))
    return np.take_along_axis(
        histories, np.where((place >= a) & (place < c), inside, place), axis=1
    )


def _equal(
    rows: Integer[np.ndarray, "B m"] | None, others: Integer[np.ndarray, "B m"] | None
) -> Has:
    """Which rows (B, m) are equal."""
    return (np.asarray(rows) == np.asarray(others)).all(1)
