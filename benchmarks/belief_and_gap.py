"""How the gap, the R^2 of the belief and the effect of another belief move over training, on Mess3.

    python benchmarks/belief_and_gap.py --out docs/results/belief-and-gap.json

Each network is looked at after a growing number of iterations of one training. The gap is exact. R^2 is
that of a linear probe from the cell's output to the belief, on held-out tasks. The effect is that of the
state of another belief put in place of its own, KL(own || swapped) in nats, over what it would be for
Bayes. Where the file is there already, what it has is not measured again.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from document import write

from analysis.audit.exact_gap import exact_gap
from analysis.hidden.interventions import measure_interventions
from analysis.hidden.probes import linear_probe, r_squared
from analysis.hidden.states import states_along
from meta_learning.learner import INIT, Learner, learner_model
from meta_learning.processes import drawn_places
from meta_learning.processes.known_hidden_markov import Mess3
from meta_learning.processes.places import stream_length
from meta_learning.recipes import make_recipe
from meta_learning.training import learner_settings, train_stages

PROCESS = Mess3(T=11)
TARGET = "state_probabilities"


def measure(learner: Learner, streams: int) -> dict[str, Any]:
    """What is drawn of one network. gap, effects: nats."""
    found = exact_gap(learner, PROCESS)
    length = stream_length(PROCESS.T)
    drawn = drawn_places(length, PROCESS.T)
    symbols = np.asarray(PROCESS.sample(jax.random.key(1), streams, length))
    states = states_along(learner, symbols).space("h")[:, drawn]
    belief = PROCESS.coordinates_along(symbols)[TARGET][:, drawn]
    half = streams // 2
    read = linear_probe(states[:half], belief[:half], states[half:])
    score = r_squared(belief[half:], read)
    swaps = measure_interventions(learner, PROCESS, jax.random.key(2), streams // 2)
    assert swaps is not None
    return {
        "gap": found.gap,
        "memoryless": found.memoryless,
        "r2": score.r2.mean,
        "mean_squared_error": float(((read - belief[half:]) ** 2).sum(-1).mean()),
        "effects": {kind: estimate.mean for kind, estimate in swaps.mean.items()},
    }


def over_training(
    cell: str, hidden: int, seed: int, iterations: int, stages: list[int], streams: int
) -> list[dict[str, Any]]:
    """``measure`` after each of ``stages`` iterations; 0 is before the first."""
    recipe = make_recipe("default", iterations=iterations)
    settings = learner_settings(PROCESS, recipe, cell, hidden, seed)
    model = learner_model(PROCESS.num_symbols, cell, hidden)
    first = model.init(jax.random.fold_in(jax.random.key(seed), INIT), recipe.timescale)
    learner = Learner(model, first, PROCESS.num_symbols, settings)
    rows = [{"iterations": 0, **measure(learner, streams)}]
    for done, stage in zip(stages, train_stages(learner, PROCESS, recipe, stages), strict=True):
        rows.append({"iterations": done, **measure(stage, streams)})
    return rows


def document(networks: list[dict[str, Any]], streams: int) -> dict[str, Any]:
    """What is written."""
    return {"process": PROCESS.settings(), "streams": streams, "networks": networks}


@click.command()
@click.option("--cell", "cells", multiple=True, default=("lstm", "gru", "transformer"))
@click.option("--hidden", default=32)
@click.option("--seeds", default=3)
@click.option("--iterations", default=4_000)
@click.option("--streams", default=2_000)
@click.option("--out", type=click.Path(path_type=Path))
def main(
    cells: tuple[str, ...], hidden: int, seeds: int, iterations: int, streams: int, out: Path | None
) -> None:
    stages = sorted({round(iterations * 10 ** (-k / 3)) for k in range(9)} - {0})
    kept = json.loads(out.read_text())["networks"] if out is not None and out.exists() else []
    there = {(n["cell"], n["hidden"], n["seed"], n["of"]) for n in kept}
    networks = list(kept)
    for seed in range(seeds):
        for cell in cells:
            if (cell, hidden, seed, iterations) in there:
                continue
            rows = over_training(cell, hidden, seed, iterations, stages, streams)
            networks.append(
                {"cell": cell, "hidden": hidden, "seed": seed, "of": iterations, "rows": rows}
            )
            assert all(math.isfinite(row["gap"]) for row in rows)
            print(cell, seed, f"{rows[-1]['gap']:.3g}", rows[-1]["r2"], flush=True)
            write(document(networks, streams), out)
    write(document(networks, streams), out)


if __name__ == "__main__":
    main()
