"""Milliseconds a training step: the toolkit beside PyTorch and a plain JAX scan, in one run.

    python benchmarks/training.py [--cell lstm] [--job pixels-256] [--repeats 7] [--out FILE]

Jobs: streams of 100 places of 4 symbols (one-hot), and 783 places of one pixel, each at two batch
sizes; 32 units, read-out 64, Adam at 0.001, float32, on whatever device both libraries find. Data is
ready on the device. Ours is ``autoregressive.training``: many steps in one compiled program. PyTorch
(extra ``bench``) is nn.LSTM or nn.GRU (cuDNN's on a GPU) with the same read-out, loss and optimiser,
eager. Beside them the same model unrolled by the plain scan that JAX differentiates, and on a GPU by
every other form there is, our loops with eight places in one turn among them (``places``). They take
turns, and ratios are of medians. ``benchmarks/gpu.py`` measures the same, each by itself.

With MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ at 4294967296 in the environment glibc keeps the
memory that it once had, of both programs; the JSON says what they were.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
from document import write
from forms import FORMS

from autoregressive.devices import take_cpu_for_two
from autoregressive.model import Model, cell_params, make_model
from autoregressive.training import Trainer, make_program

HIDDEN = 32
# What glibc keeps of memory that was freed, in bytes; None is its own choice.
ALLOCATOR = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
# A measurement is about this many place-updates (batch x length x steps) long, and on a GPU, where a
# place takes the same time for every batch here, this many places (length x steps). Ours is a piece of
# training of about two seconds, as ``training.fit`` runs them: with fewer, its memory would count.
_WORK, _PLACES = 4_000_000, 20_000
# PyTorch's steps are calls of their own: a tenth of them tells as much.
_SHARE = 10


class Job(NamedTuple):
    """batch x length places of one-hot symbols (symbols > 0), or of pixels (0)."""

    batch: int
    length: int
    symbols: int

    @property
    def width(self) -> int:
        return self.symbols or 1

    def data(self) -> np.ndarray:
        """Random symbols int32 (batch, length), or pixels float32 (batch, length + 1)."""
        rng = np.random.default_rng(0)
        if self.symbols:
            return rng.integers(0, self.symbols, (self.batch, self.length)).astype(np.int32)
        return rng.integers(0, 2, (self.batch, self.length + 1)).astype(np.float32)


JOBS = {
    "streams-64": Job(64, 100, 4),
    "streams-8": Job(8, 100, 4),
    "pixels-256": Job(256, 783, 0),
    "pixels-64": Job(64, 783, 0),
}


def ours(cell: str, job: Job, steps: int, form: str | None = None) -> Callable[[], Any]:
    """``steps`` of training as ``autoregressive.training`` does them, in the form it chooses or in
    the one named."""
    model = make_model(cell, HIDDEN, job.width, job.width)
    logits = Model.logits if form is None else partial(logits_by, form)

    def loss(params: Any, batch: Any) -> Any:
        if job.symbols:
            hot = jax.nn.one_hot(batch, job.symbols, dtype=jnp.float32)
            mean = optax.softmax_cross_entropy(logits(model, params, hot), hot).mean()
        else:
            z = logits(model, params, batch[:, :-1, None])[..., 0]
            mean = optax.sigmoid_binary_cross_entropy(z, batch[:, 1:]).mean()
        return mean, mean

    def draw(data: Any, key: Any, start: Any, n: int) -> Any:
        return jnp.broadcast_to(data, (n, *data.shape))

    trainer = Trainer(loss, optax.adam(1e-3), draw, rows=job.batch)
    params = model.init(jax.random.key(0))
    state = trainer.init(jax.tree.map(lambda leaf: leaf[None], params))
    program = make_program(trainer, steps)
    state, data, keys = program.place((state, jnp.asarray(job.data()), jax.random.key(0)[None]))

    def step() -> None:
        nonlocal state
        state, losses = program.run(state, data, keys, jnp.int32(0), jnp.int32(steps))
        np.asarray(losses)

    return step


def logits_by(form: str, model: Model, params: Any, xs: Any) -> Any:
    """``Model.logits`` through a form of the unroll, the read-out over all places at once."""
    state = model.initial_state((xs.shape[0],))
    hs = jnp.swapaxes(xs, 0, 1)
    _, hs = FORMS[form](model.cell, cell_params(params), state, hs)
    return jnp.swapaxes(model.read_out(params, hs), 0, 1)


def other_forms(cell: str) -> list[str]:
    """The forms to measure beside the one that is chosen."""
    if jax.default_backend() != "gpu":
        return ["scan"]
    return ["scan", "spans", "places", *(["cudnn"] if cell == "lstm" else [])]


def pytorch(cell: str, job: Job, steps: int) -> Callable[[], Any]:
    """``steps`` of training in eager PyTorch."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layer = getattr(torch.nn, cell.upper())(job.width, HIDDEN, batch_first=True).to(device)
    readout = torch.nn.Sequential(
        torch.nn.ReLU(),
        torch.nn.Linear(HIDDEN, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, job.width),
    ).to(device)
    adam = torch.optim.Adam([*layer.parameters(), *readout.parameters()], 1e-3)
    data = torch.from_numpy(job.data()).to(device)
    if job.symbols:
        targets = data.long()
        xs = torch.nn.functional.one_hot(targets, job.symbols).float()
    else:
        xs, targets = data[:, :-1, None].contiguous(), data[:, 1:].contiguous()

    def step() -> None:
        for _ in range(steps):
            adam.zero_grad()
            logits = readout(layer(xs)[0])
            if job.symbols:
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            else:
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits[..., 0], targets)
            loss.backward()
            adam.step()
        loss.item()

    return step


