"""Exact formulas of the papers room, against enumeration in exact fractions and by hand."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from fractions import Fraction

import jax
import numpy as np
import pytest
from words import PROBABILITY

from analysis.papers.filtering import (
    Histories,
    counts,
    counts_and_last,
    draw_matrix,
    draw_model,
    entropy_bits,
    entropy_errors,
    last_symbol,
)
from analysis.papers.orders import order_variance, same_symbols, same_symbols_and_last
from analysis.papers.switching import enumeration_error
from autoregressive.cells import UnplacedTransformer
from autoregressive.model import Model
from meta_learning.learner import Learner
from meta_learning.processes import (
    DirichletCategorical,
    HiddenMarkov,
    LiveAndDie,
    PartitionTree,
)

MODEL = HiddenMarkov(((0.75, 0.25), (0.125, 0.875)), ((0.5, 0.25, 0.25), (0.125, 0.125, 0.75)))


def best_by_hand(process, statistic, n):
    """The least mean KL at place n of what knows ``statistic`` of the past, in fractions."""
    probability = PROBABILITY[type(process)]
    K = process.num_symbols
    joint = defaultdict(lambda: [Fraction(0)] * K)
    rows = []
    for past in itertools.product(range(K), repeat=n):
        after = [probability(process, [*past, k]) for k in range(K)]
        rows.append((statistic(past), after))
        joint[statistic(past)] = [a + b for a, b in zip(joint[statistic(past)], after, strict=True)]
    total = 0.0
    for value, after in rows:
        for p, of_all in zip(after, joint[value], strict=True):
            total += float(p) * math.log((p / sum(after)) / (of_all / sum(joint[value])))
    return total


def test_the_best_of_a_statistic_is_that_of_enumeration():
    histories = Histories.of(MODEL, 5)
    np.testing.assert_allclose(histories.weight.sum(0), 1, rtol=1e-12)

    def of_counts(past):
        return tuple(past.count(k) for k in range(3))

    for ours, by_hand in (
        (counts(3), of_counts),
        (last_symbol, lambda past: past[-1:]),
        (counts_and_last(3), lambda past: (of_counts(past), past[-1:])),
        (lambda h: np.zeros((len(h), 1), int), lambda past: ()),
    ):
        found = histories.gap_of_best(
            lambda h, f=ours: f(h) if h.shape[1] else np.zeros((len(h), 1))
        )
        wanted = [best_by_hand(MODEL, by_hand, n) for n in range(5)]
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-14)


def test_counts_are_all_there_is_to_a_dirichlet_and_a_gap_is_its_mean():
    process = DirichletCategorical((1, 2), math.inf)
    histories = Histories.of(process, 6)
    assert histories.gap_of_best(counts(2)).max() < 1e-15
    flat = histories.gap(
        lambda symbols: np.log(np.full((*symbols.shape, 3), [0.5, 0.5, 0.0]) + 1e-300)
    )
    assert flat[0] == pytest.approx(math.log(2) + math.log(1 / 3) / 3 + 2 * math.log(2 / 3) / 3)
    # Knowing more is never worse.
    both, one = (histories.gap_of_best(f) for f in (counts_and_last(2), counts(2)))
    assert (both <= one + 1e-15).all()


def test_models_are_drawn_as_said():
    rows = np.array(draw_matrix(5, np.random.default_rng(3)))
    np.testing.assert_array_equal(np.rint(100 * rows).sum(1), 100)
    assert rows.min() >= 0.05 - 1e-12
    plain, slow = draw_model(5, 3), draw_model(5, 3, 0.8)
    assert slow.emission == plain.emission
    kept = np.array(slow.transition) - 0.2 * np.array(plain.transition)
    np.testing.assert_allclose(kept, 0.8 * np.eye(5), atol=1e-12)


def test_entropies_and_their_two_errors():
    log_p = np.log(np.array([[[0.5, 0.5, 1e-300], [0.25, 0.75, 1e-300]]]))
    log_p[..., 2] = -np.inf
    bits = entropy_bits(log_p)
    assert bits[0, 0] == 1
    assert bits[0, 1] == pytest.approx(2 - 0.75 * math.log2(3))
    both = np.concatenate([log_p, log_p[:, ::-1]])
    each, mean = entropy_errors(both, np.concatenate([log_p[:, ::-1], log_p]))
    # The one is too sure where the other is too unsure.
    np.testing.assert_allclose(each, 1 - bits[0, 1], rtol=1e-12)
    np.testing.assert_allclose(mean, 0, atol=1e-15)


@pytest.mark.parametrize(
    "process", [LiveAndDie((0.5, 1.5)), PartitionTree((0.5, 1.5), 3)], ids=repr
)
def test_predictors_of_switching_sources_are_sums_over_segmentations(process):
    assert enumeration_error(process, 6) < 1e-12


def test_the_enumeration_finds_what_is_no_such_predictor(monkeypatch):
    process = LiveAndDie((0.5, 1.5))
    other = PartitionTree((0.5, 1.5), 3)
    monkeypatch.setattr(LiveAndDie, "log_predictive", lambda self, x: other.log_predictive(x))
    assert enumeration_error(process, 6) > 1e-3


def test_variance_over_orders_is_that_of_enumeration():
    """Of a predictor that reads the number whose digits the symbols are."""
    histories = Histories.of(DirichletCategorical((1, 1), math.inf), 4)
    value = (histories.symbols[:, :3] @ [4, 2, 1] + 1) / 10
    log_q = np.full((8, 4, 3), -np.inf)
    for n in range(4):
        kept = np.round(value * 10 - 1).astype(int) >> (3 - n) << (3 - n)
        q = (kept + 1) / 10
        # A leak to RESET is no dependence on order.
        log_q[:, n] = np.log(0.5 * np.stack([1 - q, q, np.ones(8)], axis=-1))
    found = order_variance(histories, log_q, same_symbols)
    # Three symbols, of which one or two are 1, have probability 1/4 each: {1, 2, 4} and {3, 5, 6}.
    wanted = (np.var([0.2, 0.3, 0.5]) + np.var([0.4, 0.6, 0.7])) / 4
    np.testing.assert_allclose(found, [0, 0, np.var([0.3, 0.5]) / 3, wanted], atol=1e-15)
    # Those that end alike: {2, 4} end in 0, {3, 5} in 1, and two thirds of the time one of them comes.
    wanted = (2 / 3) * (np.var([0.3, 0.5]) + np.var([0.4, 0.6])) / 4
    alike = order_variance(histories, log_q, same_symbols_and_last)
    np.testing.assert_allclose(alike, [0, 0, 0, wanted], atol=1e-15)


@pytest.mark.parametrize("layers, free", [(1, True), (2, False)])
def test_without_positions_one_layer_reads_a_set_and_two_do_not(layers, free):
    """Untrained: what a causal transformer can be free of is its shape's, not training's."""
    cell = UnplacedTransformer(3, 8, 8, layers)
    model = Model(cell, 3, (4,))
    params = jax.tree.map(lambda a: a * 3, model.init(jax.random.key(0)))
    learner = Learner(model, params, 2, {})
    histories = Histories.of(DirichletCategorical((1, 1), math.inf), 6)
    log_q = learner.log_predictive(histories.symbols)
    alike = order_variance(histories, log_q, same_symbols_and_last)
    assert (alike.max() < 1e-13) == free
    assert order_variance(histories, log_q, same_symbols)[-1] > 1e-9
