"""Tasks that each follow one of finitely many known laws.

With n_k the counts of the task so far, component c has posterior weight proportional to
w_c product over k of p_ck^{n_k}, and the predictive is the weighted mean of the components' p (Bishop
2006, section 9.2, with known components).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy.special import logsumexp

from meta_learning.processes.base import (
    Predictor,
    Process,
    Streams,
    draws_in_task,
    repeated,
    task_counts,
    with_reset,
)
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_law,
    check_laws,
    check_task_length,
    json_task_length,
    read_numbers,
    read_rows,
)


@dataclass(frozen=True)
class Mixture(Process):
    """A component c ~ Categorical(weights) for every task; symbols i.i.d. from Categorical(p_c).

    p: one row of K >= 2 positive probabilities a component. T as for DirichletCategorical. weights:
    one a component, summing to 1; None is equal weights. Errors: ValueError for anything else. Latent:
    the component (batch, tasks).
    """

    p: tuple[tuple[float, ...], ...]
    T: float
    weights: tuple[float, ...]

    name = "mixture"
    parameters: ClassVar[dict[str, Parameter]] = {
        "p": Parameter(
            read_rows, "probabilities of the symbols, a row a component", "0.6,0.3,0.1/0.1,0.3,0.6"
        ),
        "T": TASK_LENGTH,
        "weights": Parameter(
            read_numbers, "probabilities of the components, else equal", "0.7,0.3"
        ),
    }
    latent_name = "each task's component"

    def __init__(
        self,
        p: Sequence[Sequence[float]] = ((0.6, 0.3, 0.1), (0.1, 0.6, 0.3), (0.3, 0.1, 0.6)),
        T: float = 20,
        weights: Sequence[float] | None = None,
    ):
        object.__setattr__(self, "p", check_laws(p, "p"))
        object.__setattr__(self, "T", check_task_length(T))
        size = len(self.p)
        given = [1 / size] * size if weights is None else weights
        object.__setattr__(self, "weights", check_law(given, "weights", size))

    @property
    def num_symbols(self) -> int:
        return len(self.p[0])

    @property
    def task_length(self) -> float:
        return self.T

    @property
    def title(self) -> str:
        return f"a mixture of {len(self.p)} categoricals, T={json_task_length(self.T) or 'inf'}"

    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        n = draws_in_task(self.T, draws)
        # By logits: the sampler for probabilities can return a first component of probability 0.
        log_weights = jnp.log(jnp.asarray(self.weights))
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            component = numpyro.sample("component", dist.Categorical(logits=log_weights))
            if n == 0:
                return None
            with numpyro.plate("draw", n, dim=-3):
                p = jnp.asarray(self.p)[component]
                return numpyro.sample("x", dist.Categorical(p), obs=symbols)

    def latent_of(self, sites: Any) -> Any:
        return sites["component"]["value"]

    def log_first(self) -> np.ndarray:
        return np.log(np.asarray(self.weights) @ np.asarray(self.p))

    def log_predictive(self, symbols: Any) -> np.ndarray:
        log_p = np.log(self.p)
        counts = task_counts(symbols, self.num_symbols, self.T)
        with np.errstate(divide="ignore"):
            log_w = np.log(self.weights) + counts @ log_p.T
        log_w -= logsumexp(log_w, axis=-1, keepdims=True)
        return with_reset(np.log(np.exp(log_w) @ np.asarray(self.p)), self.T)

    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        log_p = np.log(self.p)[np.asarray(streams.latent)]
        return repeated(log_p, np.shape(streams.symbols)[-1], self.T)

    def ladder(self) -> dict[str, Predictor]:
        """Laplace's and Krichevsky and Trofimov's rules, which do not know the components."""
        return {
            name: DirichletCategorical((value,) * self.num_symbols, self.T).log_predictive
            for name, value in (("laplace", 1.0), ("kt", 0.5))
        }

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls(((0.6, 0.3, 0.1), (0.1, 0.1, 0.8)), 5, (0.3, 0.7)),
            cls(((0.999, 0.001), (0.3, 0.7), (0.5, 0.5)), math.inf, (0.5, 0.5, 0)),
        )
