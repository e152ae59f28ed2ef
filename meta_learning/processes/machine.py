"""The exact machine: a predictor that holds a belief, says what comes next and takes it in.

Written for one task and one symbol, without batch, RESET or T. Everything along streams is derived
from it here, in float64 and without changing JAX's flags for the user. All of it is JAX: it can be
compiled, mapped over tasks, and run beside a network's state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Float64, Int, Int64, Integer, Shaped

from autoregressive.broadcast import AnyArray
from autoregressive.precision import float64
from meta_learning.processes.places import check_symbols, join_tasks, split_tasks, with_reset
from meta_learning.processes.types import ArrayLike, Belief, Coordinates, Latent, Symbol, Symbols

# Numbers in the beliefs of one compiled call, so that they stay in a processor's cache; and in what
# it returns, so that long streams fit in memory.
_BELIEFS, _RETURNED = 2**15, 2**22
# How many symbols a belief can hold where nobody says: test streams without RESET are as long.
HORIZON = 100


class Machine(ABC):
    """A predictor of tasks over symbols 0..K-1.

    Instances are hashable, such as frozen dataclasses: they are static arguments of compiled functions,
    and equal ones are compiled once. A belief is any pytree of arrays whose shapes ``update`` keeps.
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
    def initial_belief(self, draws: int = HORIZON) -> Belief:
        """What is held at a task's start. draws: how many symbols the belief must be able to take in;
        only beliefs that would grow with them, such as run lengths, use it."""

    @abstractmethod
    def update(self, belief: Belief, symbol: Symbol) -> Belief:
        """The belief after a drawn symbol, an int scalar. After one of probability 0 it means nothing,
        but is finite."""

    @abstractmethod
    def log_predictive_of(self, belief: Belief) -> Float[Array, "*batch {self.num_symbols}"]:
        """log p of the next drawn symbol, nats (K,); -inf for one that cannot come."""

    def coordinates(self, belief: Belief) -> Coordinates:
        """What a network's state might hold of the belief, by name: float vectors."""
        return {}

    def to_numbers(self, belief: Belief) -> Belief:
        """The belief in finite numbers of which a mean makes sense, such as probabilities in the place
        of their logarithms: what is read off a network's state. Any pytree of arrays; integers are told
        apart, never averaged."""
        return belief

    def from_numbers(self, numbers: Belief) -> Belief:
        """A belief out of what ``to_numbers`` gives. Numbers that were read off a state come near
        it only: each lies between the least and the largest that were seen, no more is sure."""
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
        """log p of each draw of one task given those before. draws: int (..., n), n >= 1, in 0..K-1.
        Returns float64 (..., n, K). A vectorised formula may stand in its place where it is faster."""
        return _along(self, "log_predictive_of", draws)

    def log_predictive(
        self, symbols: Symbols
    ) -> Float64[np.ndarray, "*streams length {self.num_symbols+1}"]:
        """The exact log p(x_t | x_<t) in nats. symbols: int (..., L). Returns float64 (..., L, K+1).

        Errors: ValueError where a symbol is outside 0..K or a RESET is not where T puts it.
        """
        symbols = check_symbols(symbols, self.num_symbols, self.task_length)
        if not symbols.size:
            return with_reset(np.zeros((*symbols.shape, self.num_symbols)), self.task_length)
        rows = self.log_predictive_along(self._draws(symbols))
        return with_reset(join_tasks(rows, symbols.shape[-1]), self.task_length)

    def coordinates_along(
        self, symbols: Symbols
    ) -> dict[str, Float64[np.ndarray, "*streams length _"]]:
        """``coordinates`` before each place of streams: of x_<t of its task. symbols: int (..., L),
        L >= 1. Each float64 (..., L, n). Errors: as ``log_predictive``."""
        symbols = check_symbols(symbols, self.num_symbols, self.task_length)
        found = _along(self, "coordinates", self._draws(symbols))
        return {name: join_tasks(rows, symbols.shape[-1]) for name, rows in found.items()}

    def _draws(
        self, symbols: Integer[np.ndarray, "*streams length"]
    ) -> Integer[np.ndarray, "*streams tasks span"]:
        """Streams by task, with a symbol in the place of RESET: what is said after it is not read."""
        return split_tasks(np.minimum(symbols, self.num_symbols - 1), self.task_length)


