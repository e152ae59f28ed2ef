"""Bayes's beliefs as vectors that a linear map can read and write.

A belief is any pytree. ``Machine.to_numbers`` makes its numbers finite; here they become columns: a
float as it is, an integer one-hot over the values seen. On the way back a float is clipped to the range
seen after as many draws, and an integer is the value whose column is largest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Float64, Int, Int64, Integer, PyTreeDef, Shaped

from autoregressive.precision import float64
from meta_learning.processes import Process
from meta_learning.processes.types import Belief, Coordinates


class Held(NamedTuple):
    """Bayes's beliefs in many tasks after the same number of draws. numbers: ``Machine.to_numbers`` of
    them, leaves (tasks, ..). coordinates: float64 (tasks, n) by name."""

    numbers: Belief
    coordinates: dict[str, Float64[np.ndarray, "tasks _"]]


@dataclass(frozen=True)
class Columns:
    """Where each number of a belief is in a vector. tree, shapes, kinds: of the belief's leaves. low,
    high: the range of each number seen, one array a leaf. values: of an integer leaf the values seen,
    one array an entry; empty for a leaf of floats."""

    tree: PyTreeDef
    shapes: list[tuple[int, ...]]
    kinds: list[np.dtype]
    low: list[Shaped[np.ndarray, " _"]]
    high: list[Shaped[np.ndarray, " _"]]
    values: list[list[Shaped[np.ndarray, " _"]]]

    def write(self, numbers: Belief, tasks: int) -> Float64[np.ndarray, "{tasks} columns"]:
        """Numbers of ``tasks`` beliefs as float64 (tasks, columns)."""
        out = [np.zeros((tasks, 0))]
        for leaf, kind, values in zip(
            jax.tree.leaves(numbers), self.kinds, self.values, strict=True
        ):
            flat = _flat(np.asarray(leaf))
            if kind.kind == "f":
                out.append(flat.astype(np.float64))
            else:
                out += [flat[:, [i]] == seen for i, seen in enumerate(values)]
        return np.concatenate(out, axis=1)

    def read(self, columns: Float64[np.ndarray, "tasks columns"]) -> Belief:
        """The numbers nearest to columns (tasks, columns) that need not be exact."""
        leaves, at = [], 0
        for shape, kind, low, high, values in zip(
            self.shapes, self.kinds, self.low, self.high, self.values, strict=True
        ):
            if kind.kind == "f":
                width = int(np.prod(shape))
                flat = np.clip(columns[:, at : at + width], low, high)
                at += width
            else:
                entries = []
                for seen in values:
                    entries.append(seen[columns[:, at : at + len(seen)].argmax(1)])
                    at += len(seen)
                flat = np.stack(entries, axis=1) if entries else np.zeros((len(columns), 0))
            leaves.append(flat.reshape(len(columns), *shape).astype(kind))
        return jax.tree.unflatten(self.tree, leaves)


def columns_of(numbers: Belief) -> Columns:
    """Columns for beliefs like these. numbers: leaves (tasks, ..).

    Errors: ValueError where a number is not finite: the process needs a ``to_numbers`` of its own.
    """
    leaves, tree = jax.tree.flatten(numbers)
    arrays = [np.asarray(leaf) for leaf in leaves]
    if not all(np.isfinite(a).all() for a in arrays):
        raise ValueError(
            "a belief holds numbers that are not finite: to_numbers and from_numbers of the process "
            "can put finite ones in their place"
        )
    flat = [_flat(a) for a in arrays]
    whole = [
        [np.unique(column) for column in f.T] if a.dtype.kind != "f" else []
        for f, a in zip(flat, arrays, strict=True)
    ]
    return Columns(
        tree,
        [a.shape[1:] for a in arrays],
        [a.dtype for a in arrays],
        [f.min(0) for f in flat],
        [f.max(0) for f in flat],
        whole,
    )


def _flat(leaf: Shaped[np.ndarray, "tasks ..."]) -> Shaped[np.ndarray, "tasks numbers"]:
    """(tasks, ..) as (tasks, numbers), also for no numbers, where reshape cannot infer a -1."""
    return leaf.reshape(len(leaf), math.prod(leaf.shape[1:]))


def beliefs_after(process: Process, symbols: Integer[np.ndarray, "tasks draws"], n: int) -> Held:
    """Bayes's beliefs after the first ``n`` draws of tasks. symbols: int (tasks, draws)."""
    with float64():
        held = _after(process, jnp.asarray(symbols, jnp.int32), n)
        return Held(*jax.tree.map(np.asarray, held))


def bayes_from(
    process: Process, numbers: Belief, rest: Integer[np.ndarray, "tasks R"]
) -> Float64[np.ndarray, "tasks R {process.num_symbols}"]:
    """log p of Bayes going on from beliefs: row 0 is predicted by the belief itself.

    numbers: leaves (tasks, ..). rest: the symbols that follow, int (tasks, R). Returns float64 (tasks,
    R, K), nats.
    """
    with float64():
        numbers = jax.tree.map(jnp.asarray, numbers)
        return np.asarray(_go_on(process, numbers, jnp.asarray(rest, jnp.int32)))


def nearest(
    columns: Float64[np.ndarray, "tasks m"], histories: Integer[np.ndarray, "tasks n"]
) -> tuple[Int64[np.ndarray, " tasks"], Bool[np.ndarray, " tasks"]]:
    """For each belief the index of the nearest one of another history, by Euclidean distance, and
    whether there is another history at all, both (tasks,).

    columns: the beliefs, (tasks, m). histories: what led to them, (tasks, n).
    """
    _, which = np.unique(histories, axis=0, return_inverse=True)
    which = which.reshape(-1)
    square = (columns**2).sum(1)
    closest = np.arange(len(columns))
    rows = max(1, 2**22 // max(len(columns), 1))
    for start in range(0, len(columns), rows):
        part = slice(start, start + rows)
        distance = square[None] - 2 * columns[part] @ columns.T
        distance[which[part, None] == which[None]] = np.inf
        closest[part] = distance.argmin(1)
    return closest, which[closest] != which


@partial(jax.jit, static_argnums=0)
def _after(
    process: Process, symbols: Integer[Array, "tasks draws"], n: Int[Array, ""]
) -> tuple[Belief, dict[str, Float[Array, "tasks _"]]]:
    def one(row: Integer[Array, " draws"]) -> tuple[Belief, Coordinates]:
        begin = process.initial_belief(row.shape[-1])
        held = lax.fori_loop(0, n, lambda t, belief: process.update(belief, row[t]), begin)
        return process.to_numbers(held), process.coordinates(held)

    return jax.vmap(one)(symbols)


@partial(jax.jit, static_argnums=0)
def _go_on(
    process: Process, numbers: Belief, rest: Integer[Array, "tasks R"]
) -> Float[Array, "tasks R {process.num_symbols}"]:
    def one(numbers: Belief, row: Integer[Array, " R"]) -> Float[Array, "R symbols"]:
        def step(
            belief: Belief, symbol: Integer[Array, ""]
        ) -> tuple[Belief, Float[Array, " symbols"]]:
            return process.update(belief, symbol), process.log_predictive_of(belief)

        return lax.scan(step, process.from_numbers(numbers), row)[1]

    return jax.vmap(one)(numbers, rest)
