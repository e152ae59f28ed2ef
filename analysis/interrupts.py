"""Ctrl-C: one line and exit code 130, whatever a command is doing when it comes.

The first SIGINT or SIGTERM raises KeyboardInterrupt, so that work in hand is saved and workers are
ended. Further signals are ignored while that lasts, but one that comes seconds later ends the process.

An interrupted process ends by ``os._exit``: threads of XLA may still compile or run a program, and an
interpreter that shuts down around them can die of signal 11. One that is done ends so, too (``leave``),
because taking the interpreter apart takes a third of a second where JAX was used. A signal that comes
while a module is imported ends the process at once: an exception inside the C++ of a library's start
would end it by signal 6, and there is no work to save yet.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

CODE = 130
# What ``signal.getsignal`` returns.
_Handler = Callable[[int, FrameType | None], object] | int | None
# After so many seconds a further signal ends the process at once, should saving hang.
_PATIENCE_S = 3.0
# When the first signal came; whether the process ends with what runs inside ``handle_signals``.
_since: float | None = None
_program = False


def interrupted() -> bool:
    """Whether a signal has come to what runs inside ``handle_signals``."""
    return _since is not None


def whole_program() -> bool:
    """Whether the process ends with what runs inside ``handled``."""
    return _program


@contextmanager
def handle_signals(program: bool = False) -> Iterator[None]:
    """Inside it the main thread answers SIGINT and SIGTERM as this module says.

    A signal that was ignored stays so, as in a shell's background job. program: the process ends with
    what runs inside; an interrupted one then ends by ``os._exit``.
    """
    global _since, _program
    before = _take() if threading.current_thread() is threading.main_thread() else {}
    if not before:  # this one is inside another, or the signals are ignored
        yield
        return
    hook, sys.unraisablehook = sys.unraisablehook, _send_again
    _program = program
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if program and interrupted():
            atexit.register(_leave)  # registered last, so it runs first
        else:
            _since, _program = None, False
            for number, handler in before.items():
                # A handler that was set inside stays: a program that is done ignores SIGINT.
                if signal.getsignal(number) is _handle:
                    signal.signal(number, handler)


def stop() -> NoReturn:
    """Prints 'stopped' and exits with 130."""
    _say()
    sys.exit(CODE)


def leave(code: str | int | None) -> NoReturn:
    """Ends the program as ``sys.exit`` does, without taking the interpreter apart: exit handlers run,
    streams are flushed. code: of SystemExit. Returns to ``sys.exit`` where something is left to be said,
    or looked at (``python -i``)."""
    if isinstance(code, str) or sys.flags.inspect:
        sys.exit(code)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # Python says so, and exits with 120
        sys.exit(code)
    os._exit(code or 0)


def _say() -> None:
    with suppress(OSError, ValueError, RuntimeError):  # stderr is closed, or written to just now
        print("stopped", file=sys.stderr, flush=True)


def _take() -> dict[int, _Handler]:
    """Sets our handlers. Returns those that were there before, by signal."""
    before: dict[int, _Handler] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        now = signal.getsignal(number)
        if now not in (signal.SIG_IGN, _handle):
            before[number] = now
            signal.signal(number, _handle)
    return before


def _handle(number: int, frame: FrameType | None) -> None:
    global _since
    if _since is None:
        _since = time.monotonic()
        if _program and _importing(frame):
            _say()
            _leave()
        raise KeyboardInterrupt
    if time.monotonic() - _since > _PATIENCE_S:
        _leave()


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported in this frame or around it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave() -> None:
    """Ends the process without shutting the interpreter down."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(CODE)


def _send_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Sends a signal again that came inside a destructor, from which nothing can be raised."""
    global _since
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    _since = None
    again = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    again.daemon = True
    again.start()
