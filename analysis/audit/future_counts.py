"""Counts of a future against their exact distribution, DirichletMultinomial(alpha + n, N).

After a history with counts n the next N draws have counts c with probability
DirichletMultinomial(c; alpha + n, N), by NumPyro's density. Summed over histories the numbers of futures
with each c (the cells) have a known mean and covariance. With d their deviation from the mean,
X^2 = d' inv(covariance) d is chi-square with (cells - 1) degrees of freedom where the predictor is
exact; otherwise it is non-central, and the non-centrality measures the distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64, Int64, Integer

from analysis.audit.tree.count_vectors import Counts, count_vectors
from analysis.intervals import Estimate
from autoregressive.precision import float64

# More different counts of a future are not listed one by one.
MOST_CELLS = 1_500
# Cells that expect fewer futures are merged.
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class CountsDistance:
    """How far counts of rolled futures are from their exact distribution.

    p_value: of the chi-square test that they follow it. distance: half the chi-square divergence from
    the exact one, nats a future, with a 95% interval from the non-central chi-square. Near 0 it is the
    KL divergence to second order; over several histories a lower bound of its mean. cells: how many
    there are after merging.
    """

    p_value: float
    distance: Estimate
    cells: int


@dataclass(frozen=True)
class CountsDistribution:
    """The exact distribution of the counts c of the draws that follow some histories.

    cells: all c, int (cells, K). p: their probabilities after each different history, (histories,
    cells). members: how many histories are that one, (histories,).
    """

    cells: Counts
    p: Float64[np.ndarray, "histories cells"]
    members: Int64[np.ndarray, " histories"]

    def distance(
        self, predicted: Integer[np.ndarray, "tasks rolls symbols"]
    ) -> CountsDistance | None:
        """The distance of predicted counts, int (tasks, rolls, K), from it; None where there is only one
        cell."""
        tasks, rolls, K = predicted.shape
        seen = np.bincount(_rows(predicted.reshape(-1, K), self.cells), minlength=len(self.cells))
        merged = _merge(rolls * self.members @ self.p)
        p, seen = self.p @ merged, seen @ merged
        if p.shape[1] < 2:
            return None
        # Of independent futures: R sum_h (diag p_h - p_h p_h'). The last cell is left out: it is what
        # the others leave, and the matrix would be singular.
        p = p[:, :-1]
        covariance = rolls * (np.diag(self.members @ p) - (p * self.members[:, None]).T @ p)
        excess = seen[:-1] - rolls * self.members @ p
        statistic = float(excess @ np.linalg.solve(covariance, excess))
        return _judge(statistic, p.shape[1], tasks * rolls)


def counts_distribution(
    alpha: tuple[float, ...], before: Integer[np.ndarray, "tasks symbols"], draws: int
) -> CountsDistribution | None:
    """DirichletMultinomial(alpha + before, draws) for counts ``before``, int (tasks, K), of histories.
    None where a future has more than 1,500 different counts."""
    K = len(alpha)
    if math.comb(draws + K - 1, K - 1) > MOST_CELLS:
        return None
    cells = count_vectors(K, draws)
    histories, members = np.unique(before, axis=0, return_counts=True)
    p = np.exp(log_probabilities(np.asarray(alpha, np.float64) + histories, cells))
    return CountsDistribution(cells, p, members)


def log_probabilities(
    concentration: Float64[np.ndarray, "histories symbols"], cells: Counts
) -> Float64[np.ndarray, "histories cells"]:
    """NumPyro's log DirichletMultinomial: concentration (histories, K), counts (cells, K) of one
    total -> nats, float64 (histories, cells)."""
    with float64():
        return np.asarray(_log_probabilities(concentration, int(cells[0].sum()), cells))


@partial(jax.jit, static_argnums=1)
def _log_probabilities(
    concentration: Float[Array, "histories symbols"],
    draws: int,
    cells: Integer[Array, "cells symbols"],
) -> Float[Array, "histories cells"]:
    return dist.DirichletMultinomial(concentration[:, None, :], draws).log_prob(cells[None])


def _rows(
    counts: Integer[np.ndarray, "futures symbols"], cells: Counts
) -> Int64[np.ndarray, " futures"]:
    """Where each count vector stands in the table of all of them."""
    base = int(cells.max(initial=0)) + 1
    # C(N+K-1, K-1) is small, so this fits in int64.
    digits = base ** np.arange(cells.shape[1])[::-1]
    codes = cells @ digits
    order = np.argsort(codes)
    return order[np.searchsorted(codes, counts @ digits, sorter=order)]


def _merge(
    expected: Float64[np.ndarray, " cells"],
) -> Float64[np.ndarray, "cells merged"]:
    """Which cells are merged because they expect few futures: a 0/1 matrix (cells, merged cells)."""
    order = np.argsort(expected)
    group, total, of_cell = 0, 0.0, np.empty(len(expected), int)
    for cell in order:
        of_cell[cell] = group
        total += expected[cell]
        if total >= _LEAST_EXPECTED:
            group, total = group + 1, 0.0
    # What is left over joins the last full group.
    of_cell = np.minimum(of_cell, max(group - 1, 0))
    return np.eye(of_cell.max() + 1)[of_cell]


def _judge(statistic: float, degrees: int, futures: int) -> CountsDistance:
    """The p-value of X^2, and the distance: its non-centrality over twice the number of futures."""
    from scipy.stats import chi2

    centre = max(statistic - degrees, 0.0)
    low, high = _noncentral_interval(statistic, degrees)
    scale = 2 * futures
    return CountsDistance(
        float(chi2.sf(statistic, degrees)),
        Estimate(centre / scale, low / scale, high / scale),
        degrees + 1,
    )


def _noncentral_interval(statistic: float, degrees: int) -> tuple[float, float]:
    """95% interval of the non-centrality of a chi-square, from one draw of it."""
    from scipy.optimize import brentq
    from scipy.stats import ncx2, norm

    if statistic > 1e4 + 10 * degrees:  # then it is normal, with variance 2 (degrees + 2 centre)
        half = float(norm.ppf(0.975)) * math.sqrt(2 * (2 * statistic - degrees))
        return statistic - degrees - half, statistic - degrees + half

    def end(level: float) -> float:
        def miss(centre: float) -> float:
            return float(ncx2.cdf(statistic, degrees, centre)) - level

        return brentq(miss, 1e-12, 4 * statistic + 100.0) if miss(1e-12) > 0 else 0.0

    return end(0.975), end(0.025)
