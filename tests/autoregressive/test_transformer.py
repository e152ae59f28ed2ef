"""The transformer cell: against loops in NumPy, and its cached step against the parallel form."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import judges
import numpy as np
import pytest
from conftest import TRAIN
from naive import transformer_by_loops
from running import run

from autoregressive.cells.transformer import (
    RotaryTransformer,
    Transformer,
    UnplacedTransformer,
)
from autoregressive.scores import kl, log_loss
from meta_learning import DirichletCategorical
from meta_learning.learner import Learner

KINDS = {
    "transformer": Transformer,
    "transformer-rotary": RotaryTransformer,
    "transformer-unplaced": UnplacedTransformer,
}
kinds = pytest.mark.parametrize("kind", KINDS)


def made(window=4, hidden=6, length=11, kind="transformer"):
    """A transformer with parameters random everywhere, in float64, and inputs beyond its window."""
    cell = KINDS[kind](3, hidden, window)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(cell.init, jax.random.key(0))
    params = {name: jnp.asarray(0.6 * rng.normal(size=s.shape)) for name, s in shapes.items()}
    state = tuple(jnp.asarray(s, jnp.float64) for s in cell.initial_state((2,)))
    return cell, params, state, jnp.asarray(rng.normal(size=(length, 2, 3)))


@kinds
@pytest.mark.parametrize("hidden", [3, 6, 8])
def test_unroll_is_the_one_of_loops(hidden, kind):
    with jax.enable_x64(True):
        cell, params, state, xs = made(hidden=hidden, kind=kind)
        _, outputs = jax.jit(cell.unroll)(params, state, xs)
        expected = transformer_by_loops(cell, params, np.asarray(xs), kind)
        np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-12)


@kinds
@pytest.mark.parametrize("window", [1, 4, 30])
def test_cached_step_equals_the_parallel_form(window, kind):
    """From the start, and from the middle, within the window and far beyond it."""
    with jax.enable_x64(True):
        cell, params, state, xs = made(window, length=12, kind=kind)
        unroll, step = jax.jit(cell.unroll), jax.jit(cell.step)
        last, whole = unroll(params, state, xs)
        now, one_by_one = state, []
        for x in xs:
            now, h = step(params, now, x)
            one_by_one.append(h)
        middle, first_part = unroll(params, state, xs[:6])
        end, second_part = unroll(params, middle, xs[6:])
        for outputs in (np.stack(one_by_one), np.concatenate([first_part, second_part])):
            np.testing.assert_allclose(outputs, whole, rtol=1e-10, atol=1e-12)
        for reached in (now, end):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-10, 1e-12), reached, last)


@pytest.mark.parametrize("kind", ["transformer", "transformer-rotary"])
def test_gradients_through_the_steps_equal_those_of_the_parallel_form(kind):
    with jax.enable_x64(True):
        cell, params, state, xs = made(kind=kind)

        def parallel(params, xs):
            return (cell.unroll(params, state, xs)[1] ** 3).sum()

        def stepped(params, xs):
            _, hs = jax.lax.scan(lambda s, x: cell.step(params, s, x), state, xs)
            return (hs**3).sum()

        ours, theirs = (
            jax.jit(jax.grad(f, argnums=(0, 1)))(params, xs) for f in (parallel, stepped)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-8, 1e-10), ours, theirs)


def test_what_is_beyond_the_window_is_forgotten():
    """Two layers of a window of 3 see 2 * 2 places back, and no further."""
    with jax.enable_x64(True):
        cell, params, state, xs = made(window=3)
        before = np.asarray(cell.unroll(params, state, xs)[1])
        after = np.asarray(cell.unroll(params, state, xs.at[2].add(1.0))[1])
        changed = np.flatnonzero((after != before).any((1, 2)))
        np.testing.assert_array_equal(changed, [2, 3, 4, 5, 6])


def test_a_state_and_inputs_broadcast():
    """As the walk over all histories steps: every symbol from every state."""
    with jax.enable_x64(True):
        cell, *values = made()
    params, state, xs = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), values)
    state, _ = jax.jit(cell.unroll)(params, state, xs)
    inputs, step = jnp.eye(3), jax.jit(cell.step)
    after, h = jax.jit(jax.vmap(lambda x: cell.step(params, state, x), out_axes=1))(inputs)
    for k, x in enumerate(inputs):
        one, expected = step(params, state, jnp.broadcast_to(x, (2, 3)))
        np.testing.assert_allclose(h[:, k], expected, rtol=1e-5, atol=1e-6)
        jax.tree.map(
            lambda a, b, k=k: np.testing.assert_allclose(a[:, k], b, 1e-5, 1e-6), after, one
        )


@kinds
def test_positions_tell_the_order_of_the_past(kind):
    """Of one layer, so that nothing but positions could: what a causal mask shows is a set."""
    with jax.enable_x64(True):
        cell = KINDS[kind](3, 8, window=20, layers=1)
        _, params, _, xs = made(window=20, hidden=8, kind=kind)
        state = jax.tree.map(lambda s: s.astype(jnp.float64), cell.initial_state((2,)))
        swapped = xs.at[2].set(xs[5]).at[5].set(xs[2])
        before, after = (np.asarray(cell.unroll(params, state, x)[1][-1]) for x in (xs, swapped))
    if kind == "transformer-unplaced":
        np.testing.assert_allclose(after, before, rtol=1e-10)
    else:
        assert np.abs(after - before).min() > 1e-6


def test_rotary_positions_see_distances_only():
    """Both the same: a stream, and the same stream after a window of others."""
    with jax.enable_x64(True):
        cell, params, state, xs = made(kind="transformer-rotary")
        late = cell.unroll(params, state, jnp.concatenate([xs[::-1], xs]))[1][-1]
        early = cell.unroll(params, state, xs)[1][-1]
        np.testing.assert_allclose(late, early, rtol=1e-10)


def test_initial_heads_reach_up_to_the_time_scale():
    cell = Transformer(4, 8)
    for timescale, longest in ((None, 100.0), (16.0, 16.0)):
        params = cell.init(jax.random.key(0), timescale)
        slopes = -np.asarray(params["0.distance"])[:, 1]
        np.testing.assert_allclose(1 / slopes, longest ** np.array([0.25, 0.5, 0.75, 1]), rtol=1e-5)


def test_compare_audit_and_hidden_take_it(tmp_path):
    out = tmp_path / "out"
    result = run(*TRAIN, "--cell", "transformer", "--out", out, "--quiet")
    assert result.exit_code == 0, result.stderr
    found = json.loads((out / "comparison.json").read_text())
    assert found["cell"] == "transformer"
    audit = run(
        "audit",
        "--checkpoint",
        out / "network-seed0.safetensors",
        "--only-gap",
        "--tasks",
        200,
        "--json",
        "--quiet",
    )
    assert audit.exit_code == 0, audit.stderr
    # The same mean over all tasks, from the predictions on each.
    tasks = judges.all_streams(3, 4, 4)
    log_q = Learner.load(out / "network-seed0.safetensors").log_predictive(tasks)
    log_bayes = DirichletCategorical((10, 1, 1), 4).log_predictive(tasks)
    probability = np.exp(-log_loss(log_bayes, tasks).sum(1))
    wanted = (probability * kl(log_bayes, log_q)[:, :3].mean(1)).sum()
    assert json.loads(audit.stdout)["gap"]["mean"] == pytest.approx(wanted, rel=1e-5)

    # Its state is no vector: probes see what comes out, swaps exchange all of it.
    network = out / "network-seed0.safetensors"
    examined = run("hidden", "--checkpoint", network, "--streams", 40, "--json", "--quiet")
    assert examined.exit_code == 0, examined.stderr
    found = json.loads(examined.stdout)
    assert {space for of in found["probes"].values() for space in of["trained"]} == {"h"}
    assert found["swaps"]["kl"]["other_counts"]["mean"] > 0
    assert "no tuple of vectors" in found["simulation"]["none"]
    assert found["jacobian"] == []
