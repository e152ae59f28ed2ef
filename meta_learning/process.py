"""Generative processes as NumPyro models, each with its exact next-symbol predictive.

A stream is a sequence of tasks. A task of length T draws latent probabilities p once, then T - 1
symbols from Categorical(p), then the symbol RESET = K: T counts the RESET. T=1 is RESET only, T=inf
never resets. Streams start at a task's start.

Row t of every predictive is log p(x_t | x_<t) in nats over the K symbols and RESET, in float64. T is
known: before the T-th place of a task RESET has probability exactly 0, at it exactly 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from numpyro.handlers import seed as seeded
from numpyro.handlers import trace

# Test streams hold whole tasks: a longer one is better asked for as endless.
MOST_TASK_LENGTH = 100_000


class Streams(NamedTuple):
    """Sampled streams. symbols: int (batch, length). latent: the process's own latent values, for
    the processes here the probabilities p (batch, tasks, K)."""

    symbols: Any
    latent: Any


@dataclass(frozen=True)
class Process(ABC):
    """A source of symbols 0..K-1 and RESET = K that knows its own exact answer.

    Instances are frozen and hashable, so they can be static arguments of compiled functions.
    """

    @property
    @abstractmethod
    def num_symbols(self) -> int:
        """K, the number of symbols without RESET."""

    @property
    @abstractmethod
    def task_length(self) -> float:
        """T, RESET included: an integer, or math.inf where there is no RESET."""

    @abstractmethod
    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        """The NumPyro model of ``tasks`` tasks in each of ``streams`` streams, RESETs left out.

        symbols: (draws, streams, tasks) conditions on observed draws; None samples them. ``draws``
        is T - 1 unless T is infinite, where it must be given. Returns the symbols, or None where a
        task has no draw.
        """

    @abstractmethod
    def log_predictive(self, symbols: Any) -> np.ndarray:
        """The exact log p(x_t | x_<t) in nats. symbols: int (..., L). Returns float64 (..., L, K+1).

        Errors: ValueError where a symbol is outside 0..K or a RESET is not where T puts it.
        """

    @abstractmethod
    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        """The oracle's log p(x_t | latent, x_<t) in nats, float64 (batch, length, K+1)."""

    @classmethod
    @abstractmethod
    def examples(cls) -> tuple[Process, ...]:
        """Small instances, on which the contract tests run."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What tells this instance from others of its class, as plain JSON values."""

    def sample(self, key: Array, batch: int, length: int) -> Array:
        """``batch`` streams of ``length`` symbols, RESETs included. Returns int32 (batch, length)."""
        return self.sample_with_latent(key, batch, length).symbols

    @partial(jax.jit, static_argnums=(0, 2, 3))
    def sample_with_latent(self, key: Array, batch: int, length: int) -> Streams:
        """As ``sample``, with the latent values of every task: one compiled call of the model."""
        if batch < 1 or length < 1:
            raise ValueError(f"batch and length must be 1 or more; got {batch} and {length}")
        endless = math.isinf(self.task_length)
        tasks = 1 if endless else -(-length // int(self.task_length))
        run = trace(seeded(self.model, key))
        sites = run.get_trace(streams=batch, tasks=tasks, draws=length if endless else None)
        latent = sites["p"]["value"]
        reset = jnp.full((batch, tasks, 0 if endless else 1), self.num_symbols, jnp.int32)
        if "x" in sites:
            draws = jnp.moveaxis(sites["x"]["value"], 0, -1).astype(jnp.int32)
            reset = jnp.concatenate([draws, reset], axis=-1)
        return Streams(reset.reshape(batch, -1)[:, :length], latent)


def drawn_places(length: int, task_length: float) -> np.ndarray:
    """Which places of a stream hold a drawn symbol (True) and which a RESET. bool (length,)."""
    places = np.arange(length)
    if math.isinf(task_length):
        return np.ones(length, bool)
    return places % int(task_length) != int(task_length) - 1


def task_counts(symbols: Any, num_symbols: int, task_length: float) -> np.ndarray:
    """Counts of each symbol in the current task before each place. int64 (..., L, K).

    symbols: int (..., L). RESET clears the counts and is never counted.
    Errors: ValueError as for ``Process.log_predictive``.
    """
    symbols = _checked(symbols, num_symbols, task_length)
    length = symbols.shape[-1]
    span = length if math.isinf(task_length) else min(int(task_length), max(length, 1))
    if length == 0:
        return np.zeros((*symbols.shape, num_symbols), np.int64)
    padding = -length % span
    padded = np.pad(symbols, [(0, 0)] * (symbols.ndim - 1) + [(0, padding)])
    tasks = padded.reshape(*symbols.shape[:-1], -1, span)
    counts = np.zeros((*tasks.shape, num_symbols), np.int64)
    for k in range(num_symbols):
        np.cumsum(tasks[..., :-1] == k, axis=-1, out=counts[..., 1:, k])
    return counts.reshape(*padded.shape, num_symbols)[..., :length, :]


def with_reset(log_p: np.ndarray, task_length: float) -> np.ndarray:
    """Adds RESET to rows over the K symbols: (..., L, K) -> (..., L, K+1), known T."""
    out = np.concatenate([log_p, np.full((*log_p.shape[:-1], 1), -np.inf)], axis=-1)
    reset = ~drawn_places(log_p.shape[-2], task_length)
    out[..., reset, :-1] = -np.inf
    out[..., reset, -1] = 0.0
    return out


@dataclass(frozen=True)
class DirichletCategorical(Process):
    """p ~ Dirichlet(alpha) for every task; symbols i.i.d. from Categorical(p).

    alpha: K >= 2 positive finite numbers. T: the task's length with its RESET, an integer >= 1 or
    math.inf. Errors: ValueError for anything else.
    """

    alpha: tuple[float, ...]
    T: float

    def __init__(self, alpha: Sequence[float], T: float):
        object.__setattr__(self, "alpha", check_alpha(alpha))
        object.__setattr__(self, "T", check_task_length(T))

    @property
    def num_symbols(self) -> int:
        return len(self.alpha)

    @property
    def task_length(self) -> float:
        return self.T

    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        n = _draws_in_task(self.T, draws)
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            p = numpyro.sample("p", dist.Dirichlet(np.asarray(self.alpha)))
            if n == 0:
                return None
            with numpyro.plate("draw", n, dim=-3):
                return numpyro.sample("x", dist.Categorical(p), obs=symbols)

    def posterior(self, counts: Any) -> dist.Dirichlet:
        """The conjugate posterior over p after ``counts`` (..., K): Dirichlet(alpha + counts)."""
        counts = np.asarray(counts)
        if counts.shape[-1:] != (self.num_symbols,):
            raise ValueError(
                f"counts must end in an axis of {self.num_symbols}, one count a symbol; "
                f"got shape {counts.shape}"
            )
        return dist.Dirichlet(np.asarray(self.alpha) + counts)

    def log_predictive(self, symbols: Any) -> np.ndarray:
        alpha = np.asarray(self.alpha)
        weights = alpha + task_counts(symbols, self.num_symbols, self.T)
        log_p = np.log(weights) - np.log(weights.sum(-1, keepdims=True))
        return with_reset(log_p, self.T)

    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        return _repeat_latent(streams, self.T)

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (
            cls((10, 1, 1), 5),
            cls((0.3, 2.5), 4),
            cls((1.3, 1.3, 1.3, 1.3), 3),
            cls((1, 1, 1), 1),
            cls((2, 1), 2),
            cls((1.3, 1.3, 1.3), math.inf),
        )

    def settings(self) -> dict[str, Any]:
        return {"alpha": list(self.alpha), "T": json_task_length(self.T)}


@dataclass(frozen=True)
class FixedCategorical(Process):
    """Tasks that all have the same known probabilities p: 'changing tasks' that never change.

    p: K >= 2 numbers in [0, 1] that sum to 1 within 1e-6. T as for DirichletCategorical.
    """

    p: tuple[float, ...]
    T: float

    def __init__(self, p: Sequence[float], T: float):
        object.__setattr__(self, "p", check_probabilities(p))
        object.__setattr__(self, "T", check_task_length(T))

    @property
    def num_symbols(self) -> int:
        return len(self.p)

    @property
    def task_length(self) -> float:
        return self.T

    def model(
        self, symbols: Any = None, *, streams: int = 1, tasks: int = 1, draws: int | None = None
    ) -> Any:
        n = _draws_in_task(self.T, draws)
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            p = jnp.broadcast_to(jnp.asarray(self.p), (streams, tasks, self.num_symbols))
            p = numpyro.deterministic("p", p)
            if n == 0:
                return None
            with numpyro.plate("draw", n, dim=-3):
                # By logits: the sampler for probabilities can return a first symbol of probability 0.
                return numpyro.sample("x", dist.Categorical(logits=jnp.log(p)), obs=symbols)

    def log_predictive(self, symbols: Any) -> np.ndarray:
        symbols = _checked(symbols, self.num_symbols, self.T)
        with np.errstate(divide="ignore"):
            log_p = np.broadcast_to(np.log(self.p), (*symbols.shape, self.num_symbols))
        return with_reset(log_p, self.T)

    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        return self.log_predictive(streams.symbols)

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls((1, 0, 0), 5), cls((0.25, 0.75), math.inf), cls((0, 0.5, 0.5), 3))

    def settings(self) -> dict[str, Any]:
        return {"p": list(self.p), "T": json_task_length(self.T)}


