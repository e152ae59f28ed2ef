"""A reference predictor: counts that fade, for any process.

    meta-learn --load forgetting.py compare --process change-points --param hazard=0.05

With n_k the sum of 0.9^age over the places of the task at which k came, p(x_t = k | x_<t) is
(n_k + 1/2) / sum (n + 1/2): the rule of Krichevsky and Trofimov, with a memory of about ten symbols.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from meta_learning.processes import log_succession
from meta_learning.references import REFERENCES, Reference

KEEP = 0.9


@dataclass(frozen=True)
class Forgetting(Reference):
    def initial_belief(self, draws=0):
        return jnp.zeros(self.num_symbols)

    def update(self, counts, symbol):
        return KEEP * counts + jax.nn.one_hot(symbol, self.num_symbols)

    def log_predictive_of(self, counts):
        return log_succession(0.5, counts)


REFERENCES["forgetting"] = Forgetting

if __name__ == "__main__":
    from analysis.cli import main

    main()
