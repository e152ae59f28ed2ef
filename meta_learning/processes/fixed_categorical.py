"""Tasks that all have the same known probabilities: 'changing tasks' that never change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from meta_learning.processes.base import Process, Streams, checked, draws_in_task, with_reset
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_probabilities,
    check_task_length,
    json_task_length,
    read_numbers,
    show,
)


@dataclass(frozen=True)
class FixedCategorical(Process):
    """Symbols i.i.d. from Categorical(p) with p known, the same in every task.

    p: K >= 2 numbers in [0, 1] that sum to 1 within 1e-6. T as for DirichletCategorical. Latent: p
    (batch, tasks, K).
    """

    p: tuple[float, ...]
    T: float

    name = "fixed-categorical"
    parameters: ClassVar[dict[str, Parameter]] = {
        "p": Parameter(read_numbers, "probabilities, one a symbol", "0.2,0.3,0.5"),
        "T": TASK_LENGTH,
    }
    latent_name = "p, as Bayes does"

    def __init__(self, p: Sequence[float], T: float):
        object.__setattr__(self, "p", check_probabilities(p))
        object.__setattr__(self, "T", check_task_length(T))

    @property
    def num_symbols(self) -> int:
        return len(self.p)

    @property
    def task_length(self) -> float:
        return self.T

    @property
    def title(self) -> str:
        return f"p = ({show(self.p, ', ')}), T={json_task_length(self.T) or 'inf'}"

    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        n = draws_in_task(self.T, draws)
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            p = jnp.broadcast_to(jnp.asarray(self.p), (streams, tasks, self.num_symbols))
            p = numpyro.deterministic("p", p)
            if n == 0:
                return None
            with numpyro.plate("draw", n, dim=-3):
                # By logits: the sampler for probabilities can return a first symbol of probability 0.
                return numpyro.sample("x", dist.Categorical(logits=jnp.log(p)), obs=symbols)

    def log_first(self) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.p)

    def log_predictive(self, symbols: Any) -> np.ndarray:
        shape = checked(symbols, self.num_symbols, self.T).shape
        return with_reset(np.broadcast_to(self.log_first(), (*shape, self.num_symbols)), self.T)

    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        return self.log_predictive(streams.symbols)

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls((1, 0, 0), 5), cls((0.25, 0.75), math.inf), cls((0, 0.5, 0.5), 3))
