"""What every generative process is: a NumPyro model with its exact next-symbol predictive.

A stream is a sequence of tasks. A task of length T is T - 1 drawn symbols, then the symbol
RESET = K: T counts the RESET. T=1 is RESET only, T=inf never resets. Streams start at a task's start,
and tasks are independent.

Row t of every predictive is log p(x_t | x_<t) in nats over the K symbols and RESET, in float64. T is
known: before the T-th place of a task RESET has probability exactly 0, at it exactly 1.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.handlers import seed as seeded
from numpyro.handlers import trace

from meta_learning.processes.parameters import Parameter, json_value

Predictor = Callable[[Any], np.ndarray]


class Streams(NamedTuple):
    """Sampled streams. symbols: int (batch, length). latent: the process's own latent values, one
    array (batch, ...)."""

    symbols: Any
    latent: Any


@dataclass(frozen=True)
class Process(ABC):
    """A source of symbols 0..K-1 and RESET = K that knows its own exact answer.

    Instances are frozen and hashable, so they can be static arguments of compiled functions. name:
    in ``PROCESSES``, on the command line and in checkpoints. parameters: the arguments of the
    constructor by name, in its order. latent_name: what the oracle knows, for captions.
    """

    name: ClassVar[str]
    parameters: ClassVar[dict[str, Parameter]]
    latent_name: ClassVar[str]

    @property
    @abstractmethod
    def num_symbols(self) -> int:
        """K, the number of symbols without RESET."""

    @property
    @abstractmethod
    def task_length(self) -> float:
        """T, RESET included: an integer, or math.inf where there is no RESET."""

    @property
    @abstractmethod
    def title(self) -> str:
        """A few words for headings."""

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
    def log_first(self) -> np.ndarray:
        """log p of a task's first symbol in nats, float64 (K,): what is known before any symbol."""

    @abstractmethod
    def log_predictive(self, symbols: Any) -> np.ndarray:
        """The exact log p(x_t | x_<t) in nats. symbols: int (..., L). Returns float64 (..., L, K+1).

        Errors: ValueError where a symbol is outside 0..K or a RESET is not where T puts it.
        """

    @abstractmethod
    def log_predictive_given_latent(self, streams: Streams) -> np.ndarray:
        """The oracle's log p(x_t | latent, x_<t) in nats, float64 (batch, length, K+1)."""

    def ladder(self) -> dict[str, Predictor]:
        """Reference predictors of this process's own, by name, weaker than Bayes: each gives rows as
        ``log_predictive`` does. Bayes, the oracle and memoryless exist for every process."""
        return {}

    def posterior_interval(self, symbols: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """The central 95% of the posterior over p before each place, low and high (..., L, K), NaN
        at RESETs; None where a process has no such p, or not in closed form."""
        return None

    @classmethod
    @abstractmethod
    def examples(cls) -> tuple[Process, ...]:
        """Small instances, on which the contract tests run."""

    def latent_of(self, sites: Mapping[str, Any]) -> Any:
        """The latent values (streams, ...) out of the sites of ``model``; here the site p."""
        return sites["p"]["value"]

    def settings(self) -> dict[str, Any]:
        """What tells this instance from others of its class, as plain JSON values."""
        return {name: json_value(getattr(self, name)) for name in self.parameters}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The process that ``settings`` describe. Errors: ValueError, TypeError, KeyError."""
        if settings.keys() != cls.parameters.keys():
            odd = ", ".join(sorted(settings.keys() ^ cls.parameters.keys()))
            raise ValueError(f"{cls.name} has {_listed(cls.parameters)}; unknown or missing: {odd}")
        given = {k: math.inf if k == "T" and v is None else v for k, v in settings.items()}
        return cls(**given)

    @classmethod
    def from_parameters(cls, given: Mapping[str, Any]) -> Self:
        """The process with these parameters, each a value or the text of one; others at their
        defaults. Errors: ValueError for a name that does not exist, one that is missing, a bad value.
        """
        for name in given:
            if name not in cls.parameters:
                raise ValueError(
                    f"{cls.name} has no parameter {name!r}; it has {_listed(cls.parameters)}"
                )
        for name, argument in inspect.signature(cls).parameters.items():
            if argument.default is inspect.Parameter.empty and name not in given:
                raise ValueError(
                    f"{cls.name} needs {_listed(cls.parameters)}; {name} is missing, for example "
                    f"{name}={cls.parameters[name].example}"
                )
        read = {k: cls.parameters[k].read(v) if isinstance(v, str) else v for k, v in given.items()}
        return cls(**read)

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """This process with some parameters changed. Errors: as ``from_parameters``."""
        return self.from_parameters({k: getattr(self, k) for k in self.parameters} | dict(changes))

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
        with jax.numpy_rank_promotion("allow"):  # NumPyro adds axes in silence
            sites = run.get_trace(streams=batch, tasks=tasks, draws=length if endless else None)
        reset = jnp.full((batch, tasks, 0 if endless else 1), self.num_symbols, jnp.int32)
        if "x" in sites:
            draws = draws_last(sites["x"]["value"]).astype(jnp.int32)
            reset = jnp.concatenate([draws, reset], axis=-1)
        return Streams(reset.reshape(batch, -1)[:, :length], self.latent_of(sites))


def _listed(parameters: Mapping[str, Parameter]) -> str:
    return ", ".join(parameters)


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
    symbols = checked(symbols, num_symbols, task_length)
    return counts_so_far([symbols == k for k in range(num_symbols)], task_length)


def counts_so_far(marks: list[np.ndarray], task_length: float) -> np.ndarray:
    """How many marks (each bool (..., L)) came in the current task before each place, RESETs left
    out. int64 (..., L, number of kinds of marks)."""
    length = marks[0].shape[-1]
    shape = marks[0].shape[:-1]
    if length == 0:
        return np.zeros((*shape, 0, len(marks)), np.int64)
    counts = np.zeros((*tasks_apart(marks[0], task_length).shape, len(marks)), np.int64)
    for k, mark in enumerate(marks):
        np.cumsum(tasks_apart(mark, task_length)[..., :-1], axis=-1, out=counts[..., 1:, k])
    return counts.reshape(*shape, -1, len(marks))[..., :length, :]


def tasks_apart(values: np.ndarray, task_length: float) -> np.ndarray:
    """Places (..., L) by task (..., tasks, span), L >= 1; the last task is filled up with zeros."""
    length = values.shape[-1]
    span = length if math.isinf(task_length) else min(int(task_length), length)
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -length % span)])
    return padded.reshape(*values.shape[:-1], -1, span)


def with_reset(log_p: np.ndarray, task_length: float) -> np.ndarray:
    """Adds RESET to rows over the K symbols: (..., L, K) -> (..., L, K+1), known T."""
    out = np.concatenate([log_p, np.full((*log_p.shape[:-1], 1), -np.inf)], axis=-1)
    reset = ~drawn_places(log_p.shape[-2], task_length)
    out[..., reset, :-1] = -np.inf
    out[..., reset, -1] = 0.0
    return out


def draws_in_task(T: float, draws: int | None) -> int:
    """How many draws the model makes in a task. Errors: ValueError where T does not allow it."""
    if math.isinf(T):
        if draws is None:
            raise ValueError("T is infinite: say how many draws the model should make (draws=n)")
        return draws
    if draws not in (None, int(T) - 1):
        raise ValueError(f"a task of length T={int(T)} has {int(T) - 1} draws; got draws={draws}")
    return int(T) - 1


def draws_last(site: Any) -> Any:
    """A site of the model with the axis of draws last: (draws, streams, tasks) -> (streams, tasks,
    draws)."""
    return jnp.moveaxis(site, 0, -1)


def repeated(log_p: np.ndarray, length: int, T: float) -> np.ndarray:
    """Each task's own log p at all its places: (batch, tasks, K) -> (batch, length, K+1)."""
    span = length if math.isinf(T) else int(T)
    return with_reset(np.repeat(log_p, span, axis=-2)[..., :length, :], T)


def log_normalised(p: Any) -> np.ndarray:
    """log p in float64. Draws are made in float32; normalising here makes the oracle's rows exact."""
    p = np.asarray(p, np.float64)
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log(p.sum(-1, keepdims=True))


def checked(symbols: Any, num_symbols: int, task_length: float) -> np.ndarray:
    """The symbols as an array. Errors: ValueError as for ``Process.log_predictive``."""
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
