"""The exact machine: a predictor that holds a belief, says what comes next and takes it in.

A machine is written for one task and one symbol, without batch, RESET or T. What it says along
streams is derived here, in float64 and without changing JAX's flags for the user. All of it is JAX, so
that it can be compiled, mapped over tasks, and run beside a network's state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Float64, Int, Int64, Integer, PyTree, Shaped

from autoregressive.broadcast import AnyArray
from autoregressive.precision import float64
from meta_learning.processes.places import check_symbols, join_tasks, split_tasks, with_reset
from meta_learning.processes.types import ArrayLike, Belief, Coordinates, Latent, Symbol, Symbols

M = TypeVar("M", bound="Machine")
# (machine, latent, belief, place) -> what is read of the belief before a draw.
Read = Callable[[M, Latent, Belief, Int[Array, ""]], PyTree[Array]]
# Numbers in the beliefs of one compiled call, so that they stay in a processor's cache; and numbers
# that it returns, so that long streams fit in memory.
_BELIEFS, _RETURNED = 2**15, 2**22
# How many streams' probabilities are summed to see whether they are any, and how far off 1 a sum may be:
# latent values are drawn in float32.
_SUMMED, _OFF = 64, 1e-5
# How many symbols a belief can take in where nobody says: the length of test streams without RESET.
HORIZON = 100


class Machine(ABC):
    """A predictor of tasks over symbols 0..K-1.

    Instances are hashable, such as frozen dataclasses: they are static arguments of compiled functions,
    and equal ones share a compiled program. A belief is any pytree of arrays whose shapes ``update``
    keeps. most_beliefs: of one compiled call, where a predictive holds many numbers.
    """

    most_beliefs: ClassVar[int] = _BELIEFS

    @property
    @abstractmethod
    def num_symbols(self) -> int:
        """K, the number of symbols without RESET."""

    @property
    @abstractmethod
    def task_length(self) -> float:
        """T, RESET included: an integer, or math.inf where there is no RESET."""

    @abstractmethod
    def initial_belief(self, draws: int = HORIZON) -> Belief:
        """The belief at a task's start. draws: how many symbols it must be able to take in; only
        beliefs that grow with them, such as those over run lengths, use it."""

    @abstractmethod
    def update(self, belief: Belief, symbol: Symbol) -> Belief:
        """The belief after a drawn symbol, an int scalar. After a symbol of probability 0 it is finite
        but means nothing."""

    @abstractmethod
    def log_predictive_of(self, belief: Belief) -> Float[Array, "*batch {self.num_symbols}"]:
        """log p of the next drawn symbol, nats (K,); -inf for one that cannot come."""

    def coordinates(self, belief: Belief) -> Coordinates:
        """What a network's state might hold of the belief, by name: float vectors."""
        return {}

    def to_numbers(self, belief: Belief) -> Belief:
        """The belief as finite numbers of which a mean makes sense, such as probabilities in place of
        their logarithms. Any pytree of arrays. These are the targets of maps from a network's state:
        floats by regression, integers by classification."""
        return belief

    def from_numbers(self, numbers: Belief) -> Belief:
        """The belief that numbers as of ``to_numbers`` stand for. They may be estimates read off a
        network's state: each is within the range of those seen, nothing else is certain."""
        return numbers

    def statistic(self, symbols: Symbols) -> Int64[np.ndarray, "*streams m"] | None:
        """Integers that are equal for histories of one length exactly where their beliefs are.

        symbols: int (..., n), a task's first draws. Returns int64 (..., m); None where hardly any two
        histories agree.
        """
        return None

    def log_first(self) -> Float64[np.ndarray, " {self.num_symbols}"]:
        """log p of a task's first symbol in nats, float64 (K,): what is known before any symbol."""
        with float64():
            return np.asarray(_first(self))

    def log_predictive_along(
        self, draws: Integer[np.ndarray, "*tasks n"]
    ) -> Float64[np.ndarray, "*tasks n {self.num_symbols}"]:
        """log p of each draw of one task given those before, nats. draws: int (..., n), n >= 1, in
        0..K-1. Returns float64 (..., n, K). A subclass may put a vectorised formula in its place."""
        return read_along(self, _read_predictive, draws)

    def log_predictive(
        self, symbols: Symbols
    ) -> Float64[np.ndarray, "*streams length {self.num_symbols+1}"]:
        """The exact log p(x_t | x_<t) in nats. symbols: int (..., L). Returns float64 (..., L, K+1).

        Errors: ValueError where a symbol is outside 0..K or a RESET is not where T puts it, or where
        what the machine says is no distribution (``check_rows``).
        """
        symbols = check_symbols(symbols, self.num_symbols, self.task_length)
        if not symbols.size:
            return with_reset(np.zeros((*symbols.shape, self.num_symbols)), self.task_length)
        rows = join_tasks(self.log_predictive_along(self._draws(symbols)), symbols.shape[-1])
        check_rows(rows, self.num_symbols, f"{type(self).__name__}.log_predictive_of")
        return with_reset(rows, self.task_length)

    def coordinates_along(
        self, symbols: Symbols
    ) -> dict[str, Float64[np.ndarray, "*streams length _"]]:
        """``coordinates`` before each place of streams, given the task's symbols so far. symbols: int
        (..., L), L >= 1. Each is float64 (..., L, n). Errors: as ``log_predictive``."""
        symbols = check_symbols(symbols, self.num_symbols, self.task_length)
        found = read_along(self, _read_coordinates, self._draws(symbols))
        return {name: join_tasks(rows, symbols.shape[-1]) for name, rows in found.items()}

    def _draws(
        self, symbols: Integer[np.ndarray, "*streams length"]
    ) -> Integer[np.ndarray, "*streams tasks span"]:
        """Streams by task. RESETs become an arbitrary symbol: they end their task, so that nothing
        after them is read."""
        return split_tasks(np.minimum(symbols, self.num_symbols - 1), self.task_length)


