"""Seconds of whole commands: --help, compare from an empty cache, and compare once more.

    python benchmarks/start_up.py [--repeats 3] [--quick] [--out FILE]

Each is a process of its own, from its start to its end, with the cache in a folder that is empty for
the first ``compare`` of each round. That one compiles and trains; the other finds both in the cache.
"""

from __future__ import annotations

import os
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


def seconds(arguments: tuple[str, ...], folder: Path) -> float:
    """Wall seconds of one command; its report goes to ``folder``, as does its cache."""
    environment = {**os.environ, "META_LEARN_CACHE": str(folder / "cache")}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "analysis", *arguments],
        check=True,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


@click.command()
@click.option("--repeats", default=3, show_default=True)
@click.option("--quick", is_flag=True, help="A tiny network, once: does it run?")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(repeats: int, quick: bool, out: Path | None) -> None:
    compare = SMALL if quick else COMPARE
    times: dict[str, list[float]] = {"help": [], "compare, cold": [], "compare, repeated": []}
    for _ in range(1 if quick else repeats):
        with tempfile.TemporaryDirectory() as folder:
            for name in times:
                arguments = ("--help",) if name == "help" else compare
                times[name].append(seconds(arguments, Path(folder)))
    found: dict[str, Any] = {
        name: {"median": statistics.median(s), "min": min(s), "max": max(s)}
        for name, s in times.items()
    }
    for name, value in found.items():
        click.echo(f"{name}: {value['median']:.2f} s", err=True)
    write({"cores": os.cpu_count(), "arguments": list(compare), "seconds": found}, out)


if __name__ == "__main__":
    main()
