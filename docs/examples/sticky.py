"""A process: tasks whose symbols repeat with a probability of their own.

    meta-learn --load sticky.py compare --process sticky --param stay=8,2 --param symbols=3 --T 20

In each task s ~ Beta(a, b). The first symbol is uniform over the K symbols; every later one repeats the
one before with probability s, and else is one of the others, each equally probable. With r repeats and
m moves seen in the task, s ~ Beta(a + r, b + m), so the next symbol repeats with probability
(a + r) / (a + b + r + m).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from meta_learning.processes import PROCESSES, Process, with_reset
from meta_learning.processes.base import checked, counts_so_far, draws_in_task
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_alpha,
    check_task_length,
    read_number,
    read_numbers,
)


@dataclass(frozen=True)
class Sticky(Process):
    """stay: a, b. symbols: K >= 2. T counts the RESET. Latent: s of each task (batch, tasks)."""

    stay: tuple[float, ...]
    symbols: int
    T: float

    name = "sticky"
    parameters: ClassVar = {
        "stay": Parameter(read_numbers, "a and b of the prior of repeating", "8,2"),
        "symbols": Parameter(read_number, "how many symbols", "3"),
        "T": TASK_LENGTH,
    }
    latent_name = "each task's probability of repeating"

    def __init__(self, stay=(8.0, 2.0), symbols=3, T=20):
        if len(stay) != 2:
            raise ValueError(f"stay needs a and b, two numbers; got {len(stay)}")
        if not 2 <= symbols <= 1000 or symbols != int(symbols):
            raise ValueError(f"symbols must be a whole number from 2 to 1000; got {symbols:g}")
        object.__setattr__(self, "stay", check_alpha(stay))
        object.__setattr__(self, "symbols", int(symbols))
        object.__setattr__(self, "T", check_task_length(T))

    @property
    def num_symbols(self):
        return self.symbols

    @property
    def task_length(self):
        return self.T

    @property
    def title(self):
        return f"sticky symbols, s from Beta({self.stay[0]:g}, {self.stay[1]:g}), T={self.T:g}"

    def model(self, symbols=None, *, streams=1, tasks=1, draws=None):
        n, K = draws_in_task(self.T, draws), self.symbols
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            s = numpyro.sample("s", dist.Beta(*self.stay))
            if n == 0:
                return None
            # Given s, the steps from symbol to symbol (0 repeats) are independent.
            first = (jnp.arange(n) == 0)[:, None, None, None]
            step = jnp.concatenate(
                [s[..., None], jnp.repeat((1 - s[..., None]) / (K - 1), K - 1, axis=-1)], axis=-1
            )
            steps = None if symbols is None else jnp.diff(symbols, axis=0, prepend=0) % K
            with numpyro.plate("draw", n, dim=-3):
                law = dist.Categorical(jnp.where(first, 1 / K, step))
                steps = numpyro.sample("step", law, obs=steps)
            return numpyro.deterministic("x", jnp.cumsum(steps, axis=0) % K)

    def latent_of(self, sites):
        return sites["s"]["value"]

    def log_first(self):
        return np.full(self.symbols, -math.log(self.symbols))

    def log_predictive(self, symbols):
        symbols = checked(symbols, self.symbols, self.T)
        before = self._before(symbols)
        repeated = symbols == before
        moved = ~repeated & (before != self.symbols)
        r, m = np.moveaxis(counts_so_far([repeated, moved], self.T), -1, 0)
        a, b = self.stay
        return self._rows(before, (a + r) / (a + b + r + m))

    def log_predictive_given_latent(self, streams):
        symbols = np.asarray(streams.symbols)
        span = symbols.shape[-1] if math.isinf(self.T) else int(self.T)
        s = np.repeat(np.asarray(streams.latent, np.float64), span, axis=-1)
        return self._rows(self._before(symbols), s[..., : symbols.shape[-1]])

    def ladder(self):
        """What learning s is worth: a predictor that keeps to the prior's mean of it."""
        a, b = self.stay
        return {
            "stay_fixed": lambda symbols: self._rows(
                self._before(np.asarray(symbols)), np.full(np.shape(symbols), a / (a + b))
            )
        }

    def _before(self, symbols):
        """The symbol before each place, RESET = K before a stream's first."""
        start = np.full((*symbols.shape[:-1], 1), self.symbols, symbols.dtype)
        return np.concatenate([start, symbols[..., :-1]], axis=-1)

    def _rows(self, before, stay):
        """Rows where the next symbol repeats with probability ``stay`` (..., L)."""
        K = self.symbols
        repeats = before[..., None] == np.arange(K)
        with np.errstate(divide="ignore"):
            log_p = np.log(np.where(repeats, stay[..., None], (1 - stay[..., None]) / (K - 1)))
        log_p = np.where((before == K)[..., None], self.log_first(), log_p)
        return with_reset(log_p, self.T)

    @classmethod
    def examples(cls):
        return cls((2, 1.5), 3, 5), cls((0.5, 3), 2, math.inf)


PROCESSES[Sticky.name] = Sticky

if __name__ == "__main__":
    from analysis.cli import main

    main()
