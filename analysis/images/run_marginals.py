"""Marginals from independent runs of sequential Monte Carlo, each weighted by its estimate of Z.

The runs that answer log p(observed) have weighed hundreds of completions each. With Z^_r the estimate
of run r and q_r the weighted share of ones among its particles, sum_r Z^_r q_r / sum_r Z^_r tends to
p(x_k = 1 | observed), since Z^_r times what a run's particles weigh is unbiased for what the posterior
weighs (Andrieu, Doucet and Holenstein 2010). Its standard error is that of a ratio between independent
runs. For ArviZ the runs are dealt to four chains, in each of which completions are drawn from the runs
in proportion to Z^.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int8

from analysis.images.chains import CHAINS, EVEN, LEAST_ESS, Chains, ranks
from autoregressive.pixels.evidence import RUNS, Evidence, together

# With fewer effective runs than this the few that weigh most would decide.
LEAST_RUNS = 8
# Completions of a chain, at most.
_DRAWS = 512
# Effective draws grow with the runs. Where they would have to grow so many times faster, they are not
# waited for.
_HOPE = 1.5
# Of a standard normal, two-sided 95%.
_Z = 1.959964


def grow(answer: Evidence, fresh: Callable[[int], Evidence], most: int) -> Chains:
    """Marginals from the runs of ``answer``, with its trial where that is of as many particles. While
    some have not converged that can, a third more runs follow, or a set.

    fresh: gives set number n of ``RUNS`` more runs like those. most: sets to be asked for at most.
    """
    every, sets = answer, 0
    if answer.trial is not None and answer.trial.particles == answer.particles:
        every = together(answer, answer.trial)
    while True:
        many = len(every.log_estimates)
        ess = _Pooled.of(every).ess
        hopeless = ess * (1 + (most - sets) * RUNS / many) * _HOPE < LEAST_ESS
        # ArviZ takes longer to say that errors are too large than they do.
        if sets == most or ((ess >= LEAST_ESS) | hopeless).all():
            found = from_runs(every)
            if sets == most or (found.converged | hopeless).all():
                return found
        more = min(max(1, many // (3 * RUNS)), most - sets)
        for number in range(sets, sets + more):
            every = together(every, fresh(number))
        sets += more


def from_runs(runs: Evidence) -> Chains:
    """Marginals of one image with their diagnostics.

    Errors are widened by Student's t of few runs over the normal's quantile, so that 1.96 of them are
    a 95% interval. ess: the bulk effective sample size of ArviZ, and p (1 - p) over the squared error
    where that is less; p is kept off 0 and 1 as for the least errors (``chains.diagnose``).
    """
    pooled, drawn = _Pooled.of(runs), deal(runs)
    bulk, rhat = ranks(drawn.astype(float))
    return Chains(
        pooled.marginals,
        pooled.errors,
        np.minimum(bulk, pooled.ess),
        rhat,
        drawn,
        runs.best,
        runs.log_prob_best,
        runs=len(runs.log_estimates),
    )


class _Pooled(NamedTuple):
    """As ``Chains``, without ArviZ."""

    marginals: Float64[np.ndarray, " m"]
    errors: Float64[np.ndarray, " m"]
    ess: Float64[np.ndarray, " m"]

    @classmethod
    def of(cls, runs: Evidence) -> _Pooled:
        p, error = pool(runs)
        n = _worth(p, error, len(runs.log_estimates) * runs.particles)
        inner = (n * p + 1) / (n + 2)
        variance = inner * (1 - inner)
        with np.errstate(divide="ignore"):
            ess = variance / error**2
        return cls(p, np.maximum(error, np.sqrt(variance / n)), ess)


def _worth(p: Float64[np.ndarray, " m"], error: Float64[np.ndarray, " m"], most: int) -> float:
    """Independent draws that the runs are worth: the median of p (1 - p) / error^2 over the image's even
    pixels, or all where none is; ``most`` where no run differs from another."""
    moves = error > 0
    some = moves & (np.abs(p - 0.5) <= EVEN)
    some = some if some.any() else moves
    if not some.any():
        return float(most)
    return float(np.clip(np.median((p * (1 - p))[some] / error[some] ** 2), 1, most))


def pool(runs: Evidence) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " m"]]:
    """The mean of shares by the runs' weights, and its error by the delta method."""
    from scipy.stats import t

    weights, many = runs.weights[:, None], len(runs.log_estimates)
    mean = np.clip((weights * runs.shares).sum(0), 0.0, 1.0)
    squares = (weights**2 * (runs.shares - mean[None]) ** 2).sum(0)
    return mean, np.sqrt(many / (many - 1) * squares) * float(t.ppf(0.975, many - 1)) / _Z


def deal(runs: Evidence) -> Int8[np.ndarray, "C K m"]:
    """Every fourth run to each of four chains of completions, a run's side by side, as many of each as
    its weight in its chain says, shuffled: particles of one descent stand in a row."""
    rng = np.random.default_rng(0)
    many, each = runs.drawn.shape[:2]
    length = min(_DRAWS, many * each // CHAINS)
    chains = []
    for first in range(CHAINS):
        weights = runs.weights[first::CHAINS]
        upto = np.floor(np.cumsum(weights) / weights.sum() * length + 0.5).astype(int)
        counts = np.diff(upto, prepend=0)
        chains.append(
            np.concatenate(
                [
                    one[((rng.permutation(count) + 0.5) * each / max(count, 1)).astype(int)]
                    for one, count in zip(runs.drawn[first::CHAINS], counts, strict=True)
                ]
            )
        )
    return np.stack(chains)
