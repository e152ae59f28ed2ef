"""Arguments of processes: how they are checked, read from text and written as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from meta_learning.processes.types import Json

# Test streams hold whole tasks, so a longer T would take much memory; inf is what to give instead.
MOST_TASK_LENGTH = 100_000


class Parameter(NamedTuple):
    """One argument of a process, as the command line knows it.

    read: text -> value; ValueError where the text is no such value. what: a few words for help.
    example: a text that ``read`` takes. check: (value, the argument's name) -> the value as it is kept;
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
    """alpha as floats. name: what errors call it. size: how many numbers are due; None: two or more.

    Errors: ValueError unless alpha is that many numbers from 1e-6 to 1e6.
    """
    values = tuple(float(a) for a in alpha)
    given = format_numbers(values)
    if size is not None and len(values) != size:
        raise ValueError(f"{name} needs {size} numbers; got {given}")
    if len(values) < 2:
        raise ValueError(f"{name} needs two or more entries, one a symbol; got {given}")
    if not all(math.isfinite(a) and a > 0 for a in values):
        raise ValueError(f"every entry of {name} must be positive and finite; got {given}")
    if not all(1e-6 <= a <= 1e6 for a in values):
        raise ValueError(
            f"every entry of {name} must be between 1e-6 and 1e6, where float32 can draw from it; "
            f"got {given}"
        )
    return values


def check_probabilities(p: Sequence[float], name: str = "p") -> tuple[float, ...]:
    """p as two or more floats that sum to 1. name: what errors call it.

    Errors: ValueError for numbers outside [0, 1], or whose sum is not 1 within 1e-6.
    """
    values = tuple(float(v) for v in p)
    given = format_numbers(values)
    if len(values) < 2:
        raise ValueError(f"{name} needs two or more entries, one a symbol; got {given}")
    if not all(0 <= v <= 1 for v in values):
        raise ValueError(f"every entry of {name} must be between 0 and 1; got {given}")
    total = math.fsum(values)
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the entries of {name} must sum to 1; {given} sums to {total:g}")
    # Not normalised a second time, so that a saved process is read back bit for bit.
    return values if abs(total - 1) < 1e-15 else tuple(v / total for v in values)


def check_distribution(p: Sequence[float], name: str, size: int) -> tuple[float, ...]:
    """``size`` >= 1 numbers in [0, 1] that sum to 1. Errors: ValueError for anything else."""
    if len(p) != size:
        raise ValueError(f"{name} needs {size} entries; got {format_numbers(p)}")
    return check_probabilities(p, name) if size > 1 or tuple(p) != (1,) else (1.0,)


def check_distributions(
    rows: Sequence[Sequence[float]], name: str
) -> tuple[tuple[float, ...], ...]:
    """One or more rows of probabilities, of equal length. Errors: ValueError for anything else."""
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
    """T^(x)_ij: K >= 2 matrices of S x S; for each i the entries of all rows i sum to 1.

    Errors: ValueError for anything else.
    """
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


def json_task_length(T: float) -> int | None:
    """T as JSON has it: null where it is infinite."""
    return None if math.isinf(T) else int(T)


def json_value(value: object) -> Json:
    """A parameter's value as plain JSON: tuples as lists, an infinite T as null."""
    if isinstance(value, tuple):
        return [json_value(v) for v in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def format_numbers(values: Sequence[float], comma: str = ",") -> str:
    """Numbers as text, with ``comma`` between them: "10,1,1"."""
    return comma.join(f"{v:g}" for v in values) or "nothing"


def format_value(value: object) -> str:
    """A parameter's value as text that its ``read`` takes."""
    if isinstance(value, tuple):
        return (slashes(value) or ",").join(map(format_value, value))
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def depth(value: object) -> int:
    """How deep tuples are nested: 1 for numbers, 2 for rows, 3 for matrices."""
    return 1 + depth(value[0]) if isinstance(value, tuple) and value else 0


def slashes(value: object) -> str:
    """What separates the parts of ``value`` in text: nothing, "/" or "//"."""
    return "/" * (depth(value) - 1)


def probability(what: str, example: str, most: float = 1.0) -> Parameter:
    """A parameter that is one number from 0 to ``most``."""
    return Parameter(
        read_number, what, example, lambda value, name: check_number(value, name, 0.0, most)
    )


ALPHA = Parameter(read_numbers, "prior pseudo-counts, one a symbol", "10,1,1", check_alpha)
TASK_LENGTH = Parameter(
    read_number, "task length, RESET included; inf for no RESET", "20", check_task_length
)
