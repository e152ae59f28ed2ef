"""A process: tasks whose symbols repeat with a probability of their own, s ~ Beta(a, b).
    meta-learn --load sticky.py compare --process sticky --param stay=8,2 --param symbols=3 --T 20

The first symbol is uniform. After r repeats and m moves s ~ Beta(a + r, b + m).
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax.numpy as jnp
import numpyro

import meta_learning.processes as mp


@dataclass(frozen=True)
class Sticky(mp.Process):
    """stay: a, b. symbols: K >= 2. T counts the RESET. Latent: s of each task (batch, tasks)."""

    stay: tuple[float, ...] = (8.0, 2.0)
    symbols: int = 3
    T: float = 20
    name = "sticky"
    latent_name = "each task's probability of repeating"
    parameters: ClassVar = {
        "stay": mp.Parameter(mp.read_numbers, "a, b", "8,2", partial(mp.check_alpha, size=2)),
        "symbols": mp.Parameter(mp.read_number, "how many", "3", mp.check_symbol_number),
        "T": mp.TASK_LENGTH,
    }
    num_symbols = property(lambda self: self.symbols)

    def latent(self):
        return numpyro.sample("s", numpyro.distributions.Beta(*self.stay))

    def initial_belief(self, draws=0):
        return jnp.array(self.stay), jnp.int32(self.symbols)  # of s; the last symbol: none yet

    def update(self, belief, symbol):
        of_s, last = belief
        return of_s + (last < self.symbols) * jnp.array([symbol == last, symbol != last]), symbol

    def log_predictive_of(self, belief):
        return self.log_predictive_given(belief[0][0] / belief[0].sum(), belief, None)

    def log_predictive_given(self, latent, belief, place):
        K, last = self.symbols, belief[1]
        repeat = jnp.where(last == K, 1 / K, latent)
        return jnp.log(jnp.where(jnp.arange(K) == last, repeat, (1 - repeat) / (K - 1)))

    def coordinates(self, belief):
        return {"pseudo_counts": belief[0]}


mp.PROCESSES[Sticky.name] = Sticky

if __name__ == "__main__":
    from analysis.cli import main

    main()
