"""Expected losses of the exact predictors, without sampling: sums over all counts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.special import digamma, gammaln

from analysis.audit.decomposition import exchangeable, probabilities
from analysis.audit.tree.count_vectors import Counts, all_counts
from autoregressive.scores import kl
from meta_learning.processes import DirichletCategorical


def bayes_losses(process: DirichletCategorical, draws: int) -> Float64[np.ndarray, " {draws}"]:
    """Bayes's expected loss at the first ``draws`` draws of a task, nats, float64 (draws,): the mean
    entropy of the predictive over all histories before each."""
    counts = all_counts(process.num_symbols, draws)
    log_b = exchangeable(process).log_predictive(counts)
    return mean_by_draw(process, counts, -(np.exp(log_b) * log_b).sum(1))


def excess(process: DirichletCategorical, pseudo_count: float) -> float:
    """The expected loss beyond Bayes's of the rule that adds ``pseudo_count`` to every count: the mean
    of KL(Bayes || rule) over the draws of a task, nats."""
    counts = all_counts(process.num_symbols, int(process.T) - 1)
    rule = process.replace({"alpha": (pseudo_count,) * process.num_symbols})
    log_b, log_q = (exchangeable(p).log_predictive(counts) for p in (process, rule))
    return float(mean_by_draw(process, counts, kl(log_b, log_q)).mean())


def mean_by_draw(
    process: DirichletCategorical, counts: Counts, values: Float64[np.ndarray, " cells"]
) -> Float64[np.ndarray, " lengths"]:
    """The mean of a function of counts over the histories of each length, float64 (lengths,).

    counts: all count vectors of 0, 1, .. draws, (cells, K). values: of the function, (cells,).
    """
    return np.bincount(counts.sum(1), probabilities(process, counts) * values)


def oracle_loss(process: DirichletCategorical) -> float:
    """The expected entropy of Categorical(p) under p ~ Dirichlet(alpha), nats a draw:
    psi(A + 1) - sum of alpha_k / A psi(alpha_k + 1), A = sum(alpha) and psi the digamma function."""
    alpha = np.asarray(process.alpha)
    total = alpha.sum()
    return float(digamma(total + 1) - (alpha / total * digamma(alpha + 1)).sum())


def nats_from_uniform(process: DirichletCategorical) -> float:
    """KL(Dirichlet(alpha) || uniform over the simplex), nats: the mean log ratio of its density to that
    of Dirichlet(1, .., 1), with E log p_k = psi(alpha_k) - psi(A)."""
    alpha = np.asarray(process.alpha)
    total = alpha.sum()
    out = gammaln(total) - gammaln(alpha).sum() - gammaln(len(alpha))
    return float(out + ((alpha - 1) * (digamma(alpha) - digamma(total))).sum())