def check_rows(
    rows: Float64[np.ndarray, "*streams length symbols"], num_symbols: int, what: str
) -> None:
    """Errors: ValueError where there is not one number a symbol, where any is NaN, or where the
    probabilities of the first streams do not sum to 1. what: says them."""
    if rows.shape[-1] != num_symbols:
        raise ValueError(
            f"{what} gives {rows.shape[-1]} numbers; expected {num_symbols}, log p of each symbol"
        )
    flat = rows.reshape(-1, *rows.shape[-2:])
    wrong = np.isnan(flat).any(-1)
    if not wrong.any():
        with np.errstate(over="ignore"):
            wrong = np.abs(np.exp(flat[:_SUMMED]).sum(-1) - 1) > _OFF
    if wrong.any():
        stream, place = np.argwhere(wrong)[0]
        with np.errstate(over="ignore"):
            total = np.exp(flat[stream, place]).sum()
        raise ValueError(
            f"{what} is no distribution: at place {place} of stream {stream} (both counted from 0) its "
            f"probabilities sum to {total:.6g}; expected log p of each symbol, nats"
        )


def at_distinct(
    predict: Callable[[Integer[np.ndarray, "rows m"]], Float[Array, "rows symbols"]],
    rows: Integer[np.ndarray, "*places m"],
    base: int,
    at_once: int,
) -> Float64[np.ndarray, "*places symbols"]:
    """What ``predict`` says of rows of integers in 0..base-1, in float64, computed once for equal rows:
    beliefs in numbers, of which there are far fewer than places. at_once: rows of one call."""
    flat, m = rows.reshape(-1, rows.shape[-1]), rows.shape[-1]
    if base**m < 2**62:  # a row as the digits of one number, which sorts fast
        code = flat @ base ** np.arange(m)
        _, first, place = np.unique(code, return_index=True, return_inverse=True)
        distinct = flat[first]
    else:
        distinct, place = np.unique(flat, axis=0, return_inverse=True)
    # Every call has as many rows, so that a row's bits do not depend on its company.
    padded = np.pad(distinct, ((0, -len(distinct) % at_once), (0, 0)))
    with float64():
        found = np.concatenate([predict(part) for part in padded.reshape(-1, at_once, m)])
    return found[place.reshape(rows.shape[:-1])]


