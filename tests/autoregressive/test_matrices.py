"""Decompositions in batches: what they return, and that no program holds a LAPACK call with a batch,
which can stand still for ever."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from threadpoolctl import threadpool_info

import autoregressive.matrices
from autoregressive.matrices import each, eigh, one_lapack_thread, orthogonalize, solve
from autoregressive.soap import scale_by_soap
from autoregressive.training import Trainer, fit

# Named by a compiled program: the call and the shape of what it returns first.
CALL = re.compile(r"@(lapack_\w+|blas_\w+)\(.*-> \(?tensor<([0-9x]+)x[a-z]")
BATCH = jax.random.normal(jax.random.key(0), (2, 3, 5, 5))


def lapack_shapes(function, *arguments):
    """Of every LAPACK call in a function's program."""
    text = jax.jit(function).lower(*arguments).as_text()
    calls = CALL.findall(text)
    assert text.count("@lapack_") + text.count("@blas_") == len(calls)
    return [tuple(map(int, shape.split("x"))) for _, shape in calls]


def alone(shapes):
    return all(np.prod(shape[:-2]) == 1 or len(shape) < 2 for shape in shapes)


@pytest.mark.parametrize("depth", [1, 2])
def test_batches_are_those_of_numpy_and_go_one_by_one(depth):
    matrices = BATCH if depth == 2 else BATCH[0]
    right = matrices[..., 0] + 1
    ours = {
        "q": orthogonalize,
        "values": lambda m: eigh(m)[0],
        "x": lambda m: solve(m, m[:, 0] + 1),
    }
    symmetric = matrices + np.swapaxes(matrices, -1, -2)
    wanted = {
        "q": np.linalg.qr(matrices)[0],
        "values": np.linalg.eigvalsh(symmetric),
        "x": np.linalg.solve(matrices, right[..., None])[..., 0],
    }
    for name, function in ours.items():
        for _ in range(depth):
            function = jax.vmap(function)
        argument = symmetric if name == "values" else matrices
        np.testing.assert_allclose(function(argument), wanted[name], rtol=2e-3, atol=1e-4)
        shapes = lapack_shapes(function, argument)
        assert shapes and alone(shapes), name


def test_a_batch_of_one_needs_no_loop():
    found = each(orthogonalize, BATCH[0, :1])
    np.testing.assert_array_equal(found[0], orthogonalize(BATCH[0, 0]))
    assert "while" not in jax.jit(partial(each, orthogonalize)).lower(BATCH[0, :1]).as_text()


def test_the_judge_sees_a_batched_call():
    assert not alone(lapack_shapes(jnp.linalg.qr, BATCH[0]))


def test_seeds_trained_together_refresh_their_bases_one_by_one():
    soap = scale_by_soap(whole=16, block=8)
    params = {"a.w": jnp.ones((4, 24, 5)), "a.b": jnp.ones((4, 24)), "b.w": jnp.ones((4, 3, 20))}
    state = jax.vmap(soap.init)(params)
    shapes = lapack_shapes(jax.vmap(soap.update), params, state)
    assert shapes and alone(shapes)


def test_nothing_else_calls_lapack():
    package = Path(autoregressive.matrices.__file__).parents[1]
    calls = re.compile(r"(jnp|lax|scipy|jax\.numpy)\.linalg")
    names = {
        path.relative_to(package).as_posix()
        for folder in ("autoregressive", "meta_learning", "analysis")
        for path in (package / folder).rglob("*.py")
        if calls.search(path.read_text())
    }
    assert names == {"autoregressive/matrices.py"}


def lapack_threads():
    return {i["num_threads"] for i in threadpool_info() if "scipy.libs" in i["filepath"]}


@pytest.mark.skipif(os.cpu_count() == 1, reason="more threads than one are wanted before")
def test_training_gives_lapack_one_thread():
    """Where what runs is seen: in the program of a training."""
    seen = []

    def loss(params, batch):
        jax.debug.callback(lambda: seen.append(lapack_threads()))
        value = (params["w"] ** 2).sum()
        return value, value

    with one_lapack_thread():
        assert lapack_threads() == {1}
    before = lapack_threads()
    trainer = Trainer(loss, optax.sgd(0.1), lambda data, key, start, n: jnp.zeros(n))
    state = trainer.init({"w": jnp.ones((1, 3))})
    list(fit(trainer, state, jax.random.split(jax.random.key(0), 1), None, [2]))
    assert seen == [{1}] * 2
    assert lapack_threads() == before
