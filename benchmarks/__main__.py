"""All benchmarks in one command: medians, ratios and a description of the machine.

    python -m benchmarks [--quick] [--out FOLDER] [NAME ...]

Run it in the repository's folder. Each benchmark is a program of its own in this folder and writes its
JSON to FOLDER; names choose some of them. Those beside PyTorch need the extra ``bench``, one needs a
GPU; without it they are left out, with a line that says so. architectures.py, which takes hours, is run
by itself. --quick takes minutes and shows that everything runs: its numbers are of sizes too small to
mean anything.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.document import machine

HERE = Path(__file__).parent


class Benchmark(NamedTuple):
    """A program of this folder. torch: whether it needs PyTorch. quick: its arguments for --quick. gpu:
    whether it needs one, but for --quick."""

    torch: bool
    quick: tuple[str, ...]
    gpu: bool = False


BENCHMARKS: dict[str, Benchmark] = {
    "training": Benchmark(
        True, ("--cell", "lstm", "--job", "streams-8", "--repeats", "2", "--no-others")
    ),
    "growth": Benchmark(False, ("--quick", "--repeats", "1")),
    "start_up": Benchmark(False, ("--quick",)),
    "sampling": Benchmark(False, ("--repeats", "1")),
    "scoring": Benchmark(False, ("--streams", "20", "--repeats", "1")),
    "inpainting": Benchmark(True, ("--repeats", "1")),
    "estimation": Benchmark(False, ("--images", "4", "--sweeps", "50", "--part", "a")),
    "estimation_time": Benchmark(
        False, ("--images", "2", "--data", "glyphs", "--mask", "random:20")
    ),
    "future_worth": Benchmark(False, ("--images", "2", "--data", "glyphs", "--mask", "random:16")),
    "exact_gap": Benchmark(False, ("--T", "8")),
    "workers": Benchmark(
        False,
        (
            "--workers",
            "0",
            "--workers",
            "1",
            "--repeats",
            "1",
            "--T",
            "8",
            "--missing",
            "2",
            "--images",
            "2",
        ),
    ),
    "change_points": Benchmark(False, ("--streams", "4", "--length", "20", "--repeats", "1")),
    "coverage": Benchmark(False, ("--T", "3", "--streams", "20", "--repeats", "2")),
    "seed_coverage": Benchmark(False, ("--seeds", "4", "--iterations", "2")),
    "calibration": Benchmark(False, ("--repeats", "1", "--tasks", "200")),
    "interrupts": Benchmark(False, ("--times", "2", "--last", "2")),
    "gpu": Benchmark(False, ("--smallest",), gpu=True),
    "optimizer": Benchmark(False, ("--hidden", "32", "--repeats", "1", "--refreshments", "1")),
    "nuts": Benchmark(
        False, ("--runs", "1", "--streams", "1", "--warmup", "50", "--samples", "50")
    ),
}


def medians(found: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number called median or ratio in a document, with where it stands."""
    items = found.items() if isinstance(found, dict) else ()
    if isinstance(found, list):
        items = (
            (row.get("value", n) if isinstance(row, dict) else n, row)
            for n, row in enumerate(found)
        )
    for name, value in items:
        here = f"{path} {name}".strip()
        if isinstance(value, int | float) and re.search(r"\b(median|ratio)", here):
            yield here, value
        yield from medians(value, here)


def has_gpu() -> bool:
    """Asked in a process that ends: one that holds a GPU leaves little of it to others."""
    ask = "import jax, sys; sys.exit(jax.default_backend() != 'gpu')"
    return subprocess.run([sys.executable, "-c", ask], stderr=subprocess.DEVNULL).returncode == 0


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--quick", is_flag=True, help="The smallest sizes: does everything run?")
@click.option(
    "--out",
    default="benchmark-results",
    type=click.Path(path_type=Path),
    show_default=True,
    help="Folder for the JSON.",
)
def main(names: tuple[str, ...], quick: bool, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    about = machine()
    click.echo(
        f"{about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB; load {about['load']}"
    )
    torch = importlib.util.find_spec("torch") is not None
    failed = []
    for name in names or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        if benchmark.torch and not torch:
            click.echo(f"{name}: left out, PyTorch is not installed (extra bench)")
            continue
        if benchmark.gpu and not quick and not has_gpu():
            click.echo(f"{name}: left out, JAX finds no GPU")
            continue
        file = out / f"{name.replace('_', '-')}.json"
        command = [
            sys.executable,
            str(HERE / f"{name}.py"),
            *(benchmark.quick if quick else ()),
            "--out",
            str(file),
        ]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            failed.append(name)
            continue
        click.echo(f"{name}: {file}")
        for where, value in medians(json.loads(file.read_text())):
            click.echo(f"  {where}: {value:.4g}")
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