def log_normalise(p: Shaped[AnyArray, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
    """log p over the last axis. Draws are made in float32; normalised here they are exact."""
    p = jnp.asarray(p)
    return jnp.log(p) - jnp.log(p.sum(-1, keepdims=True))


def _along(
    machine: Machine,
    function: str,
    draws: Integer[np.ndarray, "*tasks n"],
    latent: Latent = None,
) -> Any:
    """A method of the machine's belief before each draw. draws: int (..., n). latent: arrays
    (..., anything), an entry a task. Returns arrays (..., n, anything)."""
    shape, length = draws.shape, draws.shape[-1]
    flat = draws.reshape(-1, length).astype(np.int32)
    with float64():
        given = jax.tree.map(_wide(len(flat)), latent)
        held = jax.eval_shape(lambda: machine.initial_belief(length - 1))
        size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(held)) + machine.num_symbols
        # Every call has as many tasks, so that a task's bits do not depend on its company.
        most = min(_BELIEFS // size, _RETURNED // (length * machine.num_symbols))
        rows = 8 * max(1, most // 8)
        starts = range(0, len(flat), rows)
        parts = [_rows(machine, function, (flat, given), start, rows) for start in starts]
        whole = jax.tree.map(lambda *a: np.concatenate(a), *parts)
    return jax.tree.map(lambda a: a.reshape(*shape, *a.shape[2:]), whole)


def _rows(machine: Machine, function: str, given: Any, start: int, rows: int) -> Any:
    """``_scan`` of the tasks from ``start`` on, ``rows`` at most, filled up to so many."""
    chunk = jax.tree.map(lambda a: a[start : start + rows], given)
    count = len(chunk[0])
    padded = jax.tree.map(lambda a: np.pad(a, ((0, rows - count), *[(0, 0)] * (a.ndim - 1))), chunk)
    return jax.tree.map(lambda a: np.asarray(a)[:count], _scan(machine, function, *padded))


def _wide(tasks: int) -> Any:
    """Latent arrays (batch, tasks, ...) in float64, the leading axes made one."""

    def flat(leaf: ArrayLike) -> np.ndarray:
        leaf = np.asarray(leaf)
        leaf = leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf
        return leaf.reshape(tasks, *leaf.shape[2:])

    return flat


@partial(jax.jit, static_argnums=0)
def _first(machine: Machine) -> Float[Array, " {machine.num_symbols}"]:
    return machine.log_predictive_of(machine.initial_belief(0))


@partial(jax.jit, static_argnums=(0, 1))
def _scan(machine: Machine, function: str, draws: Integer[Array, "tasks n"], latent: Latent) -> Any:
    """draws: int (tasks, n). Returns arrays (tasks, n, anything)."""
    of = getattr(machine, function)
    length = draws.shape[-1]

    def one(symbols: Integer[Array, " n"], latent: Latent) -> Any:
        def step(
            belief: Belief, seen: tuple[Int[Array, ""], Integer[Array, ""]]
        ) -> tuple[Belief, Belief]:
            place, symbol = seen
            said = of(belief) if latent is None else of(latent, belief, place)
            return machine.update(belief, symbol), said

        begin = machine.initial_belief(length - 1)
        return lax.scan(step, begin, (jnp.arange(length), symbols))[1]

    return jax.vmap(one)(draws, latent)


def along_latent(
    machine: Machine, draws: Integer[np.ndarray, "batch tasks n"], latent: Latent
) -> Float64[np.ndarray, "batch tasks n {machine.num_symbols}"]:
    """``log_predictive_given`` of each draw of tasks whose latent values are known.

    draws: int (batch, tasks, n). latent: (batch, tasks, ...). Returns float64 (batch, tasks, n, K).
    """
    return _along(machine, "log_predictive_given", draws, latent)
