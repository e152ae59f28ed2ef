"""Arguments of processes: checked, read from text, and shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from meta_learning.processes.types import Json

# Test streams hold whole tasks: a longer one is better asked for as endless.
MOST_TASK_LENGTH = 100_000


class Parameter(NamedTuple):
    """One argument of a process, as the command line knows it.

    read: its value from text; ValueError where that is not possible. what: what it is. example: a
    text that ``read`` takes. check: (a given value, the argument's name) -> the value as it is kept;
    ValueError where it is not allowed.
    """

    read: Callable[[str], Any]
    what: str
    example: str
    check: Callable[[Any, str], Any] = lambda value, name: value


def read_number(text: str) -> float:
    """Errors: ValueError unless the text is a number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number; got {text!r}") from None


def read_numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas. Errors: ValueError."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"expected numbers with commas, like 10,1,1; got {text!r}") from None


def read_rows(text: str) -> tuple[tuple[float, ...], ...]:
    """Rows of numbers, with a slash between rows: 0.9,0.1/0.2,0.8. Errors: ValueError."""
    return tuple(read_numbers(row) for row in text.split("/"))


def read_matrices(text: str) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Matrices, with two slashes between them: 0,0.5/0,0//0.5,0/1,0. Errors: ValueError."""
    return tuple(read_rows(matrix) for matrix in text.split("//"))


def check_number(value: float, name: str, least: float, most: float) -> float:
    """The value as a float. Errors: ValueError unless it is a number from ``least`` to ``most``."""
    if isinstance(value, bool) or not least <= (number := float(value)) <= most:
        raise ValueError(f"{name} must be between {least:g} and {most:g}; got {value:g}")
    return number


def check_whole(value: float, name: str, least: int, most: int) -> int:
    """The value as an int. Errors: ValueError unless it is a whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not least <= value <= most or value != int(value):
        raise ValueError(f"{name} must be a whole number from {least} to {most}; got {value:g}")
    return int(value)


def check_alpha(
    alpha: Sequence[float], name: str = "alpha", size: int | None = None
) -> tuple[float, ...]:
    """alpha as floats. name: of it in errors. size: how many it must have; None is two or more.

    Errors: ValueError unless it is so many numbers from 1e-6 to 1e6.
    """
    values = tuple(float(a) for a in alpha)
    if size is not None and len(values) != size:
        raise ValueError(f"{name} needs {size} numbers; got {show(values)}")
    if len(values) < 2:
        raise ValueError(f"{name} needs two or more entries, one a symbol; got {show(values)}")
    if not all(math.isfinite(a) and a > 0 for a in values):
        raise ValueError(f"every entry of {name} must be positive and finite; got {show(values)}")
    if not all(1e-6 <= a <= 1e6 for a in values):
        raise ValueError(
            f"every entry of {name} must be between 1e-6 and 1e6, where float32 can draw from it; "
            f"got {show(values)}"
        )
    return values


def check_probabilities(p: Sequence[float], name: str = "p") -> tuple[float, ...]:
    """p as floats that sum to 1. Errors: ValueError for anything but a probability vector.

    name: of p in errors.
    """
    values = tuple(float(v) for v in p)
    if len(values) < 2:
        raise ValueError(f"{name} needs two or more entries, one a symbol; got {show(values)}")
    if not all(0 <= v <= 1 for v in values):
        raise ValueError(f"every entry of {name} must be between 0 and 1; got {show(values)}")
    total = math.fsum(values)
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the entries of {name} must sum to 1; {show(values)} sums to {total:g}")
    # What was normalised once stays as it is: a saved process is found again bit for bit.
    return values if abs(total - 1) < 1e-15 else tuple(v / total for v in values)


def check_distribution(p: Sequence[float], name: str, size: int) -> tuple[float, ...]:
    """``size`` >= 1 numbers in [0, 1] that sum to 1. Errors: ValueError for anything else."""
    if len(p) != size:
        raise ValueError(f"{name} needs {size} entries; got {show(p)}")
    return check_probabilities(p, name) if size > 1 or tuple(p) != (1,) else (1.0,)


def check_distributions(
    rows: Sequence[Sequence[float]], name: str
) -> tuple[tuple[float, ...], ...]:
    """Rows of probabilities of the symbols, as many in each. Errors: ValueError for anything else."""
    if not len(rows):
        raise ValueError(f"{name} needs one row or more; got nothing")
    found = tuple(check_probabilities(row, f"a row of {name}") for row in rows)
    if len({len(row) for row in found}) > 1:
        sizes = ", ".join(str(len(row)) for row in found)
        raise ValueError(f"the rows of {name} must have equal lengths; got {sizes}")
    return found


def check_edges(
    matrices: Sequence[Sequence[Sequence[float]]], name: str
) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """K >= 2 matrices of S x S, whose rows i sum to 1 over all of them. Errors: ValueError for anything
    else."""
    size = len(matrices[0]) if len(matrices) else 0
    shapes = {(len(matrix), len(row)) for matrix in matrices for row in matrix}
    if len(matrices) < 2 or size == 0 or shapes != {(size, size)}:
        raise ValueError(
            f"{name} needs two or more matrices, one a symbol, each with a row and a column for every "
            f"state; got {len(matrices)} of {', '.join(f'{a} x {b}' for a, b in sorted(shapes))}"
        )
    flat = [
        check_probabilities([v for matrix in matrices for v in matrix[i]], f"row {i} of all {name}")
        for i in range(size)
    ]
    return tuple(
        tuple(row[x * size : (x + 1) * size] for row in flat) for x in range(len(matrices))
    )


def check_symbol_number(value: float, name: str = "symbols") -> int:
    """K as an int. Errors: ValueError unless it is a whole number from 2 to 1,000."""
    return check_whole(value, name, 2, 1000)


def check_task_length(T: float, name: str = "T") -> float:
    """T as an int, or math.inf. Errors: ValueError unless it is a whole number from 1 to 100,000, or
    infinite."""
    if math.inf == T:
        return math.inf
    if not math.isfinite(T) or int(T) != T or T < 1:
        raise ValueError(
            f"{name} must be a whole number of 1 or more (RESET included), or inf for no RESET; "
            f"got {T:g}"
        )
    if T > MOST_TASK_LENGTH:
        raise ValueError(
            f"{name} must be at most {MOST_TASK_LENGTH}, or inf for no RESET; got {T:g}"
        )
    return int(T)


def stationary(transition: Float[np.ndarray, "states states"], advice: str) -> tuple[float, ...]:
    """The distribution that a transition matrix keeps: start = start A. Errors: ValueError with
    ``advice`` where there are several."""
    matrix = np.asarray(transition, np.float64)
    balance = np.concatenate([matrix.T - np.eye(len(matrix)), np.ones((1, len(matrix)))])
    if np.linalg.matrix_rank(balance) < len(matrix):
        raise ValueError(f"transition has several stationary distributions; {advice}")
    found = np.linalg.lstsq(balance, np.eye(len(matrix) + 1)[-1], rcond=None)[0]
    found = np.maximum(found, 0.0)  # a state that is left for good comes out at +-1e-17
    return tuple(float(v) for v in found / found.sum())


def json_task_length(T: float) -> int | None:
    """T as JSON has it: null where it is infinite."""
    return None if math.isinf(T) else int(T)


def json_value(value: object) -> Json:
    """A parameter's value as plain JSON: tuples as lists, an infinite T as null."""
    if isinstance(value, tuple):
        return [json_value(v) for v in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def show(values: Sequence[float], comma: str = ",") -> str:
    """Numbers in a sentence."""
    return comma.join(f"{v:g}" for v in values) or "nothing"


def show_value(value: object) -> str:
    """A parameter's value as the command line reads it."""
    if isinstance(value, tuple):
        return show(value) if depth(value) < 2 else slashes(value).join(map(show_value, value))
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def depth(value: object) -> int:
    """How deep tuples are nested: 1 for numbers, 2 for rows, 3 for matrices."""
    return 1 + depth(value[0]) if isinstance(value, tuple) and value else 0


def slashes(value: object) -> str:
    """What stands between the parts of rows or matrices in text."""
    return "/" * (depth(value) - 1)


ALPHA = Parameter(read_numbers, "prior pseudo-counts, one a symbol", "10,1,1", check_alpha)
TASK_LENGTH = Parameter(
    read_number, "task length, RESET included; inf for no RESET", "20", check_task_length
)
