"""The reference ladder: predictors whose answer is known exactly.

Each is a function of (prior, source, streams) that returns log p(x_t | x_<t), float64 nats
(batch, length, K+1): ``prior`` is the process that the predictor believes in, ``source`` the process
that made the streams. All know T. Networks return the same type, so a comparison cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from meta_learning.process import (
    DirichletCategorical,
    Process,
    Streams,
    with_reset,
)

Reference = Callable[[DirichletCategorical, Process, Streams], np.ndarray]


def oracle(prior: DirichletCategorical, source: Process, streams: Streams) -> np.ndarray:
    """Knows the latent p of every task."""
    return source.log_predictive_given_latent(streams)


def bayes(prior: DirichletCategorical, source: Process, streams: Streams) -> np.ndarray:
    """The posterior predictive (alpha_k + n_k) / (sum(alpha) + sum(n)) of the prior."""
    return prior.log_predictive(streams.symbols)


def bayes_wrong_alpha(prior: DirichletCategorical, source: Process, streams: Streams) -> np.ndarray:
    """Bayes under another prior: 1.3 everywhere, or (10, 1, .., 1) where alpha is that already."""
    return DirichletCategorical(wrong_alpha(prior.alpha), prior.T).log_predictive(streams.symbols)


def laplace(prior: DirichletCategorical, source: Process, streams: Streams) -> np.ndarray:
    """Laplace's rule of succession: Bayes with alpha = 1."""
    return _constant_alpha(1.0, prior).log_predictive(streams.symbols)


def kt(prior: DirichletCategorical, source: Process, streams: Streams) -> np.ndarray:
    """Krichevsky and Trofimov (1981): Bayes with alpha = 1/2."""
    return _constant_alpha(0.5, prior).log_predictive(streams.symbols)


def memoryless(prior: DirichletCategorical, source: Process, streams: Streams) -> np.ndarray:
    """Always the prior mean alpha / sum(alpha): what is known before the first symbol."""
    log_p = np.log(prior.alpha) - np.log(math.fsum(prior.alpha))
    shape = (*np.shape(streams.symbols), prior.num_symbols)
    return with_reset(np.broadcast_to(log_p, shape), prior.T)


def wrong_alpha(alpha: tuple[float, ...]) -> tuple[float, ...]:
    """The prior of ``bayes_wrong_alpha``, which is never ``alpha`` itself."""
    flat = (1.3,) * len(alpha)
    return (10.0, *(1.0,) * (len(alpha) - 1)) if alpha == flat else flat


def _constant_alpha(value: float, prior: DirichletCategorical) -> DirichletCategorical:
    return DirichletCategorical((value,) * prior.num_symbols, prior.T)


REFERENCES: dict[str, Reference] = {
    "oracle": oracle,
    "bayes": bayes,
    "bayes_wrong_alpha": bayes_wrong_alpha,
    "laplace": laplace,
    "kt": kt,
    "memoryless": memoryless,
}
