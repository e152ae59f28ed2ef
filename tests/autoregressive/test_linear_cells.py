"""Cells whose recurrence is linear in the state: minGRU, LRU and Mamba."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import OF_RECURRENT_CELLS, made
from naive import LOOPS

from autoregressive.cells import LRU, Mamba, MinGRU
from autoregressive.cells.recurrence import LOOP, TREE, linear_recurrence
from autoregressive.unroll.scan import portable_unroll

KINDS = {"mingru": MinGRU, "lru": LRU, "mamba": Mamba}
cells = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.mark.parametrize("law", OF_RECURRENT_CELLS, ids=lambda law: law.__name__)
@cells
def test_laws(kind, law):
    law(kind)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("form", [LOOP, TREE])
def test_recurrence_and_its_gradients_equal_autodiff_of_the_loop(form, dtype):
    rng = np.random.default_rng(0)

    def draw(*shape):
        values = rng.normal(size=(2, *shape))
        return (values[0] + 1j * values[1]).astype(dtype) if dtype[0] == "c" else values[0]

    def by_steps(factors, terms, start):
        h, hs = start, []
        for n in range(len(terms)):
            h = factors[n] * h + terms[n]
            hs.append(h)
        return jnp.stack(hs)

    def value(run, given):
        return (jnp.abs(run(*given) - 0.3) ** 3).sum()

    with jax.enable_x64(True):
        # A factor of 1 axis serves the whole batch.
        given = tuple(map(jnp.asarray, (draw(7, 1, 3), draw(7, 2, 3), draw(2, 3))))
        run = partial(linear_recurrence, form=form)
        np.testing.assert_allclose(run(*given), by_steps(*given), rtol=1e-12)
        ours, theirs = (jax.jit(jax.grad(partial(value, f)))(given) for f in (run, by_steps))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-10, 1e-12), ours, theirs)


@pytest.mark.parametrize("name", KINDS)
def test_cell_is_the_one_of_its_paper(name):
    """The equations in NumPy, place by place."""
    with jax.enable_x64(True):
        cell, params, _, xs = made(KINDS[name], 3, 2, 9, hidden=6)
        state = jax.tree.map(lambda s: s.astype(jnp.float64), cell.initial_state((2,)))
        _, outputs = portable_unroll(cell, params, state, xs)
        expected = LOOPS[name](cell, {k: np.asarray(v) for k, v in params.items()}, np.asarray(xs))
    np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-12)


@cells
def test_a_state_and_inputs_broadcast(kind):
    """As the walk over all histories steps: every symbol from every state."""
    with jax.enable_x64(True):
        cell, params, state, _ = made(kind, 3, 2, 1)
        inputs = jnp.eye(3)
        after, h = jax.vmap(lambda x: cell.step(params, state, x), out_axes=1)(inputs)
        for k, x in enumerate(inputs):
            one, expected = cell.step(params, state, jnp.broadcast_to(x, (2, 3)))
            np.testing.assert_allclose(h[:, k], expected, rtol=1e-12)
            jax.tree.map(
                lambda a, b, k=k: np.testing.assert_allclose(a[:, k], b, 1e-12), after, one
            )


def test_eigenvalues_begin_on_the_disk_and_inputs_are_scaled_by_them():
    """Uniform on the ring: |lambda|^2 is uniform up to exp(-2 / timescale), angles up to 2 pi."""
    cell = LRU(3, 2_000)
    for timescale, most in ((None, 1.0), (20.0, np.exp(-1 / 10))):
        params = jax.jit(cell.init, static_argnums=1)(jax.random.key(0), timescale)
        size = np.exp(-np.exp(np.asarray(params["1.log_decay"], np.float64)))
        turn = np.exp(np.asarray(params["1.log_angle"], np.float64)) / (2 * np.pi)
        for uniform in (size**2 / most, turn):
            grid = np.arange(1, 10) / 10
            np.testing.assert_allclose(np.quantile(uniform, grid), grid, atol=0.04)
            assert uniform.min() > 0 and uniform.max() <= 1
        gamma = np.exp(np.asarray(params["1.log_gamma"], np.float64))
        np.testing.assert_allclose(gamma**2, 1 - size**2, rtol=1e-3, atol=1e-6)


def test_white_noise_keeps_the_size_of_an_lru_state_at_its_input():
    """What gamma is for: E|s|^2 = E|B u|^2 far from the start."""
    cell = LRU(8, 8, layers=1)
    params = dict(cell.init(jax.random.key(0), 10.0))
    xs = jax.random.normal(jax.random.key(1), (200, 400, 8))
    (re, im), _ = cell.unroll(params, cell.initial_state((400,)), xs)
    u = xs[-1] @ params["in.w"].T
    u = u / jnp.sqrt((u * u).mean(-1, keepdims=True))
    put = [u @ params[f"0.{part}"].T for part in ("b_re", "b_im")]
    ours, whole = re**2 + im**2, put[0] ** 2 + put[1] ** 2
    np.testing.assert_allclose(ours.mean(0) / whole.mean(0), 1, atol=0.3)


def test_mamba_begins_as_published():
    cell = Mamba(3, 40)
    assert (cell.inner, cell.rank) == (80, 3)
    for timescale, low, high in ((None, 1e-3, 1e-1), (50.0, 1 / 50, 1.0)):
        params = cell.init(jax.random.key(0), timescale)
        rates = np.exp(np.asarray(params["log_a"]))
        np.testing.assert_allclose(rates, np.tile(np.arange(1, 17), (80, 1)), rtol=1e-6)
        steps = np.asarray(jax.nn.softplus(params["step.b"]))
        assert low * 0.999 <= steps.min() and steps.max() <= high * 1.001
        middle = np.log(steps).mean()
        assert middle == pytest.approx((np.log(low) + np.log(high)) / 2, abs=0.5)
        np.testing.assert_array_equal(params["d"], np.ones(80))


def test_mingru_begins_with_memories_up_to_the_time_scale():
    params = MinGRU(3, 2_000).init(jax.random.key(0), 30.0)
    memory = 1 + np.exp(-np.asarray(params["0.b"][:2_000]))  # 1 / z of a plain input
    np.testing.assert_allclose(np.quantile(memory, [0, 0.5, 1]), [2, 16, 30], atol=0.8)


def test_mamba_sees_a_short_past_at_once():
    """Without a state that keeps (D alone), what comes out knows ``width`` places and no more."""
    with jax.enable_x64(True):
        cell, params, state, xs = made(Mamba, 3, 1, 12)
        params["select.w"] = jnp.zeros_like(params["select.w"])
        before = np.asarray(cell.unroll(params, state, xs)[1])
        after = np.asarray(cell.unroll(params, state, xs.at[3].add(1.0))[1])
        changed = np.flatnonzero((before != after).any((1, 2)))
    np.testing.assert_array_equal(changed, [3, 4, 5, 6])
