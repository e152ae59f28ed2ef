"""What every generative process is: a NumPyro model of one task, and its exact machine.

A stream is a sequence of tasks. A task of length T is T - 1 drawn symbols, then the symbol
RESET = K: T counts the RESET. T=1 is RESET only, T=inf never resets. Streams start at a task's start,
and tasks are independent.

Row t of every predictive is log p(x_t | x_<t) in nats over the K symbols and RESET, in float64. T is
known: before the T-th place of a task RESET has probability exactly 0, at it exactly 1.
"""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import numpyro.handlers
from jax import Array
from jaxtyping import Float, Float64, Int, Int32, Integer, PRNGKeyArray, PyTree, Shaped
from numpyro.contrib.control_flow import scan

from autoregressive.broadcast import AnyArray
from meta_learning.processes.machine import (
    Machine,
    check_rows,
    log_normalise,
    read_along,
    read_tasks,
)
from meta_learning.processes.parameters import Parameter, format_value, json_value
from meta_learning.processes.places import drawn_places, join_tasks, split_tasks, with_reset
from meta_learning.processes.types import Belief, Json, Latent, Settings, Sites, Symbols

Kind = TypeVar("Kind", bound="Process")
# NumPyro has one stack of handlers for all threads: models that run at once would find one another's.
_ONE_MODEL = threading.RLock()
# One end of an interval over p before each place.
Interval = Float64[np.ndarray, "*streams length symbols"]


class Streams(NamedTuple):
    """Sampled streams. symbols: int (batch, length), RESETs included. latent: what the symbols were
    drawn from, (batch, ...); the process says what that is."""

    symbols: Integer[AnyArray, "batch length"]
    latent: Latent


