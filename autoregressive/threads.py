"""Compiled calls side by side. On a CPU a call on small arrays keeps one core busy: threads take calls
of their own, one for each core. A GPU takes one call after the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import jax

Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count() -> int:
    """Threads that take calls of their own on the device that JAX uses."""
    return (os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1


def each_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int | None = None,
    ahead: int = 2,
) -> Generator[Result, None, None]:
    """``function`` of each item, in the order of the items, by ``workers`` threads (``worker_count``).

    ahead: items taken and not yet yielded, for each thread. What is not begun when the generator is
    closed never is. Errors: those of ``function``, where its result would come.
    """
    workers, rest = workers or worker_count(), iter(items)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in islice(rest, ahead * workers):
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
                for item in islice(rest, 1):
                    waiting.append(pool.submit(function, item))
        finally:
            pool.shutdown(cancel_futures=True)
