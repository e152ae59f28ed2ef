"""Checks of what a checkpoint's header says; nothing in it is used unchecked.

The functions raise ValueError with what was expected and what came; the caller adds the file's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoregressive.errors import show

# A JSON object that is read, and one that is being made.
Header = Mapping[str, Any]
Settings = dict[str, Any]

# The largest size, seed or count: products of two stay below 2^63.
_MOST = 2**31 - 1
_MOST_ANYWHERE = 2**63 - 1
# Optional parts of a header that are objects, and the counts in them.
_OBJECTS = ("recipe", "data", "process", "versions")
_COUNTS = {"recipe": ("iterations", "batch_size", "unroll", "epochs"), "data": ("images",)}


def get_whole(header: Header, name: str, least: int = 1, most: int = _MOST) -> int:
    """A whole number from ``least`` to ``most``, written as one: not 32.0, "32" or true.

    Errors: ValueError where it is missing or another value.
    """
    value = _get(header, name)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {show(value)}, expected a whole number from {least} to {most}")
    return value


def get_wholes(header: Header, name: str) -> tuple[int, ...]:
    """A list, possibly empty, of whole numbers of 1 or more. Errors: ValueError."""
    values = _get(header, name)
    if not isinstance(values, list) or any(type(v) is not int or v < 1 for v in values):
        raise ValueError(f"{name} is {show(values)}, expected a list of whole numbers from 1")
    return tuple(get_whole({name: value}, name) for value in values)


def get_probability(header: Header, name: str) -> float:
    """A number between 0 and 1, both excluded. Errors: ValueError."""
    value = _get(header, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError(f"{name} is {show(value)}, expected a number between 0 and 1")
    return float(value)


def get_text(header: Header, name: str) -> str:
    """A text. Errors: ValueError."""
    value = _get(header, name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {show(value)}, expected a text")
    return value


def check_settings(header: Header) -> None:
    """Checks what any network's header says of its training. Errors: ValueError.

    The seed names files, and counts are multiplied: both must be whole numbers.
    """
    if "seed" in header:
        get_whole(header, "seed", least=0)
    for name in _OBJECTS:
        part = header.get(name, {})
        if not isinstance(part, dict):
            raise ValueError(f"{name} is {show(part)}, expected an object")
        for count in _COUNTS.get(name, ()):
            if count in part:
                get_whole(part, count)
        if "name" in part:
            get_text(part, "name")
    _check_numbers(header)


def _check_numbers(header: Header) -> None:
    """Errors: ValueError where a whole number, at any depth, is too large for int64."""
    rest: list[tuple[str, object]] = list(header.items())
    while rest:
        name, value = rest.pop()
        if isinstance(value, dict):
            rest += value.items()
        elif isinstance(value, list):
            rest += ((name, v) for v in value)
        elif type(value) is int and abs(value) > _MOST_ANYWHERE:
            raise ValueError(f"{name} is {show(value)}, expected at most {_MOST_ANYWHERE}")


def _get(header: Header, name: str) -> object:
    if name not in header:
        raise ValueError(f"{name} is missing")
    return header[name]
