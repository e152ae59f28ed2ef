"""Shai et al. (2024): beliefs read off a network's state by a line, on Mess3 and random-random-XOR.

Beside their read-outs stands the exact gap, over training: what a line reads says little of how near the
predictions are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from analysis.intervals import Estimate, student, student_log
from analysis.papers.paper import Claim, Findings, How, Paper
from analysis.papers.read_out import (
    Task,
    all_beliefs,
    distances,
    gap_of,
    last_layer_of,
    layers_of,
    read_beliefs,
)
from analysis.papers.shai_2024_figures import panels, says, tables
from autoregressive.cells.transformer import Transformer
from meta_learning.learner import INIT, Learner, learner_model
from meta_learning.processes import Mess3, RandomRandomXor
from meta_learning.processes.base import Process
from meta_learning.recipes import Recipe, make_recipe
from meta_learning.training import learner_settings, train_stages

# A context of ten symbols: tasks of ten draws, which begin at the stationary belief.
T = 11
PROCESSES: tuple[Process, ...] = (Mess3(0.85, 0.05, T), RandomRandomXor(T))
CELLS = ("transformer", "lstm")
# Beliefs of a picture.
_DOTS = 1_200
_OVER_SEEDS = {"gap": student_log, "error": student_log}


@dataclass(frozen=True)
class Sizes:
    """hidden: width. layers: of the transformer. stages: iterations after which a network is looked at;
    the last ends training."""

    hidden: int
    layers: int
    stages: tuple[int, ...]
    seeds: int
    batch: int = 36


FULL = Sizes(64, 4, (20, 60, 200, 600, 2_000), 3)
QUICK = Sizes(32, 2, (20, 60, 200), 2)


def run(how: How) -> Findings:
    """Every network of every process, over its training."""
    sizes = QUICK if how.quick else FULL
    seeds = range(how.seed, how.seed + sizes.seeds)
    networks: list[dict[str, Any]] = []
    pictures: dict[str, list[list[float]]] = {}
    for process in PROCESSES:
        task = all_beliefs(process)
        for cell in CELLS:
            for seed in seeds:
                rows, read = _over_training(process, task, cell, seed, sizes)
                networks.append({"process": process.name, "cell": cell, "seed": seed, "rows": rows})
                last = rows[-1]
                how.say(
                    f"{process.name}, {cell}-{sizes.hidden}, seed {seed}: gap {last['gap']:.2g} nats, "
                    f"R^2 {last['r2']:.4f}"
                )
                if seed == seeds[0] and process.num_symbols == 3:
                    pictures |= _thinned({"exact": task.belief, cell: read}, task)
        if process.num_symbols == 2:
            exact = distances(task.belief, task)
    curves = {
        "hidden": sizes.hidden,
        "symbols": sizes.batch * T,
        "networks": networks,
        "pictures": pictures,
        "distance_exact": exact.exact,
    }
    return Findings(_ours(networks, exact.states), curves, list(seeds))


def _over_training(
    process: Process, task: Task, cell: str, seed: int, sizes: Sizes
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """What is measured before and over one training, and the beliefs that are read at its end."""
    recipe = make_recipe(iterations=sizes.stages[-1], batch_size=sizes.batch, unroll=T)
    start = _untrained(process, recipe, cell, seed, sizes)
    rows = []
    for done, learner in zip(
        (0, *sizes.stages),
        [start, *train_stages(start, process, recipe, sizes.stages)],
        strict=True,
    ):
        last = read_beliefs(last_layer_of(learner, task), task)
        row = {
            "iterations": done,
            "gap": gap_of(learner, task),
            "r2": last.r2,
            "error": last.error,
        }
        if process.num_symbols == 2:
            every = read_beliefs(layers_of(learner, task), task)
            kept = distances(every.read, task)
            row |= {
                "r2_layers": every.r2,
                "error_layers": every.error,
                "distance_belief": kept.belief,
                "distance_predictive": kept.predictive,
            }
        rows.append(row)
    return rows, last.read


def _untrained(process: Process, recipe: Recipe, cell: str, seed: int, sizes: Sizes) -> Learner:
    """A network before training. A transformer's window is the context: RESET and what is drawn."""
    model = learner_model(process.num_symbols, cell, sizes.hidden)
    if isinstance(model.cell, Transformer):
        own = dataclasses.replace(model.cell, window=T, layers=sizes.layers)
        model = dataclasses.replace(model, cell=own)
    params = model.init(jax.random.fold_in(jax.random.key(seed), INIT), recipe.timescale)
    settings = learner_settings(process, recipe, cell, sizes.hidden, seed)
    return Learner(model, params, process.num_symbols, settings)


