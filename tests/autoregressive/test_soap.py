"""SOAP against the published algorithm, written as a loop over layers in float64."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from autoregressive.soap import block_sizes, join, scale_by_soap, split

SHAPES = {"a.w": (7, 3), "a.b": (7,), "b.w": (2, 6), "b.b": (2,)}


def by_blocks(find, matrix, block):
    """A block-diagonal matrix of what ``find`` makes of each block on the diagonal: as many as can have
    ``block`` rows or more, the last ones perhaps shorter."""
    n = len(matrix)
    size = -(-n // max(1, n // block))
    out = np.zeros((n, n))
    for start in range(0, n, size):
        here = slice(start, start + size)
        out[here, here] = find(matrix[here, here])
    return out


def naive(gradients, b1, b2, shampoo, eps, every, block, few):
    """Vyas et al. (2024), algorithm 3, for one matrix: the mean is kept as it is and rotated anew
    at each step."""
    rows, columns = gradients[0].shape
    mean, square = np.zeros((rows, columns)), np.zeros((rows, columns))
    left_moment, right_moment = np.zeros((rows, rows)), np.zeros((columns, columns))
    left, right = np.eye(rows), np.eye(columns)
    for n, g in enumerate(gradients, 1):
        mean = b1 * mean + (1 - b1) * g
        # Of sides that are cut every so many-th alone.
        if rows // block < 2 or n % few == 0:
            decay = shampoo if rows // block < 2 else shampoo**few
            left_moment = decay * left_moment + (1 - decay) * g @ g.T
        if columns // block < 2 or n % few == 0:
            decay = shampoo if columns // block < 2 else shampoo**few
            right_moment = decay * right_moment + (1 - decay) * g.T @ g
        if n == every:
            left, right = (
                by_blocks(lambda m: np.linalg.eigh(m)[1][:, ::-1], moment, block)
                for moment in (left_moment, right_moment)
            )
        elif n % every == 0:
            # Within blocks: what is between them is not in the moments that are turned.
            left, right = (
                by_blocks(
                    lambda m: np.linalg.qr(m)[0],
                    by_blocks(lambda m: m, moment, block) @ basis,
                    block,
                )
                for moment, basis in ((left_moment, left), (right_moment, right))
            )
        square = b2 * square + (1 - b2) * (left.T @ g @ right) ** 2
        rotated = left.T @ mean @ right / (1 - b1**n)
        yield left @ (rotated / (np.sqrt(square / (1 - b2**n)) + eps)) @ right.T


# One block; some of both sides, of whole rows and columns and of some that are filled up.
@pytest.mark.parametrize("block", [128, 2, 3])
def test_directions_are_those_of_the_published_algorithm(block):
    how = {
        "b1": 0.9,
        "b2": 0.99,
        "shampoo": 0.8,
        "eps": 1e-8,
        "every": 8,
        "whole": block,
        "block": block,
        "few": 4,
    }
    rng = np.random.default_rng(0)
    gradients = [
        {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
        for _ in range(27)
    ]
    soap = scale_by_soap(**how)
    update, state = jax.jit(soap.update), soap.init(gradients[0])
    expected = {
        layer: naive(
            [np.asarray(join(g)[layer], np.float64) for g in gradients],
            **{name: value for name, value in how.items() if name != "whole"},
        )
        for layer in join(gradients[0])
    }
    for g in gradients:
        direction, state = update(g, state)
        wanted = split({layer: next(steps) for layer, steps in expected.items()}, g)
        for name in SHAPES:
            np.testing.assert_allclose(direction[name], wanted[name], rtol=0, atol=2e-3)


def test_sides_that_are_not_long_have_one_basis():
    assert block_sizes(128) == (1, 128)
    assert block_sizes(129) == (2, 65)
    assert block_sizes(512 + 5) == (10, 52)
    assert block_sizes(2048) == (42, 49)
    assert block_sizes(7, whole=3, block=2) == (3, 3)