@dataclass(frozen=True)
class Process(Machine):
    """A source of symbols 0..K-1 and RESET = K that knows its own exact answer.

    A subclass is a frozen dataclass. It gives its parameters as fields, ``latent`` (what a task's
    symbols depend on), the three abstract functions of ``Machine``, and ``log_predictive_given`` (the
    oracle) unless the latent values are the probabilities themselves.

    name: in ``PROCESSES``, on the command line and in checkpoints. parameters: the fields by name, in
    their order; each is checked when an instance is made. latent_name: what the oracle knows, for
    captions. second: the name in ``ladder`` of a second exact predictor, which a network may have learnt
    in place of Bayes: the network is then placed between the two.
    """

    name: ClassVar[str]
    parameters: ClassVar[dict[str, Parameter]]
    latent_name: ClassVar[str]
    second: ClassVar[str | None] = None
    # Constructor arguments come from users and files: ``parameters`` checks them, with clear errors, and
    # the type checker of the tests leaves them alone.
    __no_type_check__: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, parameter in self.parameters.items():
            self.keep(name, parameter.check(getattr(self, name), name))

    def keep(self, name: str, value: object) -> None:
        """Sets a field while an instance is made: for a subclass's ``__post_init__``."""
        object.__setattr__(self, name, value)

    @property
    def task_length(self) -> float:
        """T, RESET included: an integer, or math.inf where there is no RESET. Here the field T."""
        return getattr(self, "T", math.inf)

    @property
    def title(self) -> str:
        """A few words for headings."""
        given = ", ".join(f"{k}={format_value(getattr(self, k))}" for k in self.parameters)
        return f"{self.name} ({given})"

    def latent(self) -> Latent:
        """The NumPyro program of one task's latent values. ``model`` calls it inside the plates of
        streams and tasks, which put two axes in front: an array (streams, tasks, ...)."""
        raise NotImplementedError(
            f"{type(self).__name__} has neither latent nor a model of its own"
        )

    def draw_distribution(self, latent: Latent) -> dist.Distribution | None:
        """The NumPyro distribution of each draw given the latent values (streams, tasks, ...), where
        draws are independent given them; None where they are not."""
        return None

    def model(
        self,
        symbols: Integer[AnyArray, "n {streams} {tasks}"] | None = None,
        *,
        streams: int = 1,
        tasks: int = 1,
        draws: int | None = None,
    ) -> Integer[AnyArray, "n {streams} {tasks}"] | None:
        """The NumPyro model of ``tasks`` tasks in each of ``streams`` streams, RESETs left out.

        symbols: (draws, streams, tasks), the observed draws to condition on; None samples them. draws:
        how many a task has, to be given where T is infinite and T - 1 otherwise. Returns the symbols,
        site x, or None where a task has no draw. Errors: ValueError for another number of draws.

        Draws come all at once from ``draw_distribution`` where there is one, else one by one from
        ``log_predictive_given``.
        """
        n = draws_in_task(self.task_length, draws)
        with numpyro.plate("stream", streams, dim=-2), numpyro.plate("task", tasks, dim=-1):
            latent = self.latent()
            if n == 0:
                return None
            if (independent := self.draw_distribution(latent)) is not None:
                with numpyro.plate("draw", n, dim=-3):
                    return numpyro.sample("x", independent, obs=symbols)

        def each(function: Callable[..., PyTree[Array]]) -> Callable[..., PyTree[Array]]:
            return jax.vmap(jax.vmap(function))

        def step(
            belief: Belief,
            seen: tuple[Int[Array, ""], Integer[AnyArray, "streams tasks"] | None],
        ) -> tuple[Belief, Integer[Array, "streams tasks"]]:
            place, observed = seen
            logits = each(lambda z, b: self.log_predictive_given(z, b, place))(latent, belief)
            x = numpyro.sample("x", dist.Categorical(logits=logits), obs=observed)
            return each(self.update)(belief, jnp.asarray(x, jnp.int32)), x

        begin = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (streams, tasks, *jnp.shape(leaf))),
            self.initial_belief(n),
        )
        return scan(step, begin, (jnp.arange(n), symbols), length=n)[1]

    def log_predictive(
        self, symbols: Symbols
    ) -> Float64[np.ndarray, "*streams length {self.num_symbols+1}"]:
        """As ``Machine.log_predictive``. Errors: also ValueError for a stream that the process cannot
        make; it names the first symbol of probability 0."""
        rows = super().log_predictive(symbols)
        came = np.take_along_axis(rows, np.asarray(symbols, np.int64)[..., None], -1)[..., 0]
        if np.isneginf(came).any():
            flat = came.reshape(-1, came.shape[-1])
            stream, place = np.argwhere(np.isneginf(flat))[0]
            symbol = np.asarray(symbols).reshape(flat.shape)[stream, place]
            raise ValueError(
                f"{self.title} cannot make stream {stream}: after what comes before it, its symbol "
                f"{symbol} at place {place} has probability 0 (both counted from 0)"
            )
        return rows

    def log_predictive_given(
        self, latent: Latent, belief: Belief, place: Int[Array, ""]
    ) -> Float[Array, " {self.num_symbols}"]:
        """The oracle: log p of a task's next draw, nats (K,), given the latent values of the task.

        latent: of one task. belief: the machine's. place: how many draws came before, an int scalar.
        Here the latent values are the probabilities (K,).
        """
        return log_normalise(latent)

    def log_predictive_given_latent(
        self, streams: Streams
    ) -> Float64[np.ndarray, "batch length {self.num_symbols+1}"]:
        """The oracle's log p(x_t | latent, x_<t) in nats, float64 (batch, length, K+1).

        Errors: ValueError where that is no distribution (``check_rows``).
        """
        symbols = np.asarray(streams.symbols)
        draws = split_tasks(np.minimum(symbols, self.num_symbols - 1), self.task_length)
        rows = join_tasks(read_along(self, _read_given, draws, streams.latent), symbols.shape[-1])
        check_rows(rows, self.num_symbols, f"{type(self).__name__}.log_predictive_given")
        return with_reset(rows, self.task_length)

    def probabilities_given_latent(
        self, streams: Streams
    ) -> Float[Array, "batch length {self.num_symbols+1}"]:
        """The oracle's p(x_t | latent, x_<t), RESET's included: ``log_predictive_given_latent`` as
        probabilities, as a part of a compiled program and of its precision."""
        symbols = jnp.asarray(streams.symbols)
        draws = split_tasks(jnp.minimum(symbols, self.num_symbols - 1), self.task_length)
        rows = jax.vmap(partial(read_tasks, self, _read_given))(draws, streams.latent)
        p = jnp.exp(join_tasks(rows, symbols.shape[-1]))
        drawn = jnp.asarray(drawn_places(symbols.shape[-1], self.task_length))[:, None]
        reset = jnp.eye(self.num_symbols + 1)[-1]
        return jnp.where(drawn, jnp.pad(p, [(0, 0), (0, 0), (0, 1)]), reset)

    def ladder(self) -> dict[str, Machine]:
        """Reference predictors of this process alone, by name, weaker than Bayes. Bayes, the oracle and
        memoryless exist for every process and are not among them."""
        return {}

    def posterior_interval(self, symbols: Symbols) -> tuple[Interval, Interval] | None:
        """The central 95% of the posterior over p before each place: its ends (..., L, K), NaN at
        RESETs; None where a process has no such p, or no closed form of its posterior."""
        return None

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        """Small instances, on which the contract tests run; here one with the defaults."""
        return (cls(),)

    def latent_of(self, sites: Sites) -> Latent:
        """The latent values (streams, ...) from the sites of ``model``; here those of the first site
        that is sampled."""
        sampled = (s["value"] for name, s in sites.items() if s["type"] == "sample" and name != "x")
        return next(sampled)

    def settings(self) -> Settings:
        """The parameters as plain JSON values: equal instances have equal settings."""
        return {name: json_value(getattr(self, name)) for name in self.parameters}

    @classmethod
    def from_settings(cls: type[Kind], settings: Mapping[str, Json]) -> Kind:
        """The process that ``settings`` describe. Errors: ValueError, TypeError, KeyError."""
        if settings.keys() != cls.parameters.keys():
            odd = ", ".join(sorted(settings.keys() ^ cls.parameters.keys()))
            raise ValueError(
                f"{cls.name} has {_list_names(cls.parameters)}; unknown or missing: {odd}"
            )
        given = {k: math.inf if k == "T" and v is None else v for k, v in settings.items()}
        return cls(**given)

    @classmethod
    def from_parameters(cls: type[Kind], given: Mapping[str, Json]) -> Kind:
        """The process with these parameters, each a value or text to be read; others have their
        defaults. Errors: ValueError for an unknown name, a missing one, or a bad value."""
        for name in given:
            if name not in cls.parameters:
                raise ValueError(
                    f"{cls.name} has no parameter {name!r}; it has {_list_names(cls.parameters)}"
                )
        for name, argument in inspect.signature(cls).parameters.items():
            if argument.default is inspect.Parameter.empty and name not in given:
                raise ValueError(
                    f"{cls.name} needs {_list_names(cls.parameters)}; {name} is missing, for example "
                    f"{name}={cls.parameters[name].example}"
                )
        read = {k: cls.parameters[k].read(v) if isinstance(v, str) else v for k, v in given.items()}
        return cls(**read)

    def replace(self: Kind, changes: Mapping[str, Json]) -> Kind:
        """This process with some parameters changed. Errors: as ``from_parameters``."""
        return self.from_parameters({k: getattr(self, k) for k in self.parameters} | dict(changes))

    def sample(
        self, key: PRNGKeyArray, batch: int, length: int
    ) -> Int32[Array, "{batch} {length}"]:
        """``batch`` streams of ``length`` symbols, RESETs included. Returns int32 (batch, length)."""
        return self.sample_with_latent(key, batch, length).symbols

    @partial(jax.jit, static_argnums=(0, 2, 3))
    def sample_with_latent(self, key: PRNGKeyArray, batch: int, length: int) -> Streams:
        """As ``sample``, with the latent values of every task: one compiled call of the model."""
        if batch < 1 or length < 1:
            raise ValueError(f"batch and length must be 1 or more; got {batch} and {length}")
        endless = math.isinf(self.task_length)
        tasks = 1 if endless else -(-length // int(self.task_length))
        run = numpyro.handlers.trace(numpyro.handlers.seed(self.model, key))
        with _ONE_MODEL, jax.numpy_rank_promotion("allow"):  # NumPyro adds axes in silence
            sites = run.get_trace(streams=batch, tasks=tasks, draws=length if endless else None)
        symbols = jnp.full((batch, tasks, 0 if endless else 1), self.num_symbols, jnp.int32)
        if "x" in sites:  # tasks of T = 1 have no draw
            draws = move_draws_last(sites["x"]["value"]).astype(jnp.int32)
            symbols = jnp.concatenate([draws, symbols], axis=-1)
        return Streams(symbols.reshape(batch, -1)[:, :length], self.latent_of(sites))


def _read_given(
    process: Process, latent: Latent, belief: Belief, place: Int[Array, ""]
) -> Float[Array, " {process.num_symbols}"]:
    return process.log_predictive_given(latent, belief, place)


def _list_names(parameters: Mapping[str, Parameter]) -> str:
    return ", ".join(parameters)


def draws_in_task(T: float, draws: int | None) -> int:
    """How many draws a task of length T has: T - 1, or ``draws`` where T is infinite.

    Errors: ValueError where ``draws`` is another number than T - 1, or missing where T is infinite.
    """
    if math.isinf(T):
        if draws is None:
            raise ValueError("T is infinite: say how many draws the model should make (draws=n)")
        return draws
    if draws not in (None, int(T) - 1):
        raise ValueError(f"a task of length T={int(T)} has {int(T) - 1} draws; got draws={draws}")
    return int(T) - 1


def move_draws_last(site: Shaped[Array, "n streams tasks"]) -> Shaped[Array, "streams tasks n"]:
    """A site of the model: (draws, streams, tasks) -> (streams, tasks, draws)."""
    return jnp.moveaxis(site, 0, -1)
