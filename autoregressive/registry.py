"""The error for a name that is not registered."""

from __future__ import annotations

from collections.abc import Iterable

from autoregressive.errors import show


class UnknownName(ValueError):
    """A name that is not registered. One line: the registered names, and how to add one."""

    def __init__(self, what: str, name: object, known: Iterable[str]):
        super().__init__(
            f"unknown {what} {show(name)}: expected one of {', '.join(known)}; a file that defines "
            "another is loaded with --load FILE"
        )
