"""What ``benchmarks/gpu.py`` measures: one function a step, each from plain arguments to numbers.

They run in a process of their own (``serve``), so that one that crashes or hangs ends nothing else.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "optax", "numpyro", "torch", "triton")
COMPARE = ("compare", "--alpha", "10,1,1", "--T", "20")


def about() -> dict[str, Any]:
    """Device and versions."""
    import jax

    versions: dict[str, str | None] = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    device = jax.devices()[0].device_kind
    return {"platform": jax.default_backend(), "device": device, "versions": versions}


def kernels(cell: str) -> dict[str, Any]:
    """Why this device cannot run a cell's kernels; empty where it can."""
    from autoregressive.cells import RECURRENT
    from autoregressive.unroll.pallas import why_no_kernels

    made: Any = RECURRENT[cell](1, 32)
    return {"against": why_no_kernels(made)}


def agreement(cell: str, batch: int, places: int, form: str, hidden: int = 32) -> dict[str, Any]:
    """Largest differences between a form and the plain scan, and for the scan itself between float32
    and float64: of values (outputs, last state), and of gradients (parameters, first state, inputs).

    absolute: of any number. relative: of any array, |a - b| / |b| in the 2-norm.
    """
    if form == "scan":
        ours = _scan(cell, batch, places, hidden, "float32")
        right = _scan(cell, batch, places, hidden, "float64")
    else:
        ours = _numbers(cell, batch, places, form, hidden, "float32")
        right = _scan(cell, batch, places, hidden, "float32")
    return {what: _differences(ours[what], right[what]) for what in ours}


@cache
def _scan(cell: str, batch: int, places: int, hidden: int, dtype: str) -> dict[str, Any]:
    from autoregressive.precision import float64

    with float64() if dtype == "float64" else nullcontext():
        return _numbers(cell, batch, places, "scan", hidden, dtype)


def _numbers(
    cell: str, batch: int, places: int, form: str, hidden: int, dtype: str
) -> dict[str, Any]:
    """A cell with random parameters, state and inputs through a form: values and gradients."""
    import jax
    import numpy as np
    from forms import FORMS

    from autoregressive.cells import RECURRENT

    rng = np.random.default_rng(0)
    made: Any = RECURRENT[cell](4 if places <= 100 else 1, hidden)

    def noise(like: Any) -> Any:
        # Float32 first: both precisions have the same numbers.
        return (0.4 * rng.standard_normal(like.shape)).astype(np.float32).astype(dtype)

    shapes = jax.eval_shape(lambda: (made.init(jax.random.key(0)), made.initial_state((batch,))))
    params = {name: noise(like) for name, like in sorted(shapes[0].items())}
    state = tuple(noise(like) for like in shapes[1])
    xs = noise(np.empty((places, batch, made.inputs)))

    def value(params: Any, state: Any, xs: Any) -> Any:
        last, outputs = FORMS[form](made, params, state, xs)
        total = (outputs**2).sum() + sum((part**3).sum() for part in last)
        return total / batch, (last, outputs)

    run = jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2), has_aux=True))
    (_, values), gradients = run(params, state, xs)
    return {
        name: [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]
        for name, tree in (("values", values), ("gradients", gradients))
    }


def _differences(ours: list[Any], right: list[Any]) -> dict[str, float]:
    import numpy as np

    pairs = list(zip(ours, right, strict=True))
    absolute = max(float(np.abs(a - b).max()) for a, b in pairs)
    relative = max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs)
    if not (np.isfinite(absolute) and np.isfinite(relative)):
        raise FloatingPointError("a value or gradient is not finite")
    return {"absolute": absolute, "relative": relative}


def step_time(
    cell: str, job: str, side: str, repeats: int = 5, sizes: tuple[int, int, int] | None = None
) -> dict[str, Any]:
    """Milliseconds a training step, as ``benchmarks/training.py`` measures them. side: 'ours',
    'pytorch', or a form of the unroll. sizes: of another job, batch, length and symbols."""
    import training
    from jax.numpy import dtype

    from autoregressive.cells import RECURRENT
    from autoregressive.unroll import backends

    work = training.JOBS[job] if sizes is None else training.Job(*sizes)
    steps = training.steps_of(work) if sizes is None else 2
    found: dict[str, Any] = {"steps": steps}
    if side == "pytorch":
        import torch

        step = training.pytorch(cell, work, steps)
        found |= {"cudnn": torch.backends.cudnn.version(), "tf32": torch.backends.cudnn.allow_tf32}
    else:
        step = training.ours(cell, work, steps, None if side == "ours" else side)
        if side == "ours":
            made = RECURRENT[cell](work.width, training.HIDDEN)
            found["form"] = backends.choose_backend(made, dtype("float32"))
    found["first_seconds"] = _seconds(step)
    times = [1e3 * _seconds(step) / steps for _ in range(repeats)]
    return found | {"milliseconds": training.spread(times)}


