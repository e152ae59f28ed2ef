"""log p(observed pixels past the first missing one | those before it), with an error that is meant.

Independent runs of sequential Monte Carlo give unbiased estimates of Z; their mean on Z's own scale is
one too, its standard error that of a mean, carried to log Z by the delta method, and intervals are
Student's t over the runs. Two things make such an interval too narrow, and both are kept out:

- Runs that scatter widely: Z^ is close to lognormal, and at a standard deviation of log Z^ of 0.4 to
  0.9 the mean of 16 to 64 runs is so skewed that 95% intervals hold Z in 90% to 94%. So more
  particles come before more runs: a run of S particles has a variance of about c / S.
- A stop at the moment the error is small enough keeps runs whose scatter happens to look small. So
  runs that decide how many particles and runs are needed are not among those that answer: the answer
  comes from fresh runs, their number fixed before they begin, and enough of them (``_MARGIN``) that
  their own error seldom misses the target. Where it does, they are a trial in their turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import count
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64, Int8, Key

from autoregressive.pixels.lookahead import Lookahead
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.particles import MOST_PARTICLES, Particles, kept_of, run
from autoregressive.pixels.pilots import slots_for

# Independent runs of a set: enough for Student's t. An answer is of one to four sets.
RUNS = 16
_MOST_SETS = 4
# Completions drawn from a run.
DRAWS = 64
# Particles of a run, in those it begins with.
_GROWTH = (1, 2, 4, 8, 16)
# The most that a set of runs is trusted to plan ahead, in its own particles.
_STEP = 4
# The largest standard deviation of log Z^ between runs that is planned for.
_WIDE = 0.3
# Runs are planned for an error this much below the target: a set of 16 knows its scatter to about 18%.
_MARGIN = 1.2
# Particles that advance together.
_ROWS_CPU, _ROWS_GPU = 2**11, 2**17


@dataclass(frozen=True)
class Evidence:
    """log_estimates: log Z^ of every run. particles: of each run. shares: of ones among each run's
    particles, by weight. drawn: completions from each, by weight. best: the most probable completion
    met, log_prob_best its log p(pixels from f on | before f). trial: the runs that decided how many
    these are."""

    log_estimates: Float64[np.ndarray, " runs"]
    particles: int
    shares: Float64[np.ndarray, "runs m"]
    drawn: Int8[np.ndarray, "runs d m"]
    best: Int8[np.ndarray, " m"]
    log_prob_best: float
    trial: Evidence | None = None

    @property
    def mean(self) -> float:
        """log Z."""
        return log_mean(self.log_estimates)[0]

    @property
    def standard_error(self) -> float:
        """Of ``mean``, nats."""
        return log_mean(self.log_estimates)[1]

    @property
    def ci95(self) -> tuple[float, float]:
        """By Student's t over the runs."""
        from scipy.stats import t

        mean, error = log_mean(self.log_estimates)
        half = float(t.ppf(0.975, len(self.log_estimates) - 1)) * error
        return mean - half, mean + half

    @property
    def spread(self) -> float:
        """Standard deviation of log Z^ between runs, nats."""
        return float(self.log_estimates.std(ddof=1))

    @property
    def weights(self) -> Float64[np.ndarray, " runs"]:
        """Of the runs, in proportion to Z^; their sum is 1."""
        values = np.exp(self.log_estimates - self.log_estimates.max())
        return values / values.sum()

    @property
    def effective_runs(self) -> float:
        """So many runs of equal weight are worth as much."""
        return float(1 / (self.weights**2).sum())

    @property
    def bare(self) -> Evidence:
        """The estimates of log Z alone, of which many images can be kept."""
        shares, drawn, best = self.shares[:, :0].copy(), self.drawn[:, :0, :0].copy(), self.best[:0]
        return Evidence(self.log_estimates, self.particles, shares, drawn, best, self.log_prob_best)

    def with_best_of(self, other: Evidence) -> Evidence:
        """This, with the other's best completion where that is more probable."""
        if other.log_prob_best <= self.log_prob_best:
            return self
        return replace(self, best=other.best, log_prob_best=other.log_prob_best)


def log_mean(logs: Float64[np.ndarray, " n"]) -> tuple[float, float]:
    """The log of the mean of exp(logs), two or more, and its standard error by the delta method."""
    top = logs.max()
    values = np.exp(logs - top)
    mean = values.mean()
    return float(np.log(mean) + top), float(values.std(ddof=1) / len(logs) ** 0.5 / mean)


def estimate_evidence(
    network: PixelNetwork,
    image: Int8[np.ndarray, "1 P"],
    key: Key[jax.Array, ""],
    lookahead: Lookahead | None,
    *,
    particles: int = 128,
    target: float = 0.05,
) -> Evidence:
    """log Z of one image to the standard error ``target`` in nats, or as near as 16 times
    ``particles`` and four sets of runs come. To be called inside ``float64``."""
    sizes = sorted({min(particles * growth, MOST_PARTICLES) for growth in _GROWTH})
    numbers = count()

    def fresh(size: int) -> Evidence:
        return set_of_runs(network, image, jax.random.fold_in(key, next(numbers)), lookahead, size)

    return settle(fresh, sizes, target)


