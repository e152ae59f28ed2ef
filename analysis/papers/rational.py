"""The posterior of Wurgaft et al. (2025) over remembering a pool and learning its prior.

Log-odds of the remembering predictor after n iterations on a pool of D tasks of K symbols:

    eta = gamma n^(1 - alpha) (L_G - L_M) - log 2 (C_M^beta - C_G^beta)

with L the predictors' losses, nats a symbol, C their complexities in bits, and three numbers that are
fitted to networks. A network is then predicted by sigmoid(eta) p_M + (1 - sigmoid(eta)) p_G.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float64

from analysis.papers.two_predictors import WEIGHTS

# Bits of a probability that a predictor holds.
_BITS = 32
# The first stage that counts: all pools' networks are by then within this part of the way from
# their largest to their least distance from the nearest mixture, as in the authors' code.
_SETTLED = 0.2
# alpha, log beta, log gamma from which fits start.
_STARTS = tuple(product((0.2, 0.5, 0.8), (-2.5, -1.8, -1.2), (-1.0, 1.0, 3.0, 5.0)))
# How many of them are followed, the best first.
_TRIES = 6

Grid = Float64[np.ndarray, "pools stages"]


@dataclass(frozen=True)
class Posterior:
    """A fit. alpha, beta, gamma: of the formula. first: the first stage that counted. weights:
    sigmoid(eta) of every pool after every stage. loss: the mean of KL(network || predicted), nats."""

    alpha: float
    beta: float
    gamma: float
    first: int
    weights: Grid
    loss: float

    def correlation(self, relative: Grid) -> float:
        """Pearson's, of the weights and relative distances, over the stages that counted; 0 where
        one of them does not vary."""
        x, y = (values[:, self.first :].ravel() for values in (self.weights, relative))
        if np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
            return 0.0
        return float(np.corrcoef(x, y)[0, 1])

    def document(self) -> dict[str, Any]:
        """Plain JSON values."""
        numbers = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma, "loss": self.loss}
        return {**numbers, "first": self.first, "weights": np.round(self.weights, 5).tolist()}


def fit_posterior(
    tasks: Sequence[int],
    stages: Sequence[int],
    symbols: int,
    apart: Sequence[float],
    losses: Float64[np.ndarray, "pools stages weights"],
) -> Posterior:
    """The three numbers for which the mean of KL(network || predicted) is least.

    tasks: of every pool. stages: iterations. apart: L_G - L_M of every pool, nats a symbol. losses:
    ``mixture_losses`` of every network.
    """
    from scipy.optimize import minimize

    first = first_settled(losses.min(-1))
    n = np.array(stages, np.float64)

    def log_odds(numbers: Sequence[float]) -> Grid:
        alpha, log_beta, log_gamma = numbers
        beta = np.exp(log_beta)
        remembered, learnt = _BITS * symbols * np.array(tasks, np.float64), _BITS * symbols
        evidence = np.exp(log_gamma) * np.array(apart)[:, None] * n ** (1 - alpha)
        found: Grid = evidence - np.log(2) * (remembered**beta - learnt**beta)[:, None]
        return found

    def loss(numbers: Sequence[float]) -> float:
        if not 0 <= numbers[0] < 1:
            return np.inf
        return float(_at(losses[:, first:], _sigmoid(log_odds(numbers)[:, first:])).mean())

    starts = sorted(_STARTS, key=loss)[:_TRIES]
    options = {"xatol": 1e-4, "fatol": 1e-8, "maxiter": 2_000}
    fits = [minimize(loss, start, method="Nelder-Mead", options=options) for start in starts]
    found = min(fits, key=lambda fit: fit.fun)
    alpha, log_beta, log_gamma = (float(number) for number in found.x)
    return Posterior(
        alpha,
        float(np.exp(log_beta)),
        float(np.exp(log_gamma)),
        first,
        _sigmoid(log_odds(found.x)),
        float(found.fun),
    )


def first_settled(left: Grid) -> int:
    """The first stage from which every pool's network was near its mixtures once."""
    low, high = left.min(1, keepdims=True), left.max(1, keepdims=True)
    return int(np.argmax(left <= low + _SETTLED * (high - low), axis=1).max())


def _at(losses: Float64[np.ndarray, "pools stages weights"], weights: Grid) -> Grid:
    """Losses at weights, linear between those that are known."""
    place = weights * (len(WEIGHTS) - 1)
    low = np.minimum(place.astype(int), len(WEIGHTS) - 2)[..., None]
    below, above = (np.take_along_axis(losses, low + step, -1)[..., 0] for step in (0, 1))
    part = place - low[..., 0]
    found: Grid = (1 - part) * below + part * above
    return found


def _sigmoid(x: Grid) -> Grid:
    found: Grid = (1 + np.tanh(x / 2)) / 2
    return found
