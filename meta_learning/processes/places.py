"""Where in a stream tasks begin, symbols are drawn and RESETs stand, in NumPy.

A task of length T is T - 1 drawn symbols, then RESET = K: T counts the RESET.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int64, Integer, Shaped

from meta_learning.processes.types import Symbols

# Of NumPy, or of JAX.
AnArray = TypeVar("AnArray", np.ndarray, Array)


def drawn_places(length: int, task_length: float) -> Bool[np.ndarray, " {length}"]:
    """Which places of a stream hold a drawn symbol (True) and which a RESET. bool (length,)."""
    places = np.arange(length)
    if math.isinf(task_length):
        return np.ones(length, bool)
    return places % int(task_length) != int(task_length) - 1


def stream_length(task_length: float) -> int:
    """L of test streams: whole tasks, about 100 symbols. T * max(1, floor(100 / T)); 100 for inf."""
    if math.isinf(task_length):
        return 100
    return int(task_length) * max(1, 100 // int(task_length))


def split_tasks(
    values: Shaped[AnArray, "*streams length"], task_length: float
) -> Shaped[AnArray, "*streams tasks span"]:
    """Streams (..., L), L >= 1, by task: (..., tasks, span). The last task is filled up with zeros."""
    length = values.shape[-1]
    span = length if math.isinf(task_length) else min(int(task_length), length)
    widths = [(0, 0)] * (values.ndim - 1) + [(0, -length % span)]
    padded = values.__array_namespace__().pad(values, widths)
    return padded.reshape(*values.shape[:-1], -1, span)


def join_tasks(
    rows: Shaped[AnArray, "*streams tasks span n"], length: int
) -> Shaped[AnArray, "*streams {length} n"]:
    """Rows by task, (..., tasks, span, n), along streams again: (..., length, n)."""
    return rows.reshape(*rows.shape[:-3], -1, rows.shape[-1])[..., :length, :]


def count_symbols(
    symbols: Symbols, num_symbols: int
) -> Int64[np.ndarray, "*streams {num_symbols}"]:
    """How often each symbol occurs. symbols: int (..., n). Returns int64 (..., K)."""
    return (np.asarray(symbols)[..., None] == np.arange(num_symbols)).sum(-2)


def counts_before(
    draws: Integer[np.ndarray, "*tasks n"], num_symbols: int
) -> Int64[np.ndarray, "*tasks n {num_symbols}"]:
    """Counts of each symbol before each draw of one task. int (..., n) -> int64 (..., n, K)."""
    counts = np.zeros((*draws.shape, num_symbols), np.int64)
    for k in range(num_symbols):
        np.cumsum((draws == k)[..., :-1], axis=-1, out=counts[..., 1:, k])
    return counts


def task_counts(
    symbols: Symbols, num_symbols: int, task_length: float
) -> Int64[np.ndarray, "*streams length {num_symbols}"]:
    """Counts of each symbol in the current task before each place. int64 (..., L, K).

    symbols: int (..., L). RESET clears the counts and is never counted.
    Errors: ValueError as for ``Machine.log_predictive``.
    """
    symbols = check_symbols(symbols, num_symbols, task_length)
    if not symbols.shape[-1]:
        return np.zeros((*symbols.shape, num_symbols), np.int64)
    counts = counts_before(split_tasks(symbols, task_length), num_symbols)
    return join_tasks(counts, symbols.shape[-1])


def with_reset(
    log_p: Float[np.ndarray, "*streams length symbols"], task_length: float
) -> Float[np.ndarray, "*streams length symbols+1"]:
    """Adds RESET to rows of log p over the K symbols: (..., L, K) -> (..., L, K+1). Its probability is
    1 at its places and 0 elsewhere, since T is known."""
    out = np.concatenate([log_p, np.full((*log_p.shape[:-1], 1), -np.inf)], axis=-1)
    reset = ~drawn_places(log_p.shape[-2], task_length)
    out[..., reset, :-1] = -np.inf
    out[..., reset, -1] = 0.0
    return out


def check_symbols(
    symbols: Symbols, num_symbols: int, task_length: float
) -> Integer[np.ndarray, "*streams length"]:
    """The symbols as an array.

    Errors: ValueError where a symbol is outside 0..K or a RESET is not where T puts it.
    """
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