def compare(again: bool, device: str = "gpu", more: tuple[str, ...] = ()) -> dict[str, Any]:
    """Seconds of the whole command from its start to its end, with nothing in its cache or with what
    the run before left there, and the gap it found."""
    folder = Path(os.environ["META_LEARN_CACHE"])
    if again and not (folder / "networks").is_dir():
        raise RuntimeError("the run from nothing left no network in the cache")
    if not again:
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "analysis", *COMPARE, "--device", device, "--json", *more]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    print(done.stderr, file=sys.stderr)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    numbers = json.loads(done.stdout)
    return {"seconds": seconds, "gap": numbers["gap"]["mean"], "ci95": numbers["gap"]["ci95"]}


def gap(T: int, tasks: int = 2_000, packaged: str = "") -> dict[str, Any]:
    """The exact gap, as ``benchmarks/exact_gap.py`` measures it, of the network that ``compare`` left
    or, where it left none, trained first (not timed); or of a packaged one."""
    import exact_gap

    from meta_learning.packaged import packaged_learner

    learner = packaged_learner(packaged) if packaged else exact_gap.network()
    return exact_gap.measure(learner, T, tasks)


def epoch(recipe: str, data: str, images: int = 0) -> dict[str, Any]:
    """One epoch of a recipe over the train images, its curves and scores included, from nothing
    compiled. images: with it, so many small random images and a small network."""
    from autoregressive.pixels.training import make_pixel_recipe, train_pixels

    small: dict[str, Any] = {"hidden": 4} if images else {}
    how = make_pixel_recipe(recipe, epochs=1, batch_size=4 if images else None)
    train, test = _images(data, images)
    rates: list[float] = []
    start = time.perf_counter()
    network = train_pixels(
        train, test, how, on_point=lambda point: rates.append(point.images_per_second), **small
    )
    return {
        "data": train.name,
        "images": len(train),
        "seconds": time.perf_counter() - start,
        "images_per_second": rates[-1],
        "test_loss": float(network.history["test_loss"][-1]),
    }


@cache
def _images(data: str, count: int) -> Any:
    import numpy as np

    from autoregressive.images.datasets import load
    from autoregressive.images.image_set import ImageSet, pack

    if not count:
        return load(data, "train"), load(data, "test")
    drawn = np.random.default_rng(0).random((count, 4, 4)) < 0.5
    return tuple(ImageSet("random", split, pack(drawn), (4, 4)) for split in ("train", "test"))


def posteriors(images: int) -> dict[str, Any]:
    """Posteriors of images that miss 2 x 2 pixels (``benchmarks/inpainting.py``), compiled and again."""
    import inpainting

    from autoregressive.pixels.inpainting import posteriors
    from autoregressive.pixels.packaged import packaged_pixels

    network, masked = packaged_pixels(), inpainting.strokes(images)
    first, again = (_seconds(lambda: posteriors(network, masked)) for _ in range(2))
    return {"images": images, "first_seconds": first, "seconds": again}


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "about": about,
    "kernels": kernels,
    "agreement": agreement,
    "step_time": step_time,
    "compare": compare,
    "gap": gap,
    "epoch": epoch,
    "posteriors": posteriors,
}


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def serve() -> None:
    """Steps as they come on stdin, a JSON line each; a JSON line for each goes to stdout: what it
    found, or why not and whether this process can go on. Whatever else is printed goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in _lines():
        step = json.loads(line)
        start = time.perf_counter()
        answer: dict[str, Any]
        try:
            if step["step"] != "compare":  # a process of its own, which wants the device to itself
                import jax

                jax.config.update("jax_default_matmul_precision", "highest")
            answer = {"found": STEPS[step["step"]](**step["with"])}
            json.dumps(answer, allow_nan=False)
        except Exception as error:
            traceback.print_exc()
            answer = {"failed": f"{type(error).__name__}: {one_line(error)}", "goes_on": _well()}
        answer["seconds"] = time.perf_counter() - start
        print(json.dumps(answer), file=answers, flush=True)


def _lines() -> Iterator[str]:
    return itertools.takewhile(bool, iter(sys.stdin.readline, ""))


def one_line(error: Exception) -> str:
    """The first line of an error that says something."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), "no reason given")[:300]


def _well() -> bool:
    """Whether the device still answers: after some errors of a kernel nothing on it does."""
    if "jax" not in sys.modules:
        return True
    try:
        import jax.numpy as jnp

        return float(jnp.arange(3.0).sum()) == 3
    except Exception:
        return False


if __name__ == "__main__":
    serve()
