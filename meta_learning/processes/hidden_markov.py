"""Tasks from a hidden Markov model whose parameters are known.

With T^(x)_ij = p(symbol x, next state j | state i) and f_t(i) = p(z_t = i | x_<t),

    p(x_t = k | x_<t) = sum over i, j of f_t(i) T^(k)_ij
    f_{t+1}(j)        = sum over i of f_t(i) T^(x_t)_ij / p(x_t | x_<t)

the forward algorithm (Rabiner 1989, "A tutorial on hidden Markov models", section III.A), with f in
logarithms: a state that looks impossible for long can still come back. Here a state emits the symbol
that it is left with: T^(x)_ij = B_ix A_ij, A the transition and B the emission probabilities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro.contrib.control_flow import scan

from meta_learning.processes.base import Process, draws_in_task, draws_last
from meta_learning.processes.machine import HORIZON, Machine
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_distribution,
    check_distributions,
    json_task_length,
    read_numbers,
    read_rows,
    stationary,
)

_TRANSITION = ((0.95, 0.05, 0.0), (0.0, 0.95, 0.05), (0.05, 0.0, 0.95))
_EMISSION = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))


def _check_transition(rows: Any, name: str) -> tuple[tuple[float, ...], ...]:
    return tuple(check_distribution(row, f"a row of {name}", len(rows)) for row in rows)


@dataclass(frozen=True)
class HiddenMarkov(Process):
    """A hidden state z that moves by ``transition``; each symbol from ``emission[z]``.

    transition: S rows of S probabilities. emission: S rows of K >= 2 probabilities. T as for
    DirichletCategorical: RESET starts the hidden state anew. start: distribution of a task's first
    state; None is the stationary one of ``transition``. Errors: ValueError for anything else. Latent:
    the hidden path (batch, tasks, draws). Belief: log p(state | x_<t), (S,).
    """

    transition: tuple[tuple[float, ...], ...] = _TRANSITION
    emission: tuple[tuple[float, ...], ...] = _EMISSION
    T: float = math.inf
    start: tuple[float, ...] | None = None

    name = "hidden-markov"
    parameters: ClassVar[dict[str, Parameter]] = {
        "transition": Parameter(
            read_rows,
            "probabilities of the next hidden state, a row a state",
            "0.9,0.1/0.2,0.8",
            _check_transition,
        ),
        "emission": Parameter(
            read_rows,
            "probabilities of the symbols, a row a hidden state",
            "0.7,0.2,0.1/0.1,0.2,0.7",
            check_distributions,
        ),
        "T": TASK_LENGTH,
        "start": Parameter(
            read_numbers, "probabilities of a task's first hidden state, else stationary", "0.5,0.5"
        ),
    }
    latent_name = "the hidden path"

    def __post_init__(self) -> None:
        super().__post_init__()
        size = len(self.transition)
        if len(self.emission) != size:
            raise ValueError(
                f"transition and emission have one row a hidden state; got {size} and "
                f"{len(self.emission)} rows"
            )
        start = stationary(self.transition, "give start") if self.start is None else self.start
        self.keep("start", check_distribution(start, "start", size))

    @property
    def num_symbols(self) -> int:
        return len(self.emission[0])

    @property
    def title(self) -> str:
        T = json_task_length(self.T) or "inf"
        return f"a hidden Markov model of {len(self.transition)} states, T={T}"

    @property
    def matrices(self) -> np.ndarray:
        """T^(x)_ij = p(symbol x, next state j | state i), float64 (K, S, S)."""
        return np.asarray(self.emission).T[:, :, None] * np.asarray(self.transition)

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

        begin = jnp.broadcast_to(first, (streams, tasks, len(first)))
        _, path = scan(step, begin, None, length=n)
        with (
            numpyro.plate("draw", n, dim=-3),
            numpyro.plate("stream", streams, dim=-2),
            numpyro.plate("task", tasks, dim=-1),
        ):
            p = jnp.asarray(self.emission)[path]
            # By logits where there are zeros, as above.
            zeros = not np.all(self.emission)
            emitted = dist.Categorical(logits=jnp.log(p)) if zeros else dist.Categorical(p)
            return numpyro.sample("x", emitted, obs=symbols)

    def latent_of(self, sites: Any) -> Any:
        return draws_last(sites["z"]["value"])

    def initial_belief(self, draws: int = HORIZON) -> Array:
        return _log(self.start)

    def update(self, belief: Array, symbol: Array) -> Array:
        after = jax.nn.logsumexp(belief[:, None] + _log(self.matrices)[symbol], axis=0)
        total = jax.nn.logsumexp(after)
        return jnp.where(jnp.isneginf(total), belief, after - total)

    def log_predictive_of(self, belief: Array) -> Array:
        return jax.nn.logsumexp(belief[None] + _log(self.matrices.sum(-1)), axis=-1)

    def log_predictive_given(self, latent: Any, belief: Any, place: Array) -> Array:
        # A task without draws has no state, and what is said of its RESET is not read.
        state = jnp.append(latent, 0)[place]
        return _log(self.matrices.sum(-1))[:, state]

    def coordinates(self, belief: Array) -> dict[str, Array]:
        """state_probabilities (S,), p(state | x_<t), and posterior_mean (K,), the predictive."""
        return {
            "state_probabilities": jnp.exp(belief),
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
        }

    def ladder(self) -> dict[str, Machine]:
        """Bayes that remembers the last symbol of the task only, and how many came before it."""
        return {"last_symbol_only": LastSymbol(self)}

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls(((0.9, 0.1), (0.2, 0.8)), ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)), 5),
            cls(_TRANSITION, ((0.9, 0.1), (0.4, 0.6), (0.2, 0.8)), math.inf, (0, 1, 0)),
            cls(((0.5, 0.5, 0), (0, 0, 1), (1, 0, 0)), ((1, 0), (0, 1), (0, 1)), math.inf),
        )


@dataclass(frozen=True)
class LastSymbol(Machine):
    """A hidden Markov model filtered from the last symbol and its place alone. Belief: p(state)
    before that symbol, without any, and p(state) after it."""

    of: HiddenMarkov

    @property
    def num_symbols(self) -> int:
        return self.of.num_symbols

    @property
    def task_length(self) -> float:
        return self.of.task_length

    def initial_belief(self, draws: int = HORIZON) -> tuple[Array, Array]:
        start = jnp.asarray(self.of.start)
        return start, start

    def update(self, belief: tuple[Array, Array], symbol: Array) -> tuple[Array, Array]:
        matrices = jnp.asarray(self.of.matrices)
        marginal, _ = belief
        after, moved = marginal @ matrices[symbol], marginal @ matrices.sum(0)
        total = after.sum()
        return moved, jnp.where(total > 0, after / total, moved)

    def log_predictive_of(self, belief: tuple[Array, Array]) -> Array:
        return jnp.log(jnp.asarray(self.of.matrices).sum(-1) @ belief[1])


def _log(p: Any) -> Array:
    with np.errstate(divide="ignore"):
        return jnp.asarray(np.log(p))
