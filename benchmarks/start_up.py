"""Seconds of whole commands: --help, compare from an empty cache, and compare once more; and of the
stages of the last.

    python benchmarks/start_up.py [--repeats 3] [--quick] [--out FILE]

Each is a process of its own, from its start to its end, with the cache in a folder that is empty for
the first ``compare`` of each round. That one compiles and trains; the other finds both in the cache. CPU
seconds are those of all processes of the command, user and system: other work on the machine changes
them far less than it changes the wall clock.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from document import write

COMPARE = ("compare", "--alpha", "10,1,1", "--T", "20")
SMALL = (*COMPARE, "--hidden", "2", "--iterations", "20", "--streams", "20")


def seconds(arguments: tuple[str, ...], folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one command; its report goes to ``folder``, as does its cache."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(["-m", "analysis", *arguments], folder)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def stages(arguments: tuple[str, ...], folder: Path) -> dict[str, dict[str, float]]:
    """Wall and CPU seconds of each stage of one command (``stages.py``)."""
    return json.loads(_run([str(Path(__file__).with_name("stages.py")), *arguments], folder))


def _run(arguments: list[str], folder: Path) -> str:
    environment = {**os.environ, "META_LEARN_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments],
        check=True,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout


@click.command()
@click.option("--repeats", default=3, show_default=True)
@click.option("--quick", is_flag=True, help="A tiny network, once: does it run?")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(repeats: int, quick: bool, out: Path | None) -> None:
    compare = SMALL if quick else COMPARE
    times: dict[str, list[tuple[float, float]]] = {
        "help": [],
        "compare, cold": [],
        "compare, repeated": [],
    }
    rounds = []
    for _ in range(1 if quick else repeats):
        with tempfile.TemporaryDirectory() as folder:
            for name in times:
                arguments = ("--help",) if name == "help" else compare
                times[name].append(seconds(arguments, Path(folder)))
            rounds.append(stages(compare, Path(folder)))
    found: dict[str, Any] = {}
    for name, pairs in times.items():
        wall, cpu = zip(*pairs, strict=True)
        found[name] = {"median": statistics.median(wall), "min": min(wall), "max": max(wall)}
        found[name]["cpu"] = statistics.median(cpu)
        click.echo(
            f"{name}: {found[name]['median']:.2f} s, CPU {found[name]['cpu']:.2f} s", err=True
        )
    parts = {
        stage: {kind: min(one[stage][kind] for one in rounds) for kind in ("wall", "cpu")}
        for stage in rounds[0]
    }
    for stage, part in sorted(parts.items(), key=lambda item: -item[1]["cpu"]):
        click.echo(f"  {stage}: CPU {part['cpu']:.2f} s", err=True)
    document = {"cores": os.cpu_count(), "arguments": list(compare), "seconds": found}
    write({**document, "stages": parts}, out)


if __name__ == "__main__":
    main()