def check_alpha(alpha: Sequence[float]) -> tuple[float, ...]:
    """alpha as floats. Errors: ValueError unless it is two or more positive finite numbers."""
    values = tuple(float(a) for a in alpha)
    if len(values) < 2:
        raise ValueError(f"alpha needs two or more entries, one a symbol; got {_show(values)}")
    if not all(math.isfinite(a) and a > 0 for a in values):
        raise ValueError(f"every entry of alpha must be positive and finite; got {_show(values)}")
    if not all(1e-6 <= a <= 1e6 for a in values):
        raise ValueError(
            "every entry of alpha must be between 1e-6 and 1e6, where float32 can draw from it; "
            f"got {_show(values)}"
        )
    return values


def check_probabilities(p: Sequence[float]) -> tuple[float, ...]:
    """p as floats that sum to 1. Errors: ValueError for anything but a probability vector."""
    values = tuple(float(v) for v in p)
    if len(values) < 2:
        raise ValueError(f"p needs two or more entries, one a symbol; got {_show(values)}")
    if not all(0 <= v <= 1 for v in values):
        raise ValueError(f"every entry of p must be between 0 and 1; got {_show(values)}")
    if abs(sum(values) - 1) > 1e-6:
        raise ValueError(f"the entries of p must sum to 1; {_show(values)} sums to {sum(values):g}")
    return tuple(v / sum(values) for v in values)


