"""Marginals from independent runs: importance sampling of pixels whose posterior is known."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.images.chains import CHAINS
from analysis.images.run_marginals import deal, from_runs, grow, pool
from autoregressive.pixels.evidence import DRAWS, RUNS, Evidence

# What pixels are, and as what they are proposed.
TRUTH = np.array([0.5, 0.3, 0.8, 0.1, 0.0, 1.0])
PROPOSED = np.array([0.35, 0.45, 0.7, 0.2, 0.0, 1.0])


def sampled(rng, runs, particles=32):
    """Runs of self-normalised importance sampling; Z is 1."""
    x = rng.random((runs, particles, len(TRUTH))) < PROPOSED
    inner = slice(0, 4)
    p, q = TRUTH[inner], PROPOSED[inner]
    weights = np.where(x[..., inner], p / q, (1 - p) / (1 - q)).prod(-1)
    total = weights.sum(1, keepdims=True)
    shares = (weights[..., None] * x).sum(1) / total
    reached = np.cumsum(weights / total, 1)
    points = (np.arange(DRAWS) + rng.random((runs, 1))) / DRAWS
    index = np.minimum((reached[:, None] < points[..., None]).sum(2), particles - 1)
    drawn = np.take_along_axis(x, index[..., None], 1).astype(np.int8)
    logs = np.log(total[:, 0] / particles)
    return Evidence(logs, particles, shares, drawn, drawn[0, 0], 0.0)


@pytest.mark.parametrize("runs", [16, 64])
def test_intervals_hold_the_marginals_at_their_rate(runs):
    rng = np.random.default_rng(runs)
    found = [pool(sampled(rng, runs)) for _ in range(600)]
    means, errors = np.swapaxes(found, 0, 1)
    inside = (np.abs(means - TRUTH[None]) <= 1.96 * errors + 1e-12).mean(0)
    assert inside[:4] == pytest.approx(0.95, abs=0.03)
    # The unweighted mean of shares is biased, and this is not.
    assert np.abs(means.mean(0) - TRUTH).max() < 4 * means.std(0).max() / 600**0.5 + 2e-3


def test_effective_draws_are_those_of_the_error():
    rng = np.random.default_rng(0)
    found = from_runs(sampled(rng, 256))
    draws = TRUTH[:4] * (1 - TRUTH[:4]) / found.errors[:4] ** 2
    assert (found.ess[:4] <= draws * 1.01).all()
    assert found.converged.all()
    assert (found.sweeps, found.runs) == (0, 256)
    few = from_runs(sampled(rng, 16, particles=8))
    assert not few.converged[:4].any()
    # What no run ever met: its error is not nothing, and few runs know it less well.
    assert 0 < found.errors[4] < few.errors[4] < 0.1
    assert found.errors[4] == pytest.approx(found.errors[5])


def test_marginals_that_cannot_converge_are_not_waited_for():
    """A pixel that is 1 in half of the runs and 0 in the others."""
    rng = np.random.default_rng(6)
    asked = []

    def fresh(number):
        asked.append(number)
        return split(sampled(rng, RUNS))

    def split(runs):
        shares, drawn = runs.shares.copy(), runs.drawn.copy()
        shares[:, 0] = np.arange(RUNS) % 2
        drawn[..., 0] = shares[:, :1]
        return replace(runs, shares=shares, drawn=drawn)

    found = grow(split(sampled(rng, RUNS)), fresh, 12)
    assert not found.converged[0]
    assert found.converged[1:].all()
    assert len(asked) < 12


def test_runs_that_do_not_agree_have_not_converged():
    """A pixel that is 1 in one chain's runs alone."""
    runs = sampled(np.random.default_rng(1), 256)
    shares, drawn = runs.shares.copy(), runs.drawn.copy()
    shares[::CHAINS, 0], drawn[::CHAINS, :, 0] = 1.0, 1
    found = from_runs(Evidence(runs.log_estimates, 32, shares, drawn, runs.best, 0.0))
    assert found.rhat[0] > 1.1
    assert found.ess[0] < 400
    assert found.converged[1:].all()


def test_the_order_of_particles_does_not_look_like_slow_chains():
    """Runs that enumerate have their completions in binary order."""
    binary = (np.arange(DRAWS, dtype=np.int8) >= DRAWS // 2).astype(np.int8)
    drawn = np.broadcast_to(binary[None, :, None], (RUNS, DRAWS, 1))
    shares = np.full((RUNS, 1), 0.5)
    exact = Evidence(np.zeros(RUNS), 64, shares, drawn, drawn[0, 0], 0.0)
    found = from_runs(exact)
    assert found.converged.all()
    assert found.marginals == pytest.approx(0.5)


def test_completions_are_dealt_by_weight():
    runs = 16
    drawn = np.broadcast_to(np.arange(runs, dtype=np.int8)[:, None, None], (runs, DRAWS, 1))
    logs = np.zeros(runs)
    alike = deal(Evidence(logs, 8, np.zeros((runs, 1)), drawn, drawn[0, 0], 0.0))
    assert alike.shape == (CHAINS, runs * DRAWS // CHAINS, 1)
    assert (np.bincount(alike.ravel()) == DRAWS).all()
    assert (alike[1, :, 0] == np.repeat([1, 5, 9, 13], DRAWS)).all()
    logs[[0, 4, 8]] = [-np.inf, np.log(2), np.log(0.5)]
    other = deal(Evidence(logs, 8, np.zeros((runs, 1)), drawn, drawn[0, 0], 0.0))[0, :, 0]
    counts = np.bincount(other, minlength=16)[[0, 4, 8, 12]]
    assert np.abs(counts - len(other) * np.array([0, 2, 0.5, 1]) / 3.5).max() <= 1


def test_runs_are_added_until_marginals_converge():
    rng = np.random.default_rng(5)
    asked = []

    def fresh(number):
        asked.append(number)
        return sampled(rng, RUNS)

    found = grow(sampled(rng, RUNS), fresh, 40)
    assert found.converged.all()
    assert asked == list(range(len(asked)))
    assert found.runs == RUNS * (1 + len(asked))
    assert found.runs < 400
    trial = sampled(rng, RUNS)
    assert grow(replace(sampled(rng, RUNS), trial=trial), fresh, 0).runs == 2 * RUNS
    assert grow(replace(sampled(rng, RUNS, particles=8), trial=trial), fresh, 0).runs == RUNS
    asked.clear()
    stopped = grow(sampled(rng, RUNS, particles=4), fresh, 2)
    assert asked == [0, 1]
    assert stopped.runs == 3 * RUNS
    assert not stopped.converged.all()