def log_normalise(p: Shaped[AnyArray, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
    """log p, normalised over the last axis: p drawn in float32 sums to 1 only roughly."""
    p = jnp.asarray(p)
    return jnp.log(p) - jnp.log(p.sum(-1, keepdims=True))


def read_along(
    machine: M,
    read: Read[M],
    draws: Integer[np.ndarray, "*tasks n"],
    latent: Latent = None,
) -> PyTree[np.ndarray]:
    """What ``read`` says of the belief before each draw, in float64.

    read: (machine, latent, belief, place) -> a tree of arrays; place: how many draws of the task came
    before. It is compiled once for each machine, so it should be a function of a module. draws: int
    (..., n). latent: arrays (streams, tasks, ...) with one entry a task; None: ``read`` gets None.
    Returns the same tree of arrays (..., n, ...).
    """
    shape, length = draws.shape, draws.shape[-1]
    flat = draws.reshape(-1, length).astype(np.int32)
    tasks = len(flat)
    with float64():
        given = (flat, jax.tree.map(lambda leaf: _by_task(leaf, tasks), latent))
        held = jax.eval_shape(lambda: machine.initial_belief(length - 1))
        size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(held)) + machine.num_symbols
        # Every call has as many tasks, so that a task's bits do not depend on its company.
        numbers = length * machine.num_symbols
        most = min(_BELIEFS // size, _RETURNED // numbers, machine.most_beliefs)
        rows = 8 * max(1, most // 8)
        parts = [_read_chunk(machine, read, given, i, rows) for i in range(0, tasks, rows)]
        whole = jax.tree.map(lambda *a: np.concatenate(a), *parts)
    return jax.tree.map(lambda a: a.reshape(*shape, *a.shape[2:]), whole)


def _by_task(leaf: ArrayLike, tasks: int) -> Shaped[np.ndarray, "{tasks} ..."]:
    """A latent array (streams, tasks, ...) with its leading axes made one; floats as float64."""
    leaf = np.asarray(leaf)
    leaf = leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf
    return leaf.reshape(tasks, *leaf.shape[2:])


def _read_chunk(
    machine: M,
    read: Read[M],
    given: tuple[Integer[np.ndarray, "tasks n"], Latent],
    start: int,
    rows: int,
) -> PyTree[np.ndarray]:
    """``read_tasks`` of ``rows`` tasks from ``start`` on; zeros fill up a call of fewer."""
    chunk = jax.tree.map(lambda a: a[start : start + rows], given)
    count = len(chunk[0])
    padded = jax.tree.map(lambda a: np.pad(a, ((0, rows - count), *[(0, 0)] * (a.ndim - 1))), chunk)
    return jax.tree.map(lambda a: np.asarray(a)[:count], read_tasks(machine, read, *padded))


@partial(jax.jit, static_argnums=(0, 1))
def read_tasks(
    machine: M, read: Read[M], draws: Integer[Array, "tasks n"], latent: Latent
) -> PyTree[Array]:
    """``read_along`` as a part of a compiled program and of its precision. draws and latent arrays:
    with one axis of tasks."""
    length = draws.shape[-1]

    def along_task(symbols: Integer[Array, " n"], latent: Latent) -> PyTree[Array]:
        def step(
            belief: Belief, seen: tuple[Int[Array, ""], Integer[Array, ""]]
        ) -> tuple[Belief, PyTree[Array]]:
            place, symbol = seen
            return machine.update(belief, symbol), read(machine, latent, belief, place)

        begin = machine.initial_belief(length - 1)
        return lax.scan(step, begin, (jnp.arange(length), symbols))[1]

    return jax.vmap(along_task)(draws, latent)


def _read_predictive(
    machine: Machine, latent: Latent, belief: Belief, place: Int[Array, ""]
) -> Float[Array, " {machine.num_symbols}"]:
    return machine.log_predictive_of(belief)


def _read_coordinates(
    machine: Machine, latent: Latent, belief: Belief, place: Int[Array, ""]
) -> Coordinates:
    return machine.coordinates(belief)


@partial(jax.jit, static_argnums=0)
def _first(machine: Machine) -> Float[Array, " {machine.num_symbols}"]:
    return machine.log_predictive_of(machine.initial_belief(0))