def steps_of(job: Job) -> int:
    """Steps in one measurement."""
    gpu = jax.default_backend() == "gpu"
    return max(1, _PLACES // job.length if gpu else _WORK // (job.batch * job.length))


def spread(milliseconds: list[float]) -> dict[str, float]:
    """Median, least and most."""
    return {
        "median": statistics.median(milliseconds),
        "min": min(milliseconds),
        "max": max(milliseconds),
    }


def measure(cell: str, job: Job, repeats: int, others: bool) -> dict[str, Any]:
    """Milliseconds a step of each, and ratios to PyTorch's median."""
    steps = steps_of(job)
    fewer = max(1, steps // _SHARE)
    sides = {"ours": (ours(cell, job, steps), steps), "pytorch": (pytorch(cell, job, fewer), fewer)}
    for form in other_forms(cell) if others else ():
        sides[f"form {form}"] = ours(cell, job, steps, form), steps
    times: dict[str, list[float]] = {name: [] for name in sides}
    for side, _ in sides.values():
        side()
    for _ in range(repeats):
        for name, (side, count) in sides.items():
            start = time.perf_counter()
            side()
            times[name].append(1e3 * (time.perf_counter() - start) / count)
    found = {name: spread(values) for name, values in times.items()}
    base = found["pytorch"]["median"]
    return {
        "milliseconds": found,
        "ratio_to_pytorch": {
            name: found[name]["median"] / base for name in sides if name != "pytorch"
        },
    }


@click.command()
@click.option("--cell", "cells", multiple=True, default=("lstm", "gru"), show_default=True)
@click.option("--job", "jobs", multiple=True, type=click.Choice(list(JOBS)), default=tuple(JOBS))
@click.option("--repeats", default=7, show_default=True)
@click.option("--others/--no-others", default=True, help="Measure other forms of the unroll too.")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    cells: tuple[str, ...], jobs: tuple[str, ...], repeats: int, others: bool, out: Path | None
) -> None:
    take_cpu_for_two()
    jax.config.update("jax_default_matmul_precision", "highest")
    found: dict[str, Any] = {}
    for cell in cells:
        for name in jobs:
            found.setdefault(cell, {})[name] = row = measure(cell, JOBS[name], repeats, others)
            shown = "  ".join(f"{k} {v['median']:.2f}" for k, v in row["milliseconds"].items())
            ratio = row["ratio_to_pytorch"]["ours"]
            click.echo(f"{cell} {name}: {shown} ms a step; ours / PyTorch {ratio:.2f}", err=True)
    allocator = {name: os.environ.get(name) for name in ALLOCATOR}
    write(
        {
            "torch": version("torch"),
            "cores": os.cpu_count(),
            "allocator": allocator,
            "jobs": found,
        },
        out,
    )


if __name__ == "__main__":
    main()
