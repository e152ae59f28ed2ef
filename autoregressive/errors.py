"""Errors that a user can mend, and how they show a value or a count: one line."""

from __future__ import annotations


class DataError(ValueError):
    """Data that is missing, broken or asked for wrongly.

    The message is one line: what was expected, what came, what to try.
    """


class OptionError(DataError):
    """Data asked for wrongly: another value of an option mends it, and not other data.

    Commands end with exit code 2, as for any wrong option.
    """


def show(value: object) -> str:
    """A value for an error message: its ``repr``, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def counted(n: int, one: str, many: str = "") -> str:
    """A number and its noun: "1 row", "2,000 rows". many: the plural, ``one`` and an s by default."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
