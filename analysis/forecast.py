"""How much time and memory a training will take, from its sizes, before the first step.

Operations are counted and divided by the pace of one matrix product on this machine. That is right
within a factor of about two: enough to tell minutes from hours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.progress import LONG_S, duration

if TYPE_CHECKING:
    import jax

    from meta_learning.processes import Process
    from meta_learning.recipes import Recipe

# Fewer operations than these are some seconds on two cores: not worth measuring the pace.
_SMALL = 10**12
# An eigenvector or QR decomposition of n columns takes as long as this times n^3 operations of a matrix
# product.
_DECOMPOSITION = 60.0
_SOAP_EVERY = 20
# Copies of the state that are alive at once: the old one, the new one, and a step's intermediates.
_STATES = 3


def forecast(process: Process, recipe: Recipe, cell: str, hidden: int, seeds: int) -> str:
    """One line about a training of more than a minute; empty for a shorter one. seeds: how many
    networks are trained together.

    Errors: MemoryError, one line, where it needs more memory than there is.
    """
    import jax

    from meta_learning.learner import learner_model, make_trainer
    from meta_learning.training import HELD_OUT_SYMBOLS

    model = learner_model(process.num_symbols, cell, hidden)
    trainer = make_trainer(process, model, recipe)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0)))
    state = jax.eval_shape(lambda p: trainer.init(jax.tree.map(lambda x: x[None], p)), params)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(params))
    needed = seeds * _STATES * sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    there = memory()
    name = f"{cell}-{hidden}"
    if there and needed > there:
        raise MemoryError(
            f"training {seeds if seeds > 1 else 'one'} {name} needs about {_bytes(needed)} of memory, "
            f"there are {_bytes(there)}; try a smaller --hidden, fewer seeds or --recipe coursework"
        )
    step = 6.0 * numbers * recipe.batch_size * recipe.unroll
    if recipe.optimization.optimizer == "soap":
        step += soap_operations(params, recipe.iterations)
    points = 1 + recipe.iterations / recipe.iterations_per_point
    work = seeds * (recipe.iterations * step + points * 2.0 * numbers * HELD_OUT_SYMBOLS)
    if work < _SMALL:
        return ""
    seconds = work / operations_per_second()
    if seconds <= LONG_S:
        return ""
    return (
        f"{name} has {numbers:,} weights: its training of {recipe.iterations:,} "
        f"{'iteration' if recipe.iterations == 1 else 'iterations'} may take {duration(seconds)}, in "
        f"{_bytes(needed)} of memory"
    )


def soap_operations(params: Mapping[str, jax.Array], iterations: int) -> float:
    """Operations of one step of SOAP, with its share of the decompositions of every twentieth step."""
    from autoregressive.soap import block_sizes, layers

    total = 0.0
    for names in layers(params).values():
        rows = params[names[0]].shape[0]
        columns = sum(params[n].size // rows for n in names)
        refreshments = iterations // _SOAP_EVERY
        for blocks, size in (block_sizes(rows), block_sizes(columns)):
            total += 6.0 * rows * columns * size
            total += _DECOMPOSITION * blocks * size**3 * refreshments / iterations
    return total


def operations_per_second() -> float:
    """The pace of one float32 matrix product on the device that JAX uses."""
    import jax
    import jax.numpy as jnp

    n = 1024
    matrix = jnp.ones((n, n), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(matrix, matrix).block_until_ready()
    started = time.perf_counter()
    product(matrix, matrix).block_until_ready()
    return 2.0 * n**3 / (time.perf_counter() - started)


def memory() -> int:
    """Bytes of the device that JAX uses; 0 where that is not known."""
    import jax

    device = jax.devices()[0]
    if device.platform != "cpu":
        return int((device.memory_stats() or {}).get("bytes_limit", 0))
    limits = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    # The limit of the container.
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else ""
    if text.isdigit():
        limits.append(int(text))
    return min(limits, default=0)


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.0f} GB" if count >= 2e9 else f"{count / 1e6:,.0f} MB"
