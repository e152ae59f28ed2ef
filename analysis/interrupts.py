"""Ctrl-C: one line and exit code 130, whatever a command is doing when it comes.

The first SIGINT or SIGTERM raises KeyboardInterrupt, so that what is in hand is saved and workers are
ended; while that is done others are passed over, but for one that comes seconds later. A process that
was interrupted then ends by ``os._exit``: threads of XLA may still compile, run a program or draw ahead,
and an interpreter that is taken down around them can end by signal 11. One that comes while a module is
imported ends the process at once: an exception that gets into the C++ of a library's start ends it by
signal 6, and nothing is in hand then that was not saved seconds before.
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
# What Python keeps of a signal.
_Handler = Callable[[int, FrameType | None], object] | int | None
# A further interrupt ends the process at once after so many seconds, should saving hang.
_PATIENCE_S = 3.0
_since: float | None = None
_program = False


def interrupted() -> bool:
    """Whether an interrupt has come to what runs inside ``handled``."""
    return _since is not None


def whole_program() -> bool:
    """Whether the process ends with what runs inside ``handled``."""
    return _program


@contextmanager
def handled(program: bool = False) -> Iterator[None]:
    """Inside it SIGINT and SIGTERM are ours, in the main thread. A SIGINT that is ignored stays so, as
    in a shell's background job. program: the process ends with what runs inside, so an interrupt that
    came there ends it without taking the interpreter down."""
    global _since, _program
    before = _take() if threading.current_thread() is threading.main_thread() else {}
    if not before:  # another one is around this one
        yield
        return
    hook, sys.unraisablehook = sys.unraisablehook, _send_again
    _program = program
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if program and interrupted():
            atexit.register(_leave)  # the first to run: the last that was registered
        else:
            _since, _program = None, False
            for number, handler in before.items():
                # What was set inside stays: a program that is done ignores SIGINT to its end.
                if signal.getsignal(number) is _handle:
                    signal.signal(number, handler)


def stop() -> NoReturn:
    """Says 'stopped' and exits with 130."""
    _say()
    sys.exit(CODE)


def _say() -> None:
    with suppress(OSError, ValueError, RuntimeError):  # a reader that has gone, a line half written
        print("stopped", file=sys.stderr, flush=True)


def _take() -> dict[int, _Handler]:
    """Sets the handlers; those that were there, by signal."""
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
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    os._exit(CODE)


def _send_again(unraisable: sys.UnraisableHookArgs) -> None:
    """An interrupt that came inside a destructor, from which nothing can be raised, comes once more."""
    global _since
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    _since = None
    again = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    again.daemon = True
    again.start()
