"""Members by name: what to say where a name is not registered."""

from __future__ import annotations

from collections.abc import Iterable

from autoregressive.header import show


class UnknownName(ValueError):
    """A name that is not registered. One line: the names that are, and how to add one's own."""

    def __init__(self, what: str, name: object, known: Iterable[str]):
        super().__init__(
            f"unknown {what} {show(name)}: expected one of {', '.join(known)}; a file that defines "
            "another is loaded with --load FILE"
        )
