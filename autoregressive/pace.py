"""How far long work has come, told to whoever listens: a bar, a line of time left, or nobody.

Work tells it from deep inside, without knowing of a console; who wants to know listens around the call.
A listener hears what happens in its own thread of control (``contextvars``), the innermost one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# (what is done, of how much). Told once before compiling, again after it, then on the way.
Listener = Callable[[float, float], None]
# What is told of: training, in iterations; predictions of a network, in streams.
TRAINING, SCORING = "training", "scoring"

_listeners: ContextVar[Mapping[str, Listener]] = ContextVar("listeners", default={})  # noqa: B039


@contextmanager
def listening(work: str, listener: Listener) -> Iterator[None]:
    """Inside it, ``listener`` is told of this kind of work."""
    token = _listeners.set({**_listeners.get(), work: listener})
    try:
        yield
    finally:
        _listeners.reset(token)


def tell(work: str, done: float, total: float) -> None:
    """``done`` of ``total`` is behind."""
    listener = _listeners.get().get(work)
    if listener is not None:
        listener(done, total)


@contextmanager
def part(work: str, before: float, size: float, total: float) -> Iterator[None]:
    """Inside it, work that tells of itself alone is ``size`` of ``total``, after ``before``."""
    outer = _listeners.get().get(work)
    if outer is None:
        yield
        return
    with listening(work, lambda done, whole: outer(before + size * done / whole, total)):
        yield
    outer(before + size, total)
