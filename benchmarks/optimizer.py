"""Milliseconds of a training step by width, and the optimiser's share in it: SOAP beside Adam.

    python benchmarks/optimizer.py --out benchmarks/results/optimizer.json

A step is that of the default recipe, on streams of K=3 drawn before. Its parts are compiled apart: the
gradient alone, and the gradient with an optimiser; each is many steps in one program. They take turns,
and time is that of the processor, which other programs disturb less; the least of all turns counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import jax
import optax
from document import write

from autoregressive.matrices import one_lapack_thread
from autoregressive.soap import scale_by_soap
from meta_learning import DirichletCategorical
from meta_learning.learner import learner_model, losses
from meta_learning.processes import drawn_places
from meta_learning.recipes import RECIPES

PROCESS = DirichletCategorical((10.0, 1.0, 1.0), 20)
# Larger than any width here: one basis a side, up to the width where that takes too long to be measured.
WHOLE, WHOLE_UP_TO = 10**6, 128


def optimizers(hidden: int) -> dict[str, optax.GradientTransformation]:
    """By name; "none" takes the gradient as it is."""
    found = {
        "none": optax.identity(),
        "adam": optax.scale_by_adam(),
        "soap": scale_by_soap(),
    }
    if hidden <= WHOLE_UP_TO:
        found["soap, whole sides"] = scale_by_soap(whole=WHOLE)
    return found


def program(
    cell: str, hidden: int, optimizer: optax.GradientTransformation, steps: int
) -> Callable[[], Any]:
    """``steps`` of training in one compiled program, the refreshments of the bases among them."""
    recipe = RECIPES["default"]
    model = learner_model(PROCESS.num_symbols, cell, hidden)
    drawn = drawn_places(recipe.unroll, PROCESS.task_length)
    params = model.init(jax.random.key(0), recipe.timescale)
    symbols = PROCESS.sample(jax.random.key(1), recipe.batch_size, recipe.unroll)
    loss = partial(losses, model, PROCESS.num_symbols)

    def step(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        now, state = carry
        grads = jax.grad(lambda p: loss(p, symbols, drawn)[0])(now)
        updates, state = optimizer.update(grads, state, now)
        return jax.tree.map(lambda p, u: p - 1e-4 * u, now, updates), state

    @jax.jit
    def run(params: Any, state: Any) -> Any:
        return jax.lax.fori_loop(0, steps, step, (params, state))

    state = optimizer.init(params)
    # The first refreshment, an eigendecomposition, comes once in a training.
    with one_lapack_thread():
        params, state = jax.block_until_ready(run(params, state))

    @one_lapack_thread()
    def call() -> Any:
        return jax.block_until_ready(run(params, state))

    call()
    return call


def milliseconds(call: Callable[[], Any], steps: int) -> float:
    """Of the processor, one step."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start) / steps


def measure(cell: str, hidden: int, repeats: int, refreshments: int) -> dict[str, Any]:
    """All optimisers at one width."""
    steps = 20 * refreshments
    calls = {name: program(cell, hidden, how, steps) for name, how in optimizers(hidden).items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            found[name].append(milliseconds(call, steps))
    least = {name: min(times) for name, times in found.items()}
    jax.clear_caches()
    return {
        "cell": cell,
        "hidden": hidden,
        "milliseconds": least,
        "milliseconds_each": found,
        "share": {n: 1 - least["none"] / ms for n, ms in least.items() if n != "none"},
    }


@click.command(help=__doc__)
@click.option("--cell", "cells", multiple=True, default=("lstm",), show_default=True)
@click.option(
    "--hidden", multiple=True, type=int, default=(32, 64, 128, 256, 512), show_default=True
)
@click.option("--repeats", default=3, show_default=True)
@click.option("--refreshments", default=2, show_default=True, help="Of the bases, in a turn.")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    cells: tuple[str, ...],
    hidden: tuple[int, ...],
    repeats: int,
    refreshments: int,
    out: Path | None,
) -> None:
    runs = []
    for cell in cells:
        for width in hidden:
            runs.append(measure(cell, width, repeats, refreshments))
            shown = {n: round(ms, 2) for n, ms in runs[-1]["milliseconds"].items()}
            click.echo(f"{cell} {width}: {shown}", err=True)
    write({"recipe": RECIPES["default"].settings(), "runs": runs}, out)


if __name__ == "__main__":
    main()
