"""What `meta-learn inpaint` takes where posteriors are estimated: the whole command, and what converges.

    python benchmarks/estimation_time.py --out benchmarks/results/estimation-time.json

Seconds by the clock and of the processor, the largest memory of a process, and, of what the command
says, how many images reach the target error and how many marginals converge. With ``--workers`` the
command runs once more for each number of them, and the answers are compared bit by bit.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from document import write

MASKS = ("square:14", "lower-half")


def measure(mask: str, count: int, data: str, workers: int | None) -> dict[str, Any]:
    """One command, with nothing but its start-up and compiled programs taken from before."""
    arguments = ["inpaint", "--mask", mask, "--images", str(count), "--data", data, "--json"]
    arguments += ["--quiet"] + ([] if workers is None else ["--workers", str(workers)])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "analysis", *arguments], stdout=subprocess.PIPE, check=True
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return summary(ended.stdout, wall, processor, after.ru_maxrss / 1024) | {"workers": workers}


def summary(answer: bytes, wall: float, processor: float, memory_mib: float) -> dict[str, Any]:
    """Of one command. answer: its JSON. workers: None for this process's own threads."""
    found = json.loads(answer)
    errors = [e for row in found["per_image"] for e in row["marginals_se"] if e is not None]
    return {
        "images": found["images"],
        "missing": found["missing"],
        "wall_seconds": wall,
        "processor_seconds": processor,
        "largest_memory_mib": memory_mib,
        "target_reached": found["target_reached"],
        "converged_marginals": found["converged_pixels"],
        "images_where_all_did": found["converged"],
        "median_error_of_marginals": float(np.median(errors)) if errors else None,
        "images_with_chains": sum(row["sweeps"] > 0 for row in found["per_image"]),
        "sha256": hashlib.sha256(answer).hexdigest(),
    }


@click.command()
@click.option("--mask", multiple=True, default=MASKS, show_default=True)
@click.option("--images", default=100, show_default=True)
@click.option("--data", default="mnist", show_default=True)
@click.option("--workers", type=int, multiple=True, help="Once more with so many.")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    mask: tuple[str, ...], images: int, data: str, workers: tuple[int, ...], out: Path | None
) -> None:
    results = {name: [measure(name, images, data, n) for n in (None, *workers)] for name in mask}
    same = all(len({one["sha256"] for one in made}) == 1 for made in results.values())
    write({"masks": results, "same_bits": same}, out)


if __name__ == "__main__":
    main()