def check_task_length(T: float) -> float:
    """T as an int, or math.inf. Errors: ValueError unless it is an integer >= 1 or infinite."""
    if math.inf == T:
        return math.inf
    if not math.isfinite(T) or int(T) != T or T < 1:
        raise ValueError(
            f"T must be a whole number of 1 or more (RESET included), or inf for no RESET; got {T:g}"
        )
    if T > MOST_TASK_LENGTH:
        raise ValueError(f"T must be at most {MOST_TASK_LENGTH}, or inf for no RESET; got {T:g}")
    return int(T)


def json_task_length(T: float) -> int | None:
    """T as JSON has it: null where it is infinite."""
    return None if math.isinf(T) else int(T)


def _show(values: Sequence[float]) -> str:
    return ",".join(f"{v:g}" for v in values) or "nothing"


def _draws_in_task(T: float, draws: int | None) -> int:
    if math.isinf(T):
        if draws is None:
            raise ValueError("T is infinite: say how many draws the model should make (draws=n)")
        return draws
    if draws not in (None, int(T) - 1):
        raise ValueError(f"a task of length T={int(T)} has {int(T) - 1} draws; got draws={draws}")
    return int(T) - 1


def _repeat_latent(streams: Streams, T: float) -> np.ndarray:
    """log p of each place's own task, from latent probabilities (batch, tasks, K)."""
    symbols = np.asarray(streams.symbols)
    # The draws were made in float32; normalising in float64 makes the oracle's rows exact.
    p = np.asarray(streams.latent, np.float64)
    with np.errstate(divide="ignore"):
        log_p = np.log(p) - np.log(p.sum(-1, keepdims=True))
    length = symbols.shape[-1]
    span = length if math.isinf(T) else int(T)
    return with_reset(np.repeat(log_p, span, axis=-2)[..., :length, :], T)


def _checked(symbols: Any, num_symbols: int, task_length: float) -> np.ndarray:
    symbols = np.asarray(symbols)
    if symbols.dtype.kind not in "iu":
        raise ValueError(f"symbols must be integers; got dtype {symbols.dtype}")
    if symbols.ndim < 1:
        raise ValueError("symbols must have a last axis of places; got a single number")
    if symbols.size and not (symbols.min() >= 0 and symbols.max() <= num_symbols):
        raise ValueError(
            f"symbols must lie in 0..{num_symbols} (RESET is {num_symbols}); "
            f"got {symbols.min()}..{symbols.max()}"
        )
    drawn = drawn_places(symbols.shape[-1], task_length)
    if ((symbols != num_symbols) != drawn).any():
        raise ValueError(
            f"RESET ({num_symbols}) must stand at every place T-1, 2T-1, ... (T={task_length}) and "
            "nowhere else; were these streams made with another T?"
        )
    return symbols


PROCESSES: dict[str, type[Process]] = {
    "dirichlet-categorical": DirichletCategorical,
    "fixed-categorical": FixedCategorical,
}