def _thinned(beliefs: dict[str, np.ndarray], task: Task) -> dict[str, list[list[float]]]:
    """Some histories, the likelier the more often, to four digits."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(task.weight), min(_DOTS, len(task.weight)), p=task.weight)
    return {name: np.round(values[chosen], 4).tolist() for name, values in beliefs.items()}


def _ours(networks: Sequence[dict[str, Any]], states: int) -> dict[str, Estimate]:
    """Every claim's number: of the trained networks, the mean over seeds with Student's t."""
    out = {"states": Estimate(float(states), None, None)}
    for process in {network["process"] for network in networks}:
        for cell in CELLS:
            last = [
                network["rows"][-1]
                for network in networks
                if (network["process"], network["cell"]) == (process, cell)
            ]
            for key in last[0]:
                if key == "iterations":
                    continue
                each = np.array([row[key] for row in last])
                over = _OVER_SEEDS.get(key.split("_")[0], student)
                out[f"{process}.{cell}.{key}"] = over(each)
    return out


def _claims() -> tuple[Claim, ...]:
    out = [
        Claim(
            "rrxor.transformer.distance_belief",
            "Random-random-XOR, transformer: squared correlation of distances, read and exact beliefs",
            "R²",
            0.95,
            0.005,
            note="From all layers together, over all pairs of beliefs.",
        ),
        Claim(
            "rrxor.transformer.distance_predictive",
            "The same with distances of the next symbol's probabilities",
            "R²",
            0.31,
            0.005,
        ),
        Claim("states", "Random-random-XOR: different beliefs", "", 36),
    ]
    gap = ("gap", "exact gap", "nats a symbol")
    last = ("r2", "beliefs read off the last layer", "R²")
    quantities = {
        "mess3": (last, ("error", "mean squared error of what is read", ""), gap),
        "rrxor": (last, ("r2_layers", "beliefs read off all layers", "R²"), gap),
    }
    names = {"mess3": "Mess3", "rrxor": "Random-random-XOR"}
    for process, several in quantities.items():
        for cell in CELLS:
            for key, quantity, unit in several:
                text = f"{names[process]}, {cell}: {quantity}"
                out.append(Claim(f"{process}.{cell}.{key}", text, unit, None))
    return tuple(out)


PAPER = Paper(
    name="shai-2024",
    title="Transformers represent belief state geometry in their residual stream",
    authors="Shai et al. (2024)",
    arxiv="2405.15943",
    setting=(
        "Mess3 with a=0.85, x=0.05 and random-random-XOR; contexts of ten symbols; a decoder of 4 "
        "layers, width 64, one head of 8, a hidden layer of 256, trained by plain gradient descent for "
        "a million steps; an affine map from the residual stream to the exact belief: of Mess3 from the "
        "last layer, of random-random-XOR from all layers together."
    ),
    assumed=(
        "Histories count by their probability, and those of every length up to nine equally.",
        "The R² of distances is the squared correlation over all pairs of different beliefs, each where "
        "the mean of what is read after its histories is; distances are Euclidean.",
    ),
    differs=(
        "The transformer has 4 heads and a hidden layer in its read-out, and knows distances by a "
        "learned bias; layers are read after the last norm.",
        "Training: SOAP with a cosine schedule, 2,000 steps of 36 contexts. Every context begins with "
        "RESET and ends with it.",
        "An LSTM of the same width stands beside it; all its layers are its input and its state.",
    ),
    claims=_claims(),
    run=run,
    tables=tables,
    panels=panels,
    says=says,
)
