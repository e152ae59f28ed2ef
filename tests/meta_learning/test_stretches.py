"""Priors over where p changes: each is Bayes of its own process and of no other."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import jax
import numpy as np
import pytest
from scipy.stats import chisquare
from words import fractions, urn

from autoregressive.scores import kl
from meta_learning.processes import ChangePoints, LiveAndDie, PartitionTree

ALPHA = (0.5, 0.5)
DRAWS = 7
HISTORIES = np.array(list(itertools.product((0, 1), repeat=DRAWS)))


def exact_gap(source, machine):
    """Mean of KL(source || machine) before each of DRAWS places, over all histories (DRAWS,)."""
    own, other = (m.log_predictive(HISTORIES) for m in (source, machine))
    came = np.take_along_axis(own, HISTORIES[..., None], -1)[..., 0]
    # A history of the first t draws comes once for each way to go on.
    weight = np.exp(np.cumsum(came, -1) - came) / 2.0 ** np.arange(DRAWS, 0, -1)
    return (weight * kl(own, other)).sum(0)


def test_the_weights_of_the_gap_are_those_of_histories():
    same = exact_gap(LiveAndDie(ALPHA), LiveAndDie(ALPHA))
    np.testing.assert_array_equal(same, 0)
    far = exact_gap(ChangePoints(ALPHA, 1.0), ChangePoints(ALPHA, 0.0))
    # Before the second symbol: Bayes says 1/2, the other 3/4 for what came first.
    assert far[1] == pytest.approx(math.log(0.5) - (math.log(0.75) + math.log(0.25)) / 2, rel=1e-12)


def test_live_and_die_is_bayes_of_its_own_process_alone():
    """Of a constant hazard it is not, whatever the hazard: a half only as long as a stretch of one is
    all there is."""
    lad = LiveAndDie(ALPHA)
    for hazard in (0.01, 0.1, 0.25, 0.5, 0.9):
        gap = exact_gap(ChangePoints(ALPHA, hazard), lad)
        assert gap[0] == 0
        assert (gap[1] < 1e-15) == (hazard == 0.5)
        assert (gap[2:] > 1e-6).all()
    assert (exact_gap(PartitionTree(ALPHA, 3), lad)[1:] > 1e-6).all()
    assert (exact_gap(lad, PartitionTree(ALPHA, 3))[1:] > 1e-6).all()


def test_its_excess_on_change_points_at_the_papers_alpha_in_fractions():
    """The gap before the third symbol, at hazard 1/4, by hand."""
    a = [Fraction(1, 2)] * 2

    def predictive(h1, h2, x, y):
        """p(third is 0 | x, y) with hazards h1, h2 after the first and second symbol; h2 of a stretch
        that began at the second is h1."""
        stay, fresh = (1 - h1) * urn(a, [x], y), h1 * Fraction(1, 2)
        zero = stay * ((1 - h2) * urn(a, [x, y], 0) + h2 / 2)
        zero += fresh * ((1 - h1) * urn(a, [y], 0) + h1 / 2)
        return zero / (stay + fresh), (stay + fresh) / 2

    total, quarter, half = 0.0, Fraction(1, 4), Fraction(1, 2)
    for x, y in itertools.product((0, 1), repeat=2):
        p, weight = predictive(quarter, quarter, x, y)
        q, _ = predictive(half, quarter, x, y)
        total += float(weight) * sum(
            float(u) * math.log(u / v) for u, v in ((p, q), (1 - p, 1 - q))
        )
    gap = exact_gap(ChangePoints(ALPHA, 0.25), LiveAndDie(ALPHA))
    assert gap[2] == pytest.approx(total, rel=1e-9)


def test_the_partition_tree_is_the_recursion_of_its_paper():
    """PTW_d of 2^d symbols or fewer is the mean of one stretch and of PTW_{d-1} of the two halves
    (Veness et al. 2013, its definition), in exact fractions."""
    alpha = (0.5, 1.25)
    weights = fractions(alpha)

    def stretch(x):
        return math.prod((urn(weights, x[:t], k) for t, k in enumerate(x)), start=Fraction(1))

    def ptw(d, x):
        if d == 0 or not x:
            return stretch(x)
        half = 2 ** (d - 1)
        return (stretch(x) + ptw(d - 1, x[:half]) * ptw(d - 1, x[half:])) / 2

    x = np.random.default_rng(0).integers(0, 2, 16).tolist()
    for depth in (1, 3, 4):
        rows = PartitionTree(alpha, depth).log_predictive(x)
        for t in range(2**depth):
            wanted = [ptw(depth, [*x[:t], k]) / ptw(depth, x[:t]) for k in (0, 1)]
            np.testing.assert_allclose(np.exp(rows[t, :2]), np.array(wanted, float), rtol=1e-12)


def test_change_points_show_both_beside_what_they_had():
    assert list(ChangePoints(ALPHA, 0.1).ladder()) == [
        "no_change_points",
        "bayes_wrong_hazard",
        "live_and_die",
        "partition_tree",
    ]


def changes(process, length):
    p = np.asarray(process.sample_with_latent(jax.random.key(1), 4_000, length).latent)
    return (p[:, 1:] != p[:, :-1]).any(-1)


def test_stretches_live_on_ever_more_surely():
    changed = changes(LiveAndDie((1.0, 1.0)), 10)
    at_risk = np.ones(len(changed), bool)  # those of one stretch so far
    for n, now in enumerate(changed.T, 1):
        ended, lived = now[at_risk].sum(), (~now)[at_risk].sum()
        expected = at_risk.sum() * np.array([0.5 / n, 1 - 0.5 / n])
        assert chisquare([ended, lived], expected).pvalue > 1e-7
        at_risk &= ~now


def test_trees_are_split_in_halves_as_often_as_not():
    changed = changes(PartitionTree((1.0, 1.0), 3), 12)  # before places 1..11
    wanted = [1 / 8, 1 / 4, 1 / 8, 1 / 2, 1 / 8, 1 / 4, 1 / 8, 1, 1 / 8, 1 / 4, 1 / 8]
    for share, now in zip(wanted, changed.T, strict=True):
        if share == 1:
            assert now.all()
        else:
            expected = len(now) * np.array([share, 1 - share])
            assert chisquare([now.sum(), (~now).sum()], expected).pvalue > 1e-7
    # A quarter changes in its middle only where the half that holds it did.
    assert not (changed[:, 0] & ~changed[:, 1]).any()
