"""What a checkpoint's header may say: nothing in it is believed before it was checked here.

Functions raise ValueError with what was expected and what came; who calls them knows the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A JSON object as it is read, and one that is being made.
Header = Mapping[str, Any]
Settings = dict[str, Any]

# Sizes, seeds and counts are below this, so that their products stay far from any overflow.
_MOST = 2**31 - 1
_MOST_ANYWHERE = 2**63 - 1
# What may stand in a header or not; where it stands, it is an object of these parts.
_OBJECTS = ("recipe", "data", "process", "versions")
_COUNTS = {"recipe": ("iterations", "batch_size", "unroll", "epochs"), "data": ("images",)}


def get_whole(header: Header, name: str, least: int = 1, most: int = _MOST) -> int:
    """A whole number that JSON wrote as one: 32, but neither 32.0 nor "32" nor true.

    Errors: ValueError where it is missing, another kind of value, or outside least..most.
    """
    value = _get(header, name)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {show(value)}, expected a whole number from {least} to {most}")
    return value


def get_wholes(header: Header, name: str) -> tuple[int, ...]:
    """A list of whole numbers of 1 or more, which may be empty. Errors: ValueError."""
    values = _get(header, name)
    if not isinstance(values, list) or any(type(v) is not int or v < 1 for v in values):
        raise ValueError(f"{name} is {show(values)}, expected a list of whole numbers from 1")
    return tuple(get_whole({name: value}, name) for value in values)


def get_probability(header: Header, name: str) -> float:
    """A number between 0 and 1, neither of them. Errors: ValueError."""
    value = _get(header, name)
    if type(value) not in (int, float) or not 0 < value < 1:
        raise ValueError(f"{name} is {show(value)}, expected a number between 0 and 1")
    return float(value)


def get_text(header: Header, name: str) -> str:
    """A text. Errors: ValueError."""
    value = _get(header, name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {show(value)}, expected a text")
    return value


def check_settings(header: Header) -> None:
    """What every network's header may say of its training. Errors: ValueError.

    The seed names files, and counts are multiplied, so both are plain whole numbers.
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


def show(value: object) -> str:
    """A value for an error: one line of at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_numbers(header: Header) -> None:
    """Errors: ValueError where a whole number, however deep, is beyond what floats and arrays take."""
    rest: list[tuple[str, object]] = list(header.items())
    while rest:
        name, value = rest.pop()
        if isinstance(value, dict):
            rest += value.items()
        elif isinstance(value, list):
            rest += ((name, v) for v in value)
        elif type(value) is int and abs(value) > _MOST_ANYWHERE:
            raise ValueError(f"{name} is {show(value)}, expected at most {_MOST_ANYWHERE}")


def _get(header: Header, name: str) -> Any:
    if name not in header:
        raise ValueError(f"{name} is missing")
    return header[name]
