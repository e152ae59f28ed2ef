"""Ctrl-C wherever it comes: 'stopped' once and last, exit code 130, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from running import run

from analysis import interrupts

PROGRAM = """
import os, signal, sys, threading, time
# A shell's background job, such as a test run may be, starts with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from analysis import cli, interrupts

def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.01)

@cli.main.command()
def wait():
{body}

{start}
"""
START = "cli.main(['wait'])"
BODIES = {
    "once": "interrupt(); time.sleep(60)",
    "by SIGTERM": "interrupt(signal.SIGTERM); time.sleep(60)",
    "again while it saves": """
try:
    interrupt()
finally:
    interrupt()
    interrupt()
    print("saved", file=sys.stderr)
""",
    "again when saving hangs": """
interrupts._PATIENCE_S = 0.01
threading.Timer(0.2, interrupt).start()
try:
    interrupt()
finally:
    print("stopped", file=sys.stderr, flush=True)
    time.sleep(60)
""",
    "in a destructor": """
class Held:
    def __del__(self):
        interrupt()
held = Held()
del held
time.sleep(60)
""",
    "made into another exception": """
try:
    interrupt()
except KeyboardInterrupt:
    raise ImportError("a library's own words")
""",
    "in the import of a library that would not have it": """
from importlib import abc, util
class Library(abc.MetaPathFinder, abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return util.spec_from_loader(name, self) if name == "library" else None
    def exec_module(self, module):
        try:
            interrupt()
        except BaseException:
            print("its own words", file=sys.stderr)
            os.abort()
sys.meta_path.insert(0, Library())
import library
""",
    "with a thread that never ends": """
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
interrupt()
""",
    "and again while the interpreter ends": """
import atexit
atexit.register(print, "taken down", file=sys.stderr)
interrupt()
""",
}


def ended(body, start=START):
    body = "\n".join(f"    {line}" for line in body.splitlines())
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body, start=start)],
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_interrupt_ends_with_130_and_one_word(body):
    found = ended(body)
    assert found.returncode == 130, found.stderr
    assert found.stderr.removeprefix("saved\n") == "stopped\n"
    assert found.stdout == ""


def test_compiled_programs_that_still_run_are_left_to_themselves():
    body = """
import jax
from jax import numpy as jnp
slow = jax.jit(lambda x: jax.lax.fori_loop(0, 10**9, lambda i, x: jnp.sin(x), x))
slow = slow.lower(jnp.ones(64)).compile()
threading.Thread(target=lambda: slow(jnp.ones(64)).block_until_ready(), daemon=True).start()
time.sleep(0.2)
interrupt()
"""
    found = ended(body)
    assert (found.returncode, found.stderr) == (130, "stopped\n")


def test_an_interrupt_of_an_import_is_one_too():
    start = """
import builtins
before = builtins.__import__
def importing(name, *rest):
    if name == "analysis.cli":
        interrupt()
    return before(name, *rest)
builtins.__import__ = importing
from analysis.__main__ import main
main()
"""
    found = ended("pass", start)
    assert (found.returncode, found.stderr) == (130, "stopped\n")


def test_what_is_ignored_stays_ignored():
    start = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + START
    found = ended("interrupt(); print('whole')", start)
    assert (found.returncode, found.stdout, found.stderr) == (0, "whole\n", "")


def test_handlers_are_given_back():
    # A background job of a shell begins with SIGINT ignored, and then it stays so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert run("--version").exit_code == 0
    with interrupts.handle_signals():
        assert signal.getsignal(signal.SIGINT) is not before[0]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert not interrupts.interrupted()


def run_alone(program, stdout=subprocess.PIPE):
    """The program in a process of its own, whose output is buffered as it is for users."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_program_that_is_done_is_not_stopped_any_more():
    """Everything is written when the interpreter is taken down: an interrupt there changes nothing."""
    program = (
        "import atexit, os, signal, sys\n"
        "sys.argv = ['meta-learn', '--version']\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from analysis.__main__ import main\n"
        "main()\n"
    )
    ended = run_alone(program)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("meta-learn ")


@pytest.mark.parametrize(
    ("code", "returned", "message"), [("None", 0, ""), ("3", 3, ""), ("'no'", 1, "no\n")]
)
def test_a_program_that_leaves_does_what_python_does_at_its_end(code, returned, message):
    program = (
        "import atexit, sys\n"
        "atexit.register(print, 'last')\n"
        "sys.stdout.write('first ')\n"
        "from analysis.interrupts import leave\n"
        f"leave({code})\n"
    )
    ended = run_alone(program)
    assert (ended.returncode, ended.stdout, ended.stderr) == (returned, "first last\n", message)


def test_a_program_that_leaves_takes_no_time_for_what_it_holds():
    """Taking the interpreter apart would delete each object."""
    program = (
        "from analysis.interrupts import leave\n"
        "class Held:\n"
        "    def __del__(self): print('taken apart', flush=True)\n"
        "held = Held()\n"
        "leave(0)\n"
    )
    ended = run_alone(program)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_program_that_leaves_says_what_it_could_not_write():
    program = "print('much'); from analysis.interrupts import leave; leave(0)"
    with Path("/dev/full").open("w") as full:
        ended = run_alone(program, full)
    assert ended.returncode == 120 and "No space left" in ended.stderr