def settle(fresh: Callable[[int], Evidence], sizes: Sequence[int], target: float) -> Evidence:
    """The answer to the error ``target``: of runs that are all alike, none of them seen before their
    number was fixed. fresh: gives a new set of runs of so many particles, one of ``sizes``.

    A run far from the rest makes a set ask for far more particles than are needed: where it asks for
    more than ``_STEP`` times its own, a set of so many is tried first.
    """
    trial = fresh(sizes[0])
    while True:
        # With fewer particles than showed the scatter, runs may agree because all miss the same.
        size, number = plan(trial, [size for size in sizes if size >= trial.particles], target)
        if size > _STEP * trial.particles:
            nearer = max(some for some in sizes if some <= _STEP * trial.particles)
            if nearer > trial.particles:
                trial = fresh(nearer).with_best_of(trial)
                continue
        found = reduce(together, (fresh(size) for _ in range(number))).with_best_of(trial)
        if found.standard_error <= target or (size, number) == (sizes[-1], _MOST_SETS):
            return replace(found, trial=replace(trial, trial=None))
        trial = found


def plan(trial: Evidence, sizes: Sequence[int], target: float) -> tuple[int, int]:
    """Particles, one of ``sizes``, and sets of runs to the error ``target``, from what runs showed.

    An answer that missed its target asks for more particles in all than it had.
    """
    runs = len(trial.log_estimates)
    constant = trial.particles * max(trial.spread**2, runs * trial.standard_error**2)
    wanted = (_MARGIN / target) ** 2 * constant / RUNS
    for size in sizes:
        number = max(1, ceil(wanted / size))
        if number <= _MOST_SETS and constant <= _WIDE**2 * size:
            return size, number
    return sizes[-1], min(number, _MOST_SETS)


def conditional_estimates(
    network: PixelNetwork,
    image: Int8[np.ndarray, "1 P"],
    held: Int8[np.ndarray, " m"],
    key: Key[jax.Array, ""],
    lookahead: Lookahead | None,
    particles: int,
) -> Float64[np.ndarray, " runs"]:
    """log Z^ of conditional runs that hold a completion, a draw from the posterior: an upper bound of
    log Z in expectation. To be called inside ``float64``."""
    slots = slots_for(len(held))
    kept = np.zeros((1, RUNS, slots), np.int8)
    kept[..., : len(held)] = held
    parts = list(_parts(network, image, key, lookahead, particles, kept))
    return np.concatenate([part.log_evidence[0] for part in parts])


def set_of_runs(
    network: PixelNetwork,
    image: Int8[np.ndarray, "1 P"],
    key: Key[jax.Array, ""],
    lookahead: Lookahead | None,
    particles: int,
) -> Evidence:
    """A set of ``RUNS`` free runs, as many at once as fit. To be called inside ``float64``."""
    m = int((image < 0).sum())
    parts = list(_parts(network, image, key, lookahead, particles, None))
    winner = max(parts, key=lambda part: float(part.log_prob_best[0]))
    return Evidence(
        np.concatenate([part.log_evidence[0] for part in parts]),
        particles,
        np.concatenate([np.asarray(part.marginals)[0, :, :m] for part in parts]),
        np.concatenate([np.asarray(part.drawn)[0, :, :, :m] for part in parts]),
        np.asarray(winner.best)[0, :m],
        float(winner.log_prob_best[0]),
    )


def _parts(
    network: PixelNetwork,
    image: Int8[np.ndarray, "1 P"],
    key: Key[jax.Array, ""],
    lookahead: Lookahead | None,
    particles: int,
    held: Int8[np.ndarray, "1 runs M"] | None,
) -> Iterator[Particles]:
    rows = _ROWS_CPU if jax.default_backend() == "cpu" else _ROWS_GPU
    at_once = next((n for n in (RUNS, RUNS // 4) if n * particles <= rows), 1)
    keys = jax.random.split(key, (1, RUNS))
    for start in range(0, RUNS, at_once):
        some = slice(start, start + at_once)
        yield run(
            network.model,
            network.params,
            jnp.float64(network.first_pixel),
            jnp.asarray(image),
            keys[:, some],
            None if held is None else jnp.asarray(held[:, some]),
            lookahead,
            particles=particles,
            kept=kept_of(image, particles),
            slots=slots_for(int((image < 0).sum())),
            draws=DRAWS,
        )


def together(one: Evidence, other: Evidence) -> Evidence:
    """The runs of both, of as many particles each."""
    return Evidence(
        np.concatenate([one.log_estimates, other.log_estimates]),
        one.particles,
        np.concatenate([one.shares, other.shares]),
        np.concatenate([one.drawn, other.drawn]),
        one.best,
        one.log_prob_best,
    ).with_best_of(other)
