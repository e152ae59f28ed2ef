"""SOAP: Adam in the slowly turning eigenbasis of Shampoo's preconditioner (Vyas et al. 2024).

Each layer is one matrix: its weights side by side with its bias as the last column, one row a
pre-activation. For a gradient G the second moments G G' and G' G are averaged; every few steps their
eigenvectors are refreshed by one step of power iteration with a QR decomposition; Adam's second
moment is kept in that basis, and so is the first, which turns with the basis: each gradient is then
rotated once. Layers here have at most a few hundred rows, so the cost is small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jaxtyping import Float, Int

from autoregressive.broadcast import AnyArray

Matrices = Mapping[str, Float[AnyArray, "_ _"]]
# Weights and biases by name.
Flat = Mapping[str, Float[AnyArray, "..."]]


class SoapState(NamedTuple):
    """Moments and eigenbases of every layer's matrix, by the layer's name. mean and square: Adam's
    moments, in the eigenbasis. rows and columns: averages of G G' and G' G."""

    step: Int[Array, "..."]
    mean: Matrices
    square: Matrices
    rows: Matrices
    columns: Matrices
    row_basis: Matrices
    column_basis: Matrices


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
    b1: float = 0.9, b2: float = 0.999, shampoo: float = 0.99, eps: float = 1e-8, every: int = 20
) -> optax.GradientTransformation:
    """The direction of SOAP for a flat dict of parameters, to be scaled by a learning rate.

    b1, b2: Adam's decay rates. shampoo: the decay of the second moments of rows and columns. every:
    steps between refreshments of the eigenbases.
    """

    def init(params: Flat) -> SoapState:
        matrices = join(params)
        zeros = jax.tree.map(jnp.zeros_like, matrices)
        row_eye = {k: jnp.eye(m.shape[0], dtype=m.dtype) for k, m in matrices.items()}
        column_eye = {k: jnp.eye(m.shape[1], dtype=m.dtype) for k, m in matrices.items()}
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
        g = join(gradients)
        n = state.step + 1
        rows = _moving(shampoo, state.rows, {k: v @ v.T for k, v in g.items()})
        columns = _moving(shampoo, state.columns, {k: v.T @ v for k, v in g.items()})

        def keep() -> tuple[Matrices, Matrices, Matrices]:
            return state.row_basis, state.column_basis, state.mean

        def turn(find: Callable[[Array, Array], Array]) -> tuple[Matrices, Matrices, Matrices]:
            left = _each(find, rows, state.row_basis)
            right = _each(find, columns, state.column_basis)
            mean = _each(_from_basis, state.row_basis, state.mean, state.column_basis)
            return left, right, _each(_to_basis, left, mean, right)

        which = jnp.where(n == every, 1, jnp.where(n % every == 0, 2, 0))
        left, right, mean = lax.switch(
            which, [keep, lambda: turn(_eigenvectors), lambda: turn(_power_step)]
        )
        rotated = _each(_to_basis, left, g, right)
        mean = _moving(b1, mean, rotated)
        square = _moving(b2, state.square, {k: v**2 for k, v in rotated.items()})
        mean_bias, square_bias = 1 - b1**n, 1 - b2**n
        scaled = {k: mean[k] / mean_bias / (jnp.sqrt(square[k] / square_bias) + eps) for k in g}
        direction = _each(_from_basis, left, scaled, right)
        state = SoapState(n, mean, square, rows, columns, left, right)
        return split(direction, gradients), state

    return optax.GradientTransformation(init, update)


def _two_d(value: Float[AnyArray, "rows ..."]) -> Float[AnyArray, "rows columns"]:
    return value[:, None] if value.ndim == 1 else value


def _moving(decay: float, average: Matrices, latest: Matrices) -> Matrices:
    return {k: decay * average[k] + (1 - decay) * latest[k] for k in latest}


def _each(function: Callable[..., Array], *matrices: Matrices) -> Matrices:
    return {k: function(*(m[k] for m in matrices)) for k in matrices[0]}


def _to_basis(
    left: Float[Array, "rows rows"],
    matrix: Float[Array, "rows columns"],
    right: Float[Array, "columns columns"],
) -> Float[Array, "rows columns"]:
    return left.T @ matrix @ right


def _from_basis(
    left: Float[Array, "rows rows"],
    matrix: Float[Array, "rows columns"],
    right: Float[Array, "columns columns"],
) -> Float[Array, "rows columns"]:
    return left @ matrix @ right.T


def _power_step(moment: Float[Array, "n n"], basis: Float[Array, "n n"]) -> Float[Array, "n n"]:
    return jnp.linalg.qr(moment @ basis)[0]


def _eigenvectors(moment: Float[Array, "n n"], basis: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Columns in order of falling eigenvalue, whatever the basis before."""
    return jnp.linalg.eigh(moment)[1][:, ::-1]
