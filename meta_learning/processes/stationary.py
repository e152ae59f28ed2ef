"""Stationary distributions of Markov chains: of a matrix, and in the mean over unknown ones."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from autoregressive.matrices import eigh

# Of the rule in the logarithm of the odds: error below 1e-8 from concentrations of 0.1 on, below 1e-13
# from 1/2 on.
_NODES, _REACH = 128, 5.2


def stationary_distribution(
    transition: Float[np.ndarray, "states states"], advice: str
) -> tuple[float, ...]:
    """The p with p = p A, for a transition matrix A whose rows sum to 1. Returns S floats that sum to 1.

    Errors: ValueError with ``advice``, what the user may try, where there are several such p.
    """
    matrix = np.asarray(transition, np.float64)
    balance = np.concatenate([matrix.T - np.eye(len(matrix)), np.ones((1, len(matrix)))])
    if np.linalg.matrix_rank(balance) < len(matrix):
        raise ValueError(f"transition has several stationary distributions; {advice}")
    found = np.linalg.lstsq(balance, np.eye(len(matrix) + 1)[-1], rcond=None)[0]
    found = np.maximum(found, 0.0)  # a state that is left for good comes out at +-1e-17
    return tuple(float(v) for v in found / found.sum())


def stationary_of(rows: Float[Array, "*batch K K"]) -> Float[Array, "*batch K"]:
    """The stationary distributions of transition matrices of 2 or 3 states, all of them above 0.

    By the Markov chain tree theorem (Leighton and Rivest 1986): pi_i goes with the sum, over trees that
    lead to i, of the products of their transitions, which loses no digit where transitions are rare.
    """
    if rows.shape[-1] == 2:
        trees = jnp.stack([rows[..., 1, 0], rows[..., 0, 1]], -1)
    else:
        to = []
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            direct = rows[..., j, i] * rows[..., k, i]
            to.append(
                direct + rows[..., j, i] * rows[..., k, j] + rows[..., k, i] * rows[..., j, k]
            )
        trees = jnp.stack(to, -1)
    return trees / trees.sum(-1, keepdims=True)


class StationaryMeans(NamedTuple):
    """start: E[pi], (K,). next: E[pi_f P_jk] over k, (K,), both up to a factor."""

    start: Float[Array, " K"]
    next: Float[Array, " K"]


def stationary_means(
    concentration: Float[Array, "K K"], first: Int[Array, ""], row: Int[Array, ""], order: int = 6
) -> StationaryMeans:
    """Means over transition matrices whose rows are Dirichlet(concentration_j), K = 2 or 3.

    first, row: f and j. Two states: the trapezoid rule in the logarithm of the odds, centred and scaled
    to the density and stretched by sinh, so that both tails end double exponentially (Takahasi and Mori
    1974). Three: in each row two fractions of what is left, each by Gauss-Jacobi quadrature with
    ``order`` nodes (Golub and Welsch 1969), exact for polynomials of degree 2 order - 1.
    """

    # One after another: the grids of many at once would not stay in a processor's cache.
    @jax.custom_batching.sequential_vmap
    def means(
        concentration: Float[Array, "K K"], first: Int[Array, ""], row: Int[Array, ""]
    ) -> StationaryMeans:
        return _means(concentration, first, row, order)

    return means(concentration, first, row)


def _means(
    concentration: Float[Array, "K K"], first: Int[Array, ""], row: Int[Array, ""], order: int
) -> StationaryMeans:
    K = concentration.shape[-1]
    rules = [_row_rule(concentration[j], order) for j in range(K)]
    nodes = [rule[0] for rule in rules]  # (m, K)
    weights = jnp.stack([rule[1] for rule in rules])  # (K, m)
    m = weights.shape[1]
    # Every matrix whose rows are nodes: (m, .., m, K, K).
    grid = [
        jnp.broadcast_to(
            nodes[j].reshape((*(m if i == j else 1 for i in range(K)), K)), (*[m] * K, K)
        )
        for j in range(K)
    ]
    pi = stationary_of(jnp.stack(grid, -2))

    def mean_but(values: Float[Array, "*grid"], j: int) -> Float[Array, " m"]:
        """The mean over all rows but j."""
        values = jnp.moveaxis(values, j, 0)
        for i in reversed([i for i in range(K) if i != j]):
            values = values @ weights[i]
        return values

    start = jnp.stack([mean_but(pi[..., k], 0) @ weights[0] for k in range(K)])
    of_first = pi[..., first]
    by_row = jnp.stack([(mean_but(of_first, j) * weights[j]) @ nodes[j] for j in range(K)])
    return StationaryMeans(start, by_row[row])


def _row_rule(
    concentration: Float[Array, " K"], order: int
) -> tuple[Float[Array, "m K"], Float[Array, " m"]]:
    """Nodes on the simplex and weights, which sum to 1, for means over Dirichlet(concentration)."""
    if len(concentration) == 2:
        return _log_odds_rule(concentration)
    a, b, c = concentration
    (u, wu), (v, wv) = _jacobi_rule(a, b + c, order), _jacobi_rule(b, c, order)
    rest = (1 - u)[:, None]
    parts = jnp.stack(
        [jnp.broadcast_to(u[:, None], (order, order)), rest * v[None], rest * (1 - v)[None]], -1
    )
    return parts.reshape(-1, 3), (wu[:, None] * wv[None]).reshape(-1)


def _log_odds_rule(
    concentration: Float[Array, " 2"],
) -> tuple[Float[Array, "m 2"], Float[Array, " m"]]:
    a, b = concentration
    t = jnp.linspace(-_REACH, _REACH, _NODES, dtype=concentration.dtype)
    scale = jnp.sqrt(1 / a + 1 / b)
    log_odds = jnp.log(a) - jnp.log(b) + scale * jnp.sinh(t)
    log_p, log_rest = jax.nn.log_sigmoid(log_odds), jax.nn.log_sigmoid(-log_odds)
    log_weights = a * log_p + b * log_rest + jnp.log(jnp.cosh(t))
    return jnp.exp(jnp.stack([log_p, log_rest], -1)), jax.nn.softmax(log_weights)


def _jacobi_rule(
    a: Float[Array, ""], b: Float[Array, ""], order: int
) -> tuple[Float[Array, " order"], Float[Array, " order"]]:
    """Nodes in (0, 1) and weights, which sum to 1, for means over Beta(a, b)."""
    k = jnp.arange(1, order, dtype=a.dtype)
    first = a / (a + b)
    s, d = a + b - 2, a - b  # the exponents' sum and difference
    middle = (1 + d * s / ((2 * k + s) * (2 * k + s + 2))) / 2
    beside = k * (k + a - 1) * (k + b - 1) * (k + s) / ((2 * k + s) ** 2 * ((2 * k + s) ** 2 - 1))
    # At k = 1 the general form is 0 / 0 where a + b = 1.
    at_one = a * b / ((a + b) ** 2 * (a + b + 1))
    beside = beside.at[0].set(at_one)
    diagonal = jnp.concatenate([first[None], middle])
    off = jnp.sqrt(beside)
    matrix = jnp.diag(diagonal) + jnp.diag(off, 1) + jnp.diag(off, -1)
    nodes, vectors = eigh(matrix)
    return nodes, vectors[0] ** 2
