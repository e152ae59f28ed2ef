"""Sequential Monte Carlo over missing pixels against exact enumeration."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inpainted import PLACES, masked, network

from autoregressive.pixels import pilots
from autoregressive.pixels.inpainting import posteriors
from autoregressive.pixels.lookahead import Pilot, learn, log_probs
from autoregressive.pixels.particle_gibbs import sweep
from autoregressive.pixels.particles import kept_of, pilot, run
from autoregressive.pixels.pilots import together
from autoregressive.pixels.selection import effective, select, threshold
from autoregressive.precision import float64


def problem(places, seed=0, count=1, net=None):
    """A network, images with ``places`` missing, and what enumeration says: log Z, marginals."""
    net = net or network()
    pixels = np.random.default_rng(seed).integers(0, 2, (count, net.places))
    images = masked(pixels, places).astype(np.int8)
    tables = posteriors(net, images)
    first = min(places)
    before = np.zeros(count)
    if first > 1:
        before = net_nats_before(net, images, first)
    log_z = np.array([np.logaddexp.reduce(-t.nll) for t in tables]) + before
    return net, images, tables, log_z


def sharp():
    """A network whose pixels depend on each other so much that particles go astray."""
    net = network()
    return replace(net, params=jax.tree.map(lambda leaf: 2.5 * leaf, net.params))


def net_nats_before(net, images, first):
    """Sum of l_t over 1 <= t < first, by enumeration of the image cut there."""
    cut = replace(net, places=first)
    return np.array([t.nll[0] for t in posteriors(cut, images[:, :first])])


def of(net):
    return net.model, net.params, net.first_pixel


def keys(seed, n, runs):
    return jax.random.split(jax.random.key(seed), (n, runs))


def looking_ahead(net, images, slots, particles=32):
    made, _ = pilot(*of(net), images, keys(99, len(images), 2), particles=particles, slots=slots)
    return learn(made, jnp.asarray((images < 0).sum(1)), slots)


@pytest.mark.parametrize("zeros", [0, 3])
def test_the_threshold_keeps_as_many_as_are_wanted(zeros):
    weights = np.random.default_rng(0).exponential(size=(5, 24)) ** 4
    weights[:, :zeros] = 0
    with float64():
        c = np.asarray(threshold(jnp.asarray(weights), 8))
        none = np.asarray(threshold(jnp.asarray(weights), 24 - zeros))
    np.testing.assert_allclose(np.minimum(weights / c, 1).sum(1), 8, rtol=1e-12)
    assert none.tolist() == [[0.0]] * 5


@pytest.mark.parametrize("keep", [6, 80])
def test_a_selection_is_unbiased_and_makes_no_copies(keep):
    rng = np.random.default_rng(1)
    log_weights = 2 * rng.normal(size=(1, 2 * keep))
    repeats = 4_000
    with float64():
        rows = jnp.repeat(jnp.asarray(log_weights), repeats, axis=0)
        found = select(rows, jax.random.uniform(jax.random.key(0), (repeats,)), keep)
    index, weights = np.asarray(found.branches), np.exp(np.asarray(found.log_weights))
    assert all(len(set(row)) == keep for row in index)
    assert (np.diff(index, axis=1) > 0).all()
    np.testing.assert_allclose(weights.sum(1), np.exp(log_weights).sum(), rtol=1e-10)
    each = np.zeros((repeats, 2 * keep))
    np.put_along_axis(each, index, weights, 1)
    error = each.std(0, ddof=1) / repeats**0.5 + 1e-9
    assert (np.abs(each.mean(0) - np.exp(log_weights[0])) < 5 * error).all()


def test_a_forced_branch_leaves_the_others_as_they_are_where_it_stays():
    keep, repeats = 5, 20_000
    log_weights = 1.5 * np.random.default_rng(2).normal(size=(1, 10))
    light = int(np.argsort(log_weights[0])[3])
    with float64():
        rows = jnp.repeat(jnp.asarray(log_weights), repeats, axis=0)
        uniform = jax.random.uniform(jax.random.key(1), (2, repeats))
        free = np.asarray(select(rows, uniform[0], keep).branches)
        forced = select(rows, uniform[1], keep, jnp.full(repeats, light, jnp.int32))
    index, kept = np.asarray(forced.branches), np.asarray(forced.kept)
    assert (np.take_along_axis(index, kept[:, None], 1) == light).all()
    stays = (free == light).any(1)
    assert 0.02 < stays.mean() < 0.9

    def shares(rows):
        return np.array([(rows == k).any(1).mean() for k in range(10)])

    error = np.sqrt(0.25 / stays.sum()) + np.sqrt(0.25 / repeats)
    assert np.abs(shares(free[stays]) - shares(index)).max() < 4 * error


def test_while_there_is_room_nothing_is_left_out():
    log_weights = np.array([[0.0, -1.0, -np.inf, -np.inf, 2.0, -np.inf]])
    with float64():
        found = select(jnp.asarray(log_weights), jnp.asarray([0.7]), 4)
    assert np.asarray(found.branches)[0, :3].tolist() == [0, 1, 4]
    assert np.asarray(found.log_weights)[0].tolist() == [0.0, -1.0, 2.0, -np.inf]
    with float64():
        assert float(effective(jnp.asarray([[0.0, 0.0, -jnp.inf]]))[0]) == 2


@pytest.mark.parametrize("places", [[0, 11], [3, 4, 7, 8], [10]], ids=str)
@pytest.mark.parametrize("ahead", [False, True])
def test_with_room_for_all_completions_runs_are_enumeration(places, ahead):
    net, images, tables, log_z = problem(places, count=3)
    with float64():
        guess = looking_ahead(net, images, 8) if ahead else None
        found = run(*of(net), images, keys(0, 3, 2), None, guess, particles=32, slots=8)
    m = len(places)
    np.testing.assert_allclose(found.log_evidence, np.stack([log_z] * 2, 1), atol=1e-9)
    for n, table in enumerate(tables):
        np.testing.assert_allclose(found.marginals[n, 0, :m], table.marginals, atol=1e-9)
        assert np.asarray(found.best)[n, :m].tolist() == table.best.tolist()
        expected = -table.nll.min() + (log_z[n] - np.logaddexp.reduce(-table.nll))
        np.testing.assert_allclose(found.log_prob_best[n], expected, atol=1e-9)


def test_pilots_that_go_together_keep_their_lineages():
    """A particle's parent is where its log p(observed so far) came from, among its own pilot's."""
    net, images, _, _ = problem([1, 2, 3, 5, 6, 7, 9], net=sharp())
    with float64():
        made = [pilot(*of(net), images, keys(n, 1, 2), particles=4, slots=8)[0] for n in range(3)]
        both = together(together(made[0], made[1]), made[2])
    for field in Pilot._fields:
        parts = [np.asarray(getattr(one, field)) for one in made]
        found = np.asarray(getattr(both, field))
        for n, part in enumerate(parts):
            rows = slice(8 * n, 8 * n + 8)
            own = found[:, rows] if field == "end" else found[:, :, rows]
            np.testing.assert_array_equal(own - 8 * n if field == "parents" else own, part)


def test_pilots_go_on_until_they_agree():
    """One round where nothing is observed past the missing pixels, all that are allowed where runs
    scatter; what they teach narrows the estimates."""
    net, images, _, log_z = problem([1, 2, 3, 5, 6, 7, 9], net=sharp())
    seen = []

    def counted(*args, **kwargs):
        seen.append(1)
        return pilot(*args, **kwargs)

    nothing_after = np.where(np.arange(net.places) < 2, images, -1).astype(np.int8)
    with pytest.MonkeyPatch.context() as patch, float64():
        patch.setattr(pilots, "pilot", counted)
        pilots.look_ahead(net, nothing_after, jax.random.key(0))
        assert len(seen) == 1
        patch.setattr(pilots, "_PARTICLES", 16)
        patch.setattr(pilots, "_ROUNDS", 2)
        patch.setattr(pilots, "_CALM", 0.0)
        ahead = pilots.look_ahead(net, images, jax.random.key(0))
        assert len(seen) == 3
        blind, sighted = (
            run(*of(net), images, keys(1, 1, 400), None, guess, particles=4, slots=32)
            for guess in (None, ahead)
        )
    spreads = [float(np.std(np.asarray(one.log_evidence) - log_z[0])) for one in (blind, sighted)]
    assert spreads[1] < 0.95 * spreads[0]


def test_fewer_go_on_after_the_last_missing_pixel_where_that_saves_time():
    images = np.zeros((2, 64), np.int8)
    images[0, 10:20] = images[1, 30:40] = -1
    assert kept_of(images, 128) == 64
    assert kept_of(images, 4) == 2
    assert kept_of(images, 1024) == 1024  # all completions
    images[1, 62] = -1
    assert kept_of(images, 128) == 128  # nearly nothing left


def test_both_values_come_from_one_logit():
    with float64():
        z = jnp.asarray([-800.0, -40.0, -1.5, 0.0, 2.5, 30.0, 800.0])
        found = np.asarray(log_probs(z))
    expected = np.stack([-np.logaddexp(0, z), -np.logaddexp(0, -np.asarray(z))], -1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("ahead", "kept"), [(False, None), (True, None), (True, 2), (False, 3)])
def test_estimates_are_unbiased_however_they_choose(ahead, kept):
    net, images, _, log_z = problem(list(range(1, 10)), net=sharp())
    runs = 2_000
    with float64():
        guess = looking_ahead(net, images, 12, 8) if ahead else None
        sizes = {"particles": 6, "slots": 12, "kept": kept}
        found = run(*of(net), images, keys(1, 1, runs), None, guess, **sizes)
    ratio = np.exp(np.asarray(found.log_evidence)[0] - log_z[0])
    assert 0.01 < ratio.std() < 3
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / runs**0.5
    assert np.asarray(found.log_evidence).mean() < log_z[0]


@pytest.mark.parametrize("kept", [None, 2])
def test_conditional_runs_leave_the_posterior_as_it_is(kept):
    """From exact draws: 1 / Z^ has mean 1 / Z, and what is drawn is distributed as before."""
    net, images, (table,), log_z = problem(list(range(2, 10)), net=sharp())
    runs = 3_000
    rng = np.random.default_rng(3)
    held = np.zeros((1, runs, 12), np.int8)
    held[0, :, :8] = table.completions[rng.choice(256, runs, p=np.exp(table.log_probs))]
    with float64():
        guess = looking_ahead(net, images, 12, 8)
        sizes = {"particles": 4, "slots": 12, "kept": kept}
        found = run(*of(net), images, keys(2, 1, runs), held, guess, **sizes)
    inverse = np.exp(log_z[0] - np.asarray(found.log_evidence)[0])
    assert abs(inverse.mean() - 1) < 4 * inverse.std() / runs**0.5
    assert np.asarray(found.log_evidence).mean() > log_z[0]
    drawn = np.asarray(found.drawn)[0, :, 0, :8]
    assert (drawn != held[0, :, :8]).any(1).mean() > 0.2
    pairs = np.stack([table.completions, np.roll(table.completions, 1, 1)])
    expected = np.exp(table.log_probs) @ np.concatenate([pairs[0], pairs[0] * pairs[1]], 1)
    values = np.concatenate([drawn, drawn * np.roll(drawn, 1, 1)], 1)
    error = np.sqrt(expected * (1 - expected) / runs)
    assert (np.abs(values.mean(0) - expected) < 4.5 * error).all()


def test_completions_are_drawn_by_weight():
    """By systematic sampling: of d completions of S particles none is off its share by S / d."""
    net, images, _, _ = problem(list(range(2, 10)), net=sharp())
    with float64():
        guess = looking_ahead(net, images, 12, 8)
        sizes = {"particles": 4, "slots": 12}
        many = run(*of(net), images, keys(2, 1, 50), None, guess, **sizes, draws=64)
        one = run(*of(net), images, keys(2, 1, 50), None, guess, **sizes)
    assert many.drawn.shape == (1, 50, 64, 12)
    assert one.drawn.shape == (1, 50, 1, 12)
    off = np.asarray(many.drawn).mean(2) - np.asarray(many.marginals)
    assert np.abs(off).max() <= 4 / 64
    assert (np.asarray(many.log_evidence) == np.asarray(one.log_evidence)).all()


def test_chains_reach_the_marginals_and_meet_the_best():
    net, images, tables, _ = problem([0, 2, 3, 5, 6, 7, 9, 11], count=2)
    with float64():
        guess = looking_ahead(net, images, 8)
        held = np.zeros((2, 4, 8), np.int8)
        found = sweep(
            *of(net),
            images,
            keys(3, 2, 4),
            held,
            guess,
            jnp.int32(0),
            particles=8,
            slots=8,
            count=400,
        )
    rows = np.asarray(found.marginals)[20:]
    for n, table in enumerate(tables):
        batches = rows[:, n].reshape(19, 20, 4, 8).mean(1).reshape(-1, 8)
        error = batches.std(0, ddof=1) / len(batches) ** 0.5
        assert (np.abs(rows[:, n].mean((0, 1)) - table.marginals) < 4 * error + 1e-3).all()
        assert np.asarray(found.best)[n].tolist() == table.best.tolist()


def test_images_with_different_masks_go_together_as_they_would_alone():
    net = network()
    rng = np.random.default_rng(4)
    images = np.where(rng.random((5, PLACES)) < 0.4, -1, rng.integers(0, 2, (5, PLACES)))
    images[:, 3] = -1
    images = images.astype(np.int8)
    with float64():
        guess = looking_ahead(net, images, 12)
        together = run(*of(net), images, keys(5, 5, 3), None, guess, particles=4, slots=12)
        for n in range(5):
            alone = jax.tree.map(lambda leaf, n=n: leaf[n : n + 1], guess)
            one = run(
                *of(net),
                images[n : n + 1],
                keys(5, 5, 3)[n : n + 1],
                None,
                alone,
                particles=4,
                slots=12,
            )
            np.testing.assert_allclose(one.log_evidence[0], together.log_evidence[n], atol=1e-12)
            assert (np.asarray(one.drawn)[0] == np.asarray(together.drawn)[n]).all()
