"""The gap that wider networks close, and what they take: SOAP beside Adam.

    python benchmarks/widths.py --out benchmarks/results/widths.json

alpha=(10,1,1), T=20, the default recipe; beside it the same recipe with Adam in SOAP's place, at two
peak learning rates. The file is written anew after every width and optimiser: a run that was stopped
goes on after the last.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import click
import jax
from document import write

from analysis.comparison.learners import compare_learners
from meta_learning import DirichletCategorical
from meta_learning.recipes import RECIPES, Recipe, make_recipe
from meta_learning.training import train

PROCESS = DirichletCategorical((10.0, 1.0, 1.0), 20)
ADAM_RATES = (0.003, 0.01)
# Fewer where one takes long.
SEEDS = {32: 5, 64: 5, 128: 3, 256: 2, 512: 1}
STREAMS = 10_000


def recipes(symbols: int) -> dict[str, Recipe]:
    """By optimiser and its learning rate."""
    default = make_recipe("default", budget=symbols)

    def adam(rate: float) -> Recipe:
        how = dataclasses.replace(default.optimization, optimizer="adam", learning_rate=rate)
        return dataclasses.replace(default, optimization=how)

    return {"soap": default, **{f"adam {rate:g}": adam(rate) for rate in ADAM_RATES}}


def measure(recipe: Recipe, hidden: int, seeds: int) -> dict[str, Any]:
    """Processor seconds of a seed, and each seed's gap in nats a drawn symbol."""
    start = time.process_time()
    networks = train(PROCESS, recipe, seeds=range(seeds), cell="lstm", hidden=hidden)
    seconds = (time.process_time() - start) / seeds
    found = compare_learners(networks, PROCESS, PROCESS, PROCESS, 0, STREAMS)
    jax.clear_caches()
    return {
        "seconds": seconds,
        "gap": [float(scores.gap.mean()) for scores in found.networks],
        "memoryless": float(found.references["memoryless"].gap.mean()),
    }


@click.command(help=__doc__)
@click.option("--hidden", multiple=True, type=int, default=tuple(SEEDS), show_default=True)
@click.option("--symbols", default=RECIPES["default"].symbols, show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The JSON file.")
def main(hidden: tuple[int, ...], symbols: int, out: Path) -> None:
    runs: dict[str, dict[str, Any]] = {}
    if out.exists():
        before = json.loads(out.read_text())
        if before["symbols"] == symbols:
            runs = before["runs"]
    for width in hidden:
        for name, recipe in recipes(symbols).items():
            if name in runs.setdefault(str(width), {}):
                continue
            runs[str(width)][name] = found = measure(recipe, width, SEEDS.get(width, 1))
            write({"symbols": symbols, "streams": STREAMS, "runs": runs}, out)
            closed = [round(100 * (1 - gap / found["memoryless"]), 3) for gap in found["gap"]]
            click.echo(f"{width} {name}: {closed} % closed, {found['seconds']:.0f} s a seed")


if __name__ == "__main__":
    main()
