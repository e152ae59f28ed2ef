"""SOAP against the published algorithm, written as a loop over layers in float64."""

from __future__ import annotations

import jax
import numpy as np

from autoregressive.soap import join, scale_by_soap, split

SHAPES = {"a.w": (6, 3), "a.b": (6,), "b.w": (2, 6), "b.b": (2,)}


def naive(gradients, b1, b2, shampoo, eps, every):
    """Vyas et al. (2024), algorithm 3, for one matrix: the mean is kept as it is and rotated anew
    at each step."""
    rows, columns = gradients[0].shape
    mean, square = np.zeros((rows, columns)), np.zeros((rows, columns))
    left_moment, right_moment = np.zeros((rows, rows)), np.zeros((columns, columns))
    left, right = np.eye(rows), np.eye(columns)
    for n, g in enumerate(gradients, 1):
        mean = b1 * mean + (1 - b1) * g
        left_moment = shampoo * left_moment + (1 - shampoo) * g @ g.T
        right_moment = shampoo * right_moment + (1 - shampoo) * g.T @ g
        if n == every:
            left = np.linalg.eigh(left_moment)[1][:, ::-1]
            right = np.linalg.eigh(right_moment)[1][:, ::-1]
        elif n % every == 0:
            left = np.linalg.qr(left_moment @ left)[0]
            right = np.linalg.qr(right_moment @ right)[0]
        square = b2 * square + (1 - b2) * (left.T @ g @ right) ** 2
        rotated = left.T @ mean @ right / (1 - b1**n)
        yield left @ (rotated / (np.sqrt(square / (1 - b2**n)) + eps)) @ right.T


def test_directions_are_those_of_the_published_algorithm():
    how = {"b1": 0.9, "b2": 0.99, "shampoo": 0.8, "eps": 1e-8, "every": 8}
    rng = np.random.default_rng(0)
    gradients = [
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
        for _ in range(27)
    ]
    soap = scale_by_soap(**how)
    update, state = jax.jit(soap.update), soap.init(gradients[0])
    expected = {
        layer: naive([np.asarray(join(g)[layer], np.float64) for g in gradients], **how)
        for layer in join(gradients[0])
    }
    for g in gradients:
        direction, state = update(g, state)
        wanted = split({layer: next(steps) for layer, steps in expected.items()}, g)
        for name in SHAPES:
            np.testing.assert_allclose(direction[name], wanted[name], rtol=0, atol=2e-3)
