"""Numbers of things, for sentences."""

from __future__ import annotations


def counted(n: int, one: str, many: str = "") -> str:
    """A number and its noun: "1 row", "2,000 rows". many: the plural, ``one`` and an s by default."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
