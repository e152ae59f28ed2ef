"""Functions that the tests of workers run as tasks: workers import them by name."""

import os
import time
from pathlib import Path


def double(number):
    return 2 * number


def fail(number):
    if number == 2:
        raise KeyError("no such thing")
    if number == 3:
        raise ValueError("a user's mistake")
    return number


def note(task):
    """Leaves a line in a folder, one file a task: pid of each process that ran it. A task with
    ``until`` ends when that file is there."""
    folder, number, until = task
    with (Path(folder) / f"{number}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    while until is not None and not Path(until).exists():
        time.sleep(0.01)
    return number


def die(number):
    os._exit(1)
