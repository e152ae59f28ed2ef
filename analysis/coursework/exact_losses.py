"""Expected losses of the exact predictors, without sampling: sums over all counts."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma, gammaln

from analysis.audit.count_vectors import count_vectors
from meta_learning.processes import DirichletCategorical


def bayes_losses(process: DirichletCategorical, draws: int) -> np.ndarray:
    """Bayes's expected loss at the first ``draws`` draws of a task, nats, float64 (draws,).

    At the draw after n others: the mean entropy of the predictive (alpha_k + n_k) / (sum(alpha) + n)
    over counts of Dirichlet-multinomial probability.
    """
    alpha = np.asarray(process.alpha)
    out = np.empty(draws)
    for n in range(draws):
        counts = count_vectors(n, process.num_symbols)
        log_p = math.lgamma(n + 1) - gammaln(counts + 1).sum(1)
        log_p += gammaln(alpha.sum()) - gammaln(alpha.sum() + n)
        log_p += (gammaln(alpha + counts) - gammaln(alpha)).sum(1)
        b = (alpha + counts) / (alpha.sum() + n)
        out[n] = (np.exp(log_p) * -(b * np.log(b)).sum(1)).sum()
    return out


def oracle_loss(process: DirichletCategorical) -> float:
    """The expected entropy of Categorical(p) under p ~ Dirichlet(alpha), nats a draw:
    psi(A + 1) - sum of alpha_k / A psi(alpha_k + 1), A = sum(alpha) and psi the digamma function."""
    alpha = np.asarray(process.alpha)
    total = alpha.sum()
    return float(digamma(total + 1) - (alpha / total * digamma(alpha + 1)).sum())


def nats_from_uniform(process: DirichletCategorical) -> float:
    """KL(Dirichlet(alpha) || uniform over the simplex), nats: the mean of its log density over that of
    Dirichlet(1, .., 1), with E log p_k = psi(alpha_k) - psi(A)."""
    alpha = np.asarray(process.alpha)
    total = alpha.sum()
    out = gammaln(total) - gammaln(alpha).sum() - gammaln(len(alpha))
    return float(out + ((alpha - 1) * (digamma(alpha) - digamma(total))).sum())
