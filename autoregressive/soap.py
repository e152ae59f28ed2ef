"""SOAP: Adam in the slowly turning eigenbasis of Shampoo's preconditioner (Vyas et al. 2024).

Each layer is one matrix: its weights side by side with its bias as the last column, one row a
pre-activation. For a gradient G the second moments G G' and G' G are averaged; every few steps their
eigenvectors are refreshed by one step of power iteration with a QR decomposition; Adam's second
moment is kept in that basis, and so is the first, which turns with the basis: each gradient is then
rotated once.

A side of more than ``whole`` rows or columns is cut into as many blocks of one size, at least ``block``,
as there can be, each with a basis of its own: moments between blocks are left out, as in blocked Shampoo
(Anil et al. 2020). Work then grows with the number of weights, as that of the gradient does, and not
faster. A side's bases are one array (blocks, size, size); what is missing to whole blocks is filled up
with 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jaxtyping import Float, Int

from autoregressive.broadcast import AnyArray
from autoregressive.matrices import each, eigh, orthogonalize

Matrices = Mapping[str, Float[AnyArray, "_ _"]]
# Moments or bases of one side of every layer: of its blocks.
Blocks = Mapping[str, Float[AnyArray, "_ _ _"]]
Layers = Mapping[str, AnyArray]
# Rows, or columns, up to which a side has one basis: cutting it would take more time, not less. And the
# least of one block of a longer side.
WHOLE, BLOCK = 128, 64
# Weights and biases by name.
Flat = Mapping[str, Float[AnyArray, "..."]]


class SoapState(NamedTuple):
    """Moments and eigenbases of every layer's matrix, filled up to whole blocks, by the layer's name.
    mean and square: Adam's moments, in the eigenbasis. rows and columns: averages of G G' and G' G,
    block by block."""

    step: Int[Array, "..."]
    mean: Matrices
    square: Matrices
    rows: Blocks
    columns: Blocks
    row_basis: Blocks
    column_basis: Blocks


def layers(params: Flat | Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, list[str]]:
    """Which parameters form one matrix: names with the same prefix and as many rows, in the order of
    their names' last parts reversed, so that a bias comes last."""
    groups: dict[str, list[str]] = {}
    for name in sorted(params, reverse=True):
        groups.setdefault(f"{name.rpartition('.')[0]}/{params[name].shape[0]}", []).append(name)
    return groups


def join(params: Flat) -> Matrices:
    """The layers' matrices (rows, columns) out of a flat dict of weights and biases."""
    return {
        layer: jnp.concatenate([_two_d(params[name]) for name in names], axis=1)
        for layer, names in layers(params).items()
    }


def split(matrices: Matrices, like: Flat) -> dict[str, Float[AnyArray, "..."]]:
    """The inverse of ``join``, with the names and shapes of ``like``."""
    out = {}
    for layer, names in layers(like).items():
        column = 0
        for name in names:
            width = _two_d(like[name]).shape[1]
            part = matrices[layer][:, column : column + width]
            out[name] = part.reshape(like[name].shape)
            column += width
    return out


def scale_by_soap(
    b1: float = 0.9,
    b2: float = 0.999,
    shampoo: float = 0.99,
    eps: float = 1e-8,
    every: int = 20,
    whole: int = WHOLE,
    block: int = BLOCK,
    few: int = 4,
) -> optax.GradientTransformation:
    """The direction of SOAP for a flat dict of parameters, to be scaled by a learning rate.

    b1, b2: Adam's decay rates. shampoo: the decay of the second moments of rows and columns. every:
    steps between refreshments of the eigenbases. whole: rows, or columns, up to which a side is not
    cut. block: the least of one block of a side that is. few: moments of such a side are those of every
    ``few``-th gradient.
    """
    cut = partial(block_sizes, whole=whole, block=block)

    def init(params: Flat) -> SoapState:
        matrices = join(params)
        zeros = jax.tree.map(jnp.zeros_like, _fill(matrices, cut))

        def eye(side: int) -> Blocks:
            return {k: _eye(cut(m.shape[side]), m.dtype) for k, m in matrices.items()}

        row_eye, column_eye = eye(0), eye(1)
        return SoapState(
            jnp.zeros((), jnp.int32),
            zeros,
            zeros,
            jax.tree.map(jnp.zeros_like, row_eye),
            jax.tree.map(jnp.zeros_like, column_eye),
            row_eye,
            column_eye,
        )

    def update(
        gradients: Flat, state: SoapState, params: Flat | None = None
    ) -> tuple[dict[str, Float[AnyArray, "..."]], SoapState]:
        matrices = join(gradients)
        g = _fill(matrices, cut)
        n = state.step + 1
        rows = _average_moments(_row_moment, state.rows, g, n, shampoo, few)
        columns = _average_moments(_column_moment, state.columns, g, n, shampoo, few)

        def keep() -> tuple[Blocks, Blocks, Matrices]:
            return state.row_basis, state.column_basis, state.mean

        def turn(find: Callable[[Array, Array], Array]) -> tuple[Blocks, Blocks, Matrices]:
            left = _each(find, rows, state.row_basis)
            right = _each(find, columns, state.column_basis)
            mean = _each(_from_basis, state.row_basis, state.mean, state.column_basis)
            return left, right, _each(_to_basis, left, mean, right)

        which = jnp.where(n == every, 1, jnp.where(n % every == 0, 2, 0))
        left, right, mean = lax.switch(
            which, [keep, lambda: turn(_eigenvectors), lambda: turn(_power_step)]
        )
        rotated = _each(_to_basis, left, g, right)
        mean = _move_average(b1, mean, rotated)
        square = _move_average(b2, state.square, {k: v**2 for k, v in rotated.items()})
        mean_bias, square_bias = 1 - b1**n, 1 - b2**n
        scaled = {k: mean[k] / mean_bias / (jnp.sqrt(square[k] / square_bias) + eps) for k in g}
        direction = _each(_from_basis, left, scaled, right)
        # Without what the sides were filled up with; columns are cut by their widths.
        direction = {k: direction[k][: m.shape[0]] for k, m in matrices.items()}
        state = SoapState(n, mean, square, rows, columns, left, right)
        return split(direction, gradients), state

    return optax.GradientTransformation(init, update)


