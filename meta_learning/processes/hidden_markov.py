"""Tasks from a hidden Markov model whose parameters are known.

With f_t(i) = p(z_t = i | x_<t), A the transition and B the emission probabilities,

    p(x_t = k | x_<t) = sum over i of f_t(i) B_ik
    f_{t+1}(j)        = sum over i of f_t(i) B_{i,x_t} A_ij / p(x_t | x_<t)

the forward algorithm (Rabiner 1989, "A tutorial on hidden Markov models", section III.A), with f in
logarithms.
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
from numpyro.contrib.control_flow import scan
from scipy.special import logsumexp

from meta_learning.processes.base import (
    Predictor,
    Process,
    Streams,
    checked,
    draws_in_task,
    draws_last,
    tasks_apart,
    with_reset,
)
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_law,
    check_laws,
    check_task_length,
    json_task_length,
    read_numbers,
    read_rows,
    stationary,
)

_TRANSITION = ((0.95, 0.05, 0.0), (0.0, 0.95, 0.05), (0.05, 0.0, 0.95))
_EMISSION = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))


@dataclass(frozen=True)
class HiddenMarkov(Process):
    """A hidden state z that moves by ``transition``; each symbol from ``emission[z]``.

    transition: S rows of S probabilities. emission: S rows of K >= 2 positive probabilities. T as for
    DirichletCategorical: RESET starts the hidden state anew. start: law of a task's first state; None
    is the stationary law of ``transition``. Errors: ValueError for anything else. Latent: the hidden
    path (batch, tasks, draws).
    """

    transition: tuple[tuple[float, ...], ...]
    emission: tuple[tuple[float, ...], ...]
    T: float
    start: tuple[float, ...]

    name = "hidden-markov"
    parameters: ClassVar[dict[str, Parameter]] = {
        "transition": Parameter(
            read_rows, "probabilities of the next hidden state, a row a state", "0.9,0.1/0.2,0.8"
        ),
        "emission": Parameter(
            read_rows,
            "probabilities of the symbols, a row a hidden state",
            "0.7,0.2,0.1/0.1,0.2,0.7",
        ),
        "T": TASK_LENGTH,
        "start": Parameter(
            read_numbers, "probabilities of a task's first hidden state, else stationary", "0.5,0.5"
        ),
    }
    latent_name = "the hidden path"

    def __init__(
        self,
        transition: Sequence[Sequence[float]] = _TRANSITION,
        emission: Sequence[Sequence[float]] = _EMISSION,
        T: float = math.inf,
        start: Sequence[float] | None = None,
    ):
        size = len(transition)
        rows = tuple(check_law(row, "a row of transition", size) for row in transition)
        object.__setattr__(self, "transition", rows)
        object.__setattr__(self, "emission", check_laws(emission, "emission"))
        if len(self.emission) != size:
            raise ValueError(
                f"transition and emission have one row a hidden state; got {size} and "
                f"{len(self.emission)} rows"
            )
        object.__setattr__(self, "T", check_task_length(T))
        law = stationary(rows, "give start") if start is None else start
        object.__setattr__(self, "start", check_law(law, "start", size))

    @property
    def num_symbols(self) -> int:
        return len(self.emission[0])

    @property
    def task_length(self) -> float:
        return self.T

    @property
    def title(self) -> str:
        T = json_task_length(self.T) or "inf"
        return f"a hidden Markov model of {len(self.transition)} states, T={T}"

    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        n = draws_in_task(self.T, draws)
        if n == 0:
            numpyro.deterministic("z", jnp.zeros((0, streams, tasks), jnp.int32))
            return None
        # By logits: the sampler for probabilities can return a first state of probability 0.
        moves, first = (jnp.log(jnp.asarray(p)) for p in (self.transition, self.start))

        def step(logits: Any, _: Any) -> tuple[Any, Any]:
            z = numpyro.sample("z", dist.Categorical(logits=logits))
            return moves[z], z

        begin = jnp.broadcast_to(first, (streams, tasks, len(self.start)))
        _, path = scan(step, begin, None, length=n)
        with (
            numpyro.plate("draw", n, dim=-3),
            numpyro.plate("stream", streams, dim=-2),
            numpyro.plate("task", tasks, dim=-1),
        ):
            p = jnp.asarray(self.emission)[path]
            return numpyro.sample("x", dist.Categorical(p), obs=symbols)

    def latent_of(self, sites: Any) -> Any:
        return draws_last(sites["z"]["value"])

    def log_first(self) -> np.ndarray:
        return np.log(np.asarray(self.start) @ np.asarray(self.emission))

    def log_predictive(self, symbols: Any) -> np.ndarray:
        return self._filtered(symbols, forget=False)

    def _filtered(self, symbols: Any, forget: bool) -> np.ndarray:
        """The forward algorithm; ``forget`` keeps only the last symbol of the past at each place."""
        symbols = checked(symbols, self.num_symbols, self.T)
        if not symbols.size:
            return with_reset(np.zeros((*symbols.shape, self.num_symbols)), self.T)
        tasks = tasks_apart(symbols, self.T)
        emission, transition = np.asarray(self.emission), np.asarray(self.transition)
        with np.errstate(divide="ignore"):
            log_moves, log_f = np.log(transition), np.log(self.start)
        # RESET says nothing of the state: what comes after it is another task.
        log_emission = np.append(np.log(emission), np.zeros((len(emission), 1)), axis=1)
        marginal = np.asarray(self.start)
        rows = np.empty((*tasks.shape, self.num_symbols))
        for t in range(tasks.shape[-1]):
            rows[..., t, :] = np.log(np.exp(log_f) @ emission)
            if forget:
                with np.errstate(divide="ignore"):
                    log_f = np.log(marginal)
                marginal = marginal @ transition
            seen = log_f + log_emission.T[tasks[..., t]]
            log_f = logsumexp(seen[..., None] + log_moves, axis=-2)
            log_f -= logsumexp(log_f, axis=-1, keepdims=True)
        rows = rows.reshape(*symbols.shape[:-1], -1, self.num_symbols)[..., : symbols.shape[-1], :]
        return with_reset(rows, self.T)

    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        symbols = np.asarray(streams.symbols)
        length = symbols.shape[-1]
        path = np.asarray(streams.latent)
        if not math.isinf(self.T):  # a state in the place of each RESET, which does not matter
            path = np.pad(path, ((0, 0), (0, 0), (0, 1)))
        path = path.reshape(len(symbols), -1)[:, :length]
        return with_reset(np.log(self.emission)[path], self.T)

    def ladder(self) -> dict[str, Predictor]:
        """Bayes that remembers the last symbol of the task only, and how many came before it."""
        return {"last_symbol_only": lambda symbols: self._filtered(symbols, forget=True)}

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls(((0.9, 0.1), (0.2, 0.8)), ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)), 5),
            cls(_TRANSITION, ((0.9, 0.1), (0.4, 0.6), (0.2, 0.8)), math.inf, (0, 1, 0)),
        )
