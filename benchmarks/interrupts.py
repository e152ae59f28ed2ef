"""Ctrl-C at random moments: does a command always end with 130, in silence, leaving nothing behind?

    python benchmarks/interrupts.py [--times 30] [--twice] [--seed 0] [--out FILE] [-- COMMAND ...]

Each time a process of its own, in a process group of its own, gets SIGINT as a whole group does from a
terminal, at a moment drawn uniformly in the logarithm between --first and --last seconds, so that
imports, compilation, training, scoring and drawing all get their share. With --twice a second one
follows within half a second. COMMAND is by default a ``compare`` that trains for minutes; half of the
times it finds its network in the cache, and is then scoring or drawing.
"""

from __future__ import annotations

import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
from document import write

COMPARE = ("compare", "--alpha", "10,1,1", "--T", "20", "--iterations", "4000")
WAIT_S = 60.0


class Ended(NamedTuple):
    """after: seconds at which it was interrupted. took: seconds from then to its end. code: its exit
    code, negative for a signal. stderr: its last lines. orphans: processes of its group left behind."""

    after: float
    took: float
    code: int
    stderr: list[str]
    orphans: int

    @property
    def finished(self) -> bool:
        """Whether it had ended by itself before."""
        return self.code == 0

    @property
    def wrong(self) -> list[str]:
        """What is not as it should be."""
        said = [line for line in self.stderr if line.strip()]
        found = []
        if self.finished:
            return ["left processes"] if self.orphans else []
        if self.code != 130:
            found.append(f"exit code {self.code}")
        if any("Traceback" in line or "Exception ignored" in line for line in said):
            found.append("traceback")
        if said.count("stopped") != 1:
            found.append("'stopped' not said once")
        elif said[-1] != "stopped":
            found.append("something said after 'stopped'")
        if self.orphans:
            found.append(f"left {self.orphans} processes")
        return found


def interrupted(command: tuple[str, ...], folder: Path, moments: list[float], root: Path) -> Ended:
    """``command`` with SIGINT at ``moments``, seconds from its start; its files go to ``folder``."""
    environment = {
        **os.environ,
        "META_LEARN_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(root),
        "PYTHONFAULTHANDLER": "1",
    }
    log = folder / "stderr.txt"
    with log.open("w") as errors:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "analysis", *command, "--out", str(folder / "out")],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        for moment in moments:
            try:
                process.wait(max(0.0, start + moment - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGINT)
        sent = time.monotonic()
        try:
            code = process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    took = time.monotonic() - sent
    return Ended(moments[0], took, code, log.read_text().splitlines()[-30:], _left(process.pid))


def _left(group: int) -> int:
    """Processes of the group that are still there a little later; they are ended."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _group_alive(group):
        time.sleep(0.05)
    if not _group_alive(group):
        return 0
    listed = subprocess.run(
        ["pgrep", "-c", "-g", str(group)], capture_output=True, text=True, check=False
    )
    os.killpg(group, signal.SIGKILL)
    return int(listed.stdout or 1)


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@click.command()
@click.argument("command", nargs=-1)
@click.option("--times", default=30, show_default=True)
@click.option("--first", default=0.1, show_default=True, help="The earliest moment, seconds.")
@click.option("--last", default=30.0, show_default=True, help="The latest moment, seconds.")
@click.option("--twice", is_flag=True, help="A second SIGINT within half a second.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--root",
    default=str(Path(__file__).parents[1]),
    type=click.Path(path_type=Path),
    help="The sources to run.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    command: tuple[str, ...],
    times: int,
    first: float,
    last: float,
    twice: bool,
    seed: int,
    root: Path,
    out: Path | None,
) -> None:
    # A shell's background job starts with Ctrl-C ignored, and so would what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = random.Random(seed)
    bad: list[dict[str, Any]] = []
    codes: collections.Counter[int] = collections.Counter()
    waits: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(times):
            moments = [first * (last / first) ** rng.random()]
            if twice:
                moments.append(moments[0] + 0.5 * rng.random())
            here = Path(folder) / ("kept" if number % 2 else f"{number}")
            here.mkdir(exist_ok=True)
            ended = interrupted(command or COMPARE, here, moments, root.resolve())
            codes[ended.code] += 1
            waits.append(ended.took)
            line = f"{number}: at {ended.after:.2f} s, {ended.code} after {ended.took:.2f} s"
            click.echo(f"{line} {'; '.join(ended.wrong)}", err=True)
            if ended.wrong:
                bad.append({"after": ended.after, "wrong": ended.wrong, "stderr": ended.stderr})
    found = {
        "interrupts": times,
        "exit_codes": {str(code): count for code, count in sorted(codes.items())},
        "wrong": bad,
        "seconds_to_end": {"median": sorted(waits)[len(waits) // 2], "max": max(waits)},
    }
    write(found, out)


if __name__ == "__main__":
    main()
