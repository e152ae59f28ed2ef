"""How far long work has come: the work tells it, and a listener, such as a progress bar, may hear.

The work knows nothing of a console: a caller that wants to know wraps the call in ``listen``. A listener
hears the work of its own context (``contextvars``); of several, only the innermost hears.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# (done, total). Called before compiling, again after it, then as the work goes on.
Listener = Callable[[float, float], None]
# Kinds of work: training, in iterations; a network's predictions, in streams.
TRAINING, SCORING = "training", "scoring"

_listeners: ContextVar[Mapping[str, Listener]] = ContextVar("listeners", default={})  # noqa: B039


@contextmanager
def listen(work: str, listener: Listener) -> Iterator[None]:
    """Inside it, ``listener`` hears of this kind of work."""
    token = _listeners.set({**_listeners.get(), work: listener})
    try:
        yield
    finally:
        _listeners.reset(token)


def tell(work: str, done: float, total: float) -> None:
    """Tells the listener, if there is one, that ``done`` of ``total`` is done."""
    listener = _listeners.get().get(work)
    if listener is not None:
        listener(done, total)


@contextmanager
def part(work: str, before: float, size: float, total: float) -> Iterator[None]:
    """Inside it, work that tells only of itself counts as one part of a whole: ``size`` of ``total``,
    after ``before``."""
    outer = _listeners.get().get(work)
    if outer is None:
        yield
        return
    with listen(work, lambda done, whole: outer(before + size * done / whole, total)):
        yield
    outer(before + size, total)
