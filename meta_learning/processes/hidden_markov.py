"""Tasks from a hidden Markov model whose parameters are given.

A symbol is emitted by the state that is left, T^(x)_ij = B_ix A_ij with A the transition and B the
emission probabilities, or comes with the transition, and then T^(x)_ij is given. ``hidden_states``
predicts them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Float64, Integer
from numpyro.contrib.control_flow import scan

from autoregressive.broadcast import AnyArray
from meta_learning.processes.base import Process, draws_in_task
from meta_learning.processes.hidden_states import HiddenStates
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    check_distribution,
    check_distributions,
    check_edges,
    read_matrices,
    read_numbers,
    read_rows,
)
from meta_learning.processes.stationary import stationary_distribution
from meta_learning.processes.types import Entry, Json, Matrices, Settings

Rows = tuple[tuple[float, ...], ...]
_TRANSITION = ((0.95, 0.05, 0.0), (0.0, 0.95, 0.05), (0.05, 0.0, 0.95))
_EMISSION = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))


def _check_transition(rows: Sequence[Sequence[float]], name: str) -> Rows:
    """S rows of S probabilities. Errors: ValueError for anything else."""
    return tuple(check_distribution(row, f"a row of {name}", len(rows)) for row in rows)


def _optional(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """``check``, by which None passes too."""
    return lambda value, name: None if value is None else check(value, name)


@dataclass(frozen=True)
class HiddenMarkov(HiddenStates):
    """A hidden state z moves by ``transition``, and each symbol comes from ``emission[z]``; or both at
    once, by ``edges``.

    transition: S rows of S probabilities. emission: S rows of K >= 2 probabilities. Both have defaults.
    T as for DirichletCategorical; a task starts in a new hidden state. start: distribution of a task's
    first state; None: the stationary one. edges: instead of transition and emission, K >= 2 matrices
    T^(x)_ij = p(symbol x, next state j | state i), S rows of S each. Errors: ValueError for anything
    else. Latent: the state before each symbol (batch, tasks, draws). Belief: log p(state | x_<t), (S,).
    """

    transition: Rows | None = None
    emission: Rows | None = None
    T: float = math.inf
    start: tuple[float, ...] | None = None
    edges: tuple[Rows, ...] | None = None

    name = "hidden-markov"
    parameters: ClassVar[dict[str, Parameter]] = {
        "transition": Parameter(
            read_rows,
            "probabilities of the next hidden state, a row a state",
            "0.9,0.1/0.2,0.8",
            _optional(_check_transition),
        ),
        "emission": Parameter(
            read_rows,
            "probabilities of the symbols, a row a hidden state",
            "0.7,0.2,0.1/0.1,0.2,0.7",
            _optional(check_distributions),
        ),
        "T": TASK_LENGTH,
        "start": Parameter(
            read_numbers, "probabilities of a task's first hidden state, else stationary", "0.5,0.5"
        ),
        "edges": Parameter(
            read_matrices,
            "in place of transition and emission, p(symbol, next state) from each state: a matrix a "
            "symbol, a row a state",
            "0,0.5/0,0//0.5,0/1,0",
            _optional(check_edges),
        ),
    }
    latent_name = "the hidden path"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.edges is not None:
            if self.transition is not None or self.emission is not None:
                raise ValueError("give edges, or transition and emission, but not both")
        else:
            self.keep("transition", self.transition or _TRANSITION)
            self.keep("emission", self.emission or _EMISSION)
            if len(self.transition or ()) != len(self.emission or ()):
                raise ValueError(
                    "transition and emission have one row a hidden state; got "
                    f"{len(self.transition or ())} and {len(self.emission or ())} rows"
                )
        moves = self.matrices.sum(0)
        start = stationary_distribution(moves, "give start") if self.start is None else self.start
        self.keep("start", check_distribution(start, "start", len(moves)))

    @property
    def title(self) -> str:
        return f"a hidden Markov model of {len(self.matrices[0])} states, T={self.T:g}"

    def edges_as(self, number: Entry) -> Matrices:
        if self.edges is not None:
            return [[[number(v) for v in row] for row in matrix] for matrix in self.edges]
        pairs = list(zip(self.transition or (), self.emission or (), strict=True))
        return [
            [[number(b[x]) * number(a) for a in row] for row, b in pairs]
            for x in range(len(pairs[0][1]))
        ]

    @property
    def matrices(self) -> Float64[np.ndarray, "symbols states states"]:
        # The same as in the base class, which would be slow for many states.
        if self.edges is not None:
            return np.asarray(self.edges)
        return np.asarray(self.emission).T[:, :, None] * np.asarray(self.transition)

    @property
    def num_symbols(self) -> int:
        return len(self.edges if self.edges is not None else (self.emission or _EMISSION)[0])

    def first_state(self) -> tuple[float, ...]:
        return self.start or ()

    def settings(self) -> Settings:
        """Without edges, or else without transition and emission: those that are not in use."""
        unused = ("edges",) if self.edges is None else ("transition", "emission")
        return {name: v for name, v in super().settings().items() if name not in unused}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Json]) -> HiddenMarkov:
        other = ("transition", "emission") if "edges" in settings else ("edges",)
        return super().from_settings(dict.fromkeys(other) | dict(settings))

    def wrong_model(self) -> Process:
        return make_noisy(self)

    def model(
        self,
        symbols: Integer[AnyArray, "n {streams} {tasks}"] | None = None,
        *,
        streams: int = 1,
        tasks: int = 1,
        draws: int | None = None,
    ) -> Integer[AnyArray, "n {streams} {tasks}"] | None:
        n = draws_in_task(self.T, draws)
        if n == 0 or self.edges is not None:
            return super().model(symbols, streams=streams, tasks=tasks, draws=draws)
        # By logits: the sampler for probabilities can return a first state of probability 0.
        moves, first = (jnp.log(jnp.asarray(p)) for p in (self.transition, self.start))

        def step(
            logits: Float[Array, "streams tasks states"], _: None
        ) -> tuple[Float[Array, "streams tasks states"], Integer[Array, "streams tasks"]]:
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

    @classmethod
    def examples(cls) -> tuple[HiddenMarkov, ...]:
        return (
            cls(((0.9, 0.1), (0.2, 0.8)), ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)), 5),
            cls(_TRANSITION, ((0.9, 0.1), (0.4, 0.6), (0.2, 0.8)), math.inf, (0, 1, 0)),
            cls(((0.5, 0.5, 0), (0, 0, 1), (1, 0, 0)), ((1, 0), (0, 1), (0, 1)), math.inf),
            cls(edges=(((0.2, 0.3), (0, 0)), ((0, 0.5), (1, 0))), T=4),
        )


def make_noisy(process: HiddenStates) -> HiddenMarkov:
    """The process in which one move in ten goes to any state and shows any symbol, at random."""
    matrices = process.matrices
    noisy = 0.9 * matrices + 0.1 / matrices[:, 0].size
    return HiddenMarkov(edges=noisy.tolist(), T=process.task_length)