def _two_d(value: Float[AnyArray, "rows ..."]) -> Float[AnyArray, "rows columns"]:
    return value[:, None] if value.ndim == 1 else value


def block_sizes(side: int, whole: int = WHOLE, block: int = BLOCK) -> tuple[int, int]:
    """The number of blocks of a side, and their size; for arguments see ``scale_by_soap``."""
    blocks = 1 if side <= whole else max(1, side // block)
    return blocks, -(-side // blocks)


def _fill(matrices: Matrices, cut: Callable[[int], tuple[int, int]]) -> Matrices:
    """With rows and columns of 0 up to whole blocks."""

    def missing(side: int) -> tuple[int, int]:
        return 0, math.prod(cut(side)) - side

    return {k: jnp.pad(m, [missing(n) for n in m.shape]) for k, m in matrices.items()}


def _eye(sizes: tuple[int, int], dtype: jnp.dtype) -> Float[Array, "blocks size size"]:
    blocks, size = sizes
    return jnp.broadcast_to(jnp.eye(size, dtype=dtype), (blocks, size, size))


def _move_average(decay: float, average: Layers, latest: Layers) -> dict[str, AnyArray]:
    return {k: decay * average[k] + (1 - decay) * latest[k] for k in latest}


def _each(function: Callable[..., Array], *matrices: Layers) -> dict[str, Array]:
    return {k: function(*(m[k] for m in matrices)) for k in matrices[0]}


def _row_moment(
    matrix: Float[AnyArray, "rows columns"], like: Float[AnyArray, "blocks size size"]
) -> Float[Array, "blocks size size"]:
    """G G' of each block of rows."""
    g = jnp.asarray(matrix)
    if len(like) == 1:
        return (g @ g.T)[None]
    parts = g.reshape(*like.shape[:2], -1)
    return parts @ jnp.swapaxes(parts, 1, 2)


def _column_moment(
    matrix: Float[AnyArray, "rows columns"], like: Float[AnyArray, "blocks size size"]
) -> Float[Array, "blocks size size"]:
    """G' G of each block of columns."""
    g = jnp.asarray(matrix)
    if len(like) == 1:
        return (g.T @ g)[None]
    parts = g.reshape(len(g), *like.shape[:2])
    return jnp.einsum("rbi,rbj->bij", parts, parts)


def _average_moments(
    moment: Callable[[AnyArray, AnyArray], Array],
    averages: Blocks,
    g: Matrices,
    n: Int[Array, ""],
    decay: float,
    few: int,
) -> dict[str, AnyArray]:
    """The averages of moments after step n: of sides that are cut, those of every ``few``-th gradient,
    with the decay of so many steps."""
    cut = {k: average for k, average in averages.items() if len(average) > 1}
    rest = {k: average for k, average in averages.items() if k not in cut}
    found = _move_average(decay, rest, {k: moment(g[k], average) for k, average in rest.items()})
    if cut:

        def latest() -> dict[str, AnyArray]:
            return _move_average(decay**few, cut, {k: moment(g[k], a) for k, a in cut.items()})

        found |= lax.cond(n % few == 0, latest, lambda: dict(cut))
    return {k: found[k] for k in averages}


def _turn_rows(
    bases: Float[Array, "blocks size size"], matrix: Float[Array, "rows columns"]
) -> Float[Array, "rows columns"]:
    """Every block of rows times its own basis from the left."""
    if len(bases) == 1:
        return bases[0] @ matrix
    return (bases @ matrix.reshape(*bases.shape[:2], -1)).reshape(matrix.shape)


def _turn_columns(
    matrix: Float[Array, "rows columns"], bases: Float[Array, "blocks size size"]
) -> Float[Array, "rows columns"]:
    """Every block of columns times its own basis from the right. Nothing is transposed: that would take
    as long as the products."""
    if len(bases) == 1:
        return matrix @ bases[0]
    parts = matrix.reshape(len(matrix), *bases.shape[:2])
    return jnp.einsum("rbi,bij->rbj", parts, bases).reshape(matrix.shape)


def _transpose(bases: Float[Array, "blocks size size"]) -> Float[Array, "blocks size size"]:
    return jnp.swapaxes(bases, 1, 2)


def _to_basis(
    left: Float[Array, "_ _ _"], matrix: Float[Array, "rows columns"], right: Float[Array, "_ _ _"]
) -> Float[Array, "rows columns"]:
    return _turn_columns(_turn_rows(_transpose(left), matrix), right)


def _from_basis(
    left: Float[Array, "_ _ _"], matrix: Float[Array, "rows columns"], right: Float[Array, "_ _ _"]
) -> Float[Array, "rows columns"]:
    return _turn_columns(_turn_rows(left, matrix), _transpose(right))


def _power_step(
    moment: Float[Array, "blocks n n"], basis: Float[Array, "blocks n n"]
) -> Float[Array, "blocks n n"]:
    return each(orthogonalize, moment @ basis)


def _eigenvectors(
    moment: Float[Array, "blocks n n"], basis: Float[Array, "blocks n n"]
) -> Float[Array, "blocks n n"]:
    """Columns in order of falling eigenvalue, whatever the basis before."""
    return each(eigh, moment)[1][..., ::-1]
