"""Which Dirichlet prior does a network behave like? The alpha whose Bayes predicts most as it does."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Float64, Integer

from analysis.intervals import Estimate, student_log
from autoregressive.precision import float64
from meta_learning.processes import drawn_places, task_counts
from meta_learning.processes.succession import log_succession


def effective_alpha(
    log_q: Float[np.ndarray, "streams length {num_symbols+1}"],
    symbols: Integer[np.ndarray, "streams length"],
    num_symbols: int,
    task_length: float,
) -> Float64[np.ndarray, " {num_symbols}"]:
    """The alpha (K,) that minimises the mean of KL(network's symbols || Bayes(alpha)) at drawn places.

    log_q: the network's rows, nats (streams, L, K+1), which are renormalised over the K symbols.
    symbols: int (streams, L); their tasks need two draws or more, as one draw tells only
    alpha / sum(alpha). Histories weigh as often as they occur in the streams.
    Errors: ValueError without a second draw; RuntimeError where no minimum is found.
    """
    from scipy.optimize import minimize

    drawn = drawn_places(symbols.shape[-1], task_length)
    counts = task_counts(symbols, num_symbols, task_length)[:, drawn].reshape(-1, num_symbols)
    if not counts.any():
        raise ValueError("an effective alpha needs tasks of two draws or more")
    rows = log_q[:, drawn, :num_symbols].reshape(-1, num_symbols)
    q = np.exp(rows - np.logaddexp.reduce(rows, axis=-1, keepdims=True))
    different, where = np.unique(counts, axis=0, return_inverse=True)
    weights = np.zeros((len(different), num_symbols))
    np.add.at(weights, where.ravel(), q / len(q))

    def loss(
        log_alpha: Float64[np.ndarray, " symbols"],
    ) -> tuple[float, Float64[np.ndarray, " symbols"]]:
        with float64():
            value, slope = _loss(log_alpha, different, weights)
            return float(value), np.asarray(slope)

    fitted = minimize(
        loss,
        np.zeros(num_symbols),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-7, 9)] * num_symbols,
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2_000},
    )
    if not np.isfinite(fitted.fun):
        raise RuntimeError(f"no effective alpha was found: {fitted.message}")
    return np.exp(fitted.x)


@jax.jit
@jax.value_and_grad
def _loss(
    log_alpha: Float[Array, " symbols"],
    counts: Integer[Array, "cells symbols"],
    weights: Float[Array, "cells symbols"],
) -> Float[Array, ""]:
    """The cross-entropy of Bayes(alpha) under the network, nats, and its gradient in log alpha (K,).
    counts: (cells, K). weights: the network's probabilities after them, (cells, K)."""
    return -(weights * log_succession(jnp.exp(log_alpha), counts)).sum()


def over_seeds(alphas: Sequence[Float64[np.ndarray, " symbols"]]) -> list[Estimate]:
    """The mean of each entry over seeds, with a t interval on the logarithm where there are several."""
    columns = np.stack(alphas).T
    if columns.shape[1] > 1:
        return [student_log(column) for column in columns]
    return [Estimate(float(column[0]), None, None) for column in columns]
