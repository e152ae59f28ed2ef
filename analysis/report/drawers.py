"""A second process that draws figures while this one is busy: matplotlib is Python, which has one core
a process.

It is begun before figures are known, imports matplotlib beside other work, and is given whole figures.
What it cannot draw, or did not when it died, is drawn here.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WORK = "from analysis.report.drawers import serve; serve()"
_second: subprocess.Popen[bytes] | None = None


def begin() -> None:
    """Starts the second process where there is a core for it. It ends with this one."""
    global _second
    if _second is not None or (os.cpu_count() or 1) < 2:
        return
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    try:
        _second = subprocess.Popen(
            [sys.executable, "-c", _WORK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1"},
        )
    except OSError:
        _second = None


def end() -> None:
    """The second process has no more to draw."""
    global _second
    if _second is None:
        return
    _second.kill()  # which is faster than its own end
    for pipe in (_second.stdin, _second.stdout):
        if pipe is not None:
            pipe.close()
    _second.wait()
    _second = None


def draw_all(
    figures: Sequence[Figure], meanwhile: Callable[[], None] = lambda: None
) -> list[dict[str, bytes]]:
    """``drawing.draw`` of each, by two processes where ``begin`` started one. meanwhile: what this one
    does before it draws with the other."""
    from analysis.report.drawing import draw

    found: dict[int, dict[str, bytes]] = {}
    waiting = deque(enumerate(figures))

    def work(draw_one: Callable[[Figure], dict[str, bytes]]) -> None:
        while True:
            try:
                number, figure = waiting.popleft()
            except IndexError:
                return
            try:
                found[number] = draw_one(figure)
            except BaseException:
                waiting.append((number, figure))
                raise

    with ThreadPoolExecutor(1) as beside:
        if _second is not None:
            # Whatever stops it, what it leaves is drawn here.
            beside.submit(work, partial(_ask, _second))
        meanwhile()
        work(draw)
    work(draw)
    return [found[number] for number in range(len(figures))]


def _ask(second: subprocess.Popen[bytes], figure: Figure) -> dict[str, bytes]:
    assert second.stdin is not None and second.stdout is not None
    second.stdin.write(pickle.dumps(figure, 5))
    second.stdin.flush()
    return pickle.load(second.stdout)


def serve() -> None:
    """The second process: figures come on stdin, their bytes go out on stdout."""
    import signal

    # Ctrl-C reaches every process of a terminal; this one ends with the one that began it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    from analysis.report.drawing import draw

    while True:
        try:
            figure = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(draw(figure), answers)
        answers.flush()
