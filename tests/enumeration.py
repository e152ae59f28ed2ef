"""The exact gap by hand: all histories in exact fractions, and the network in NumPy."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
from networks import learner, naive_log_predictive

from analysis.audit import exact_gap


def enumerated(process, draws, probability):
    """For each length, (history, p, the K next symbols' p) of every history that can be made."""
    K, levels = process.num_symbols, []
    known = {(): Fraction(1)}
    for _ in range(draws):
        longer = {
            (*h, x): probability(process, (*h, x)) for h, p in known.items() if p for x in range(K)
        }
        levels.append(
            [(h, p, [longer[*h, x] / p for x in range(K)]) for h, p in known.items() if p]
        )
        known = longer
    return levels


def shared(process, level):
    """The histories of a length that share a statistic, or one group of all where none do."""
    groups = {}
    for history, p, b in level:
        statistic = process.statistic(np.array([history], np.int64)) if history else ()
        key = None if statistic is None else tuple(np.ravel(statistic).tolist())
        groups.setdefault(key, []).append((history, p, b))
    return groups


def by_hand(net, process, levels):
    """(gap, leak, same belief, rest, reset) a position; same belief is NaN where there is none."""
    rows = []
    for level in levels:
        terms = np.zeros(5)
        for key, members in shared(process, level).items():
            p = np.array([float(m[1]) for m in members])
            b = np.array([[float(v) for v in m[2]] for m in members])
            log_q = np.array([naive_log_predictive(net, m[0]) for m in members])
            stays = np.log1p(-np.exp(log_q[:, -1]))
            within = log_q[:, :-1] - stays[:, None]
            log_b = np.log(np.where(b > 0, b, 1))
            gap = (b * (log_b - log_q[:, :-1])).sum(1)
            terms[[0, 1, 4]] += p @ gap, p @ -stays, p @ np.exp(log_q[:, -1])
            if key is None and len(level) > 1:
                terms[2] = np.nan
                terms[3] += p @ (b * (log_b - within)).sum(1)
            else:
                np.testing.assert_allclose(b, np.broadcast_to(b[0], b.shape), rtol=1e-12)
                log_G = p @ within / p.sum()
                g = np.exp(log_G) / np.exp(log_G).sum()
                terms[2] += p @ (g * (np.log(g) - within)).sum(1)
                terms[3] += p.sum() * (b[0] * (log_b[0] - np.log(g))).sum()
        rows.append(terms)
    return np.array(rows).T


def assert_as_by_hand(process, draws, probability):
    D = draws or int(process.task_length) - 1
    net = learner(process.num_symbols, hidden=5)
    found = exact_gap.exact_gap(net, process, draws=draws)
    levels = enumerated(process, D, probability)
    gap, leak, same, rest, reset = by_hand(net, process, levels)
    near = {"rtol": 2e-5, "atol": 2e-7}  # the network runs in float32 there, in float64 here
    parts = found.decomposition
    for ours, expected in ((parts.gap, gap), (parts.leak, leak), (parts.reset, reset)):
        np.testing.assert_allclose(ours, expected, **near)
    np.testing.assert_allclose(parts.rest, rest, **near)
    if process.statistic(np.zeros((1, 2), int)) is None:
        assert parts.same_belief is None and found.document()["budget"]["same_belief"] is None
    else:
        np.testing.assert_allclose(parts.same_belief, same, **near)
    assert found.nodes == sum(map(len, levels))
    first = np.array([float(v) for v in levels[0][0][2]])
    for n, level in enumerate(levels):
        p = np.array([float(m[1]) for m in level])
        b = np.array([[float(v) for v in m[2]] for m in level])
        ratio = np.where(b > 0, b, 1) / np.where(b > 0, first, 1)
        np.testing.assert_allclose(
            parts.memoryless[n], p @ (b * np.log(ratio)).sum(1), rtol=1e-11, atol=1e-14
        )
    total = sum(found.parts.values())
    np.testing.assert_allclose(total, found.by_position, rtol=1e-12, atol=1e-14)
    json.dumps(found.document(), allow_nan=False)
