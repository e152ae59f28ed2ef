"""What the results pages say about images, from MNIST and the two files of 1,000 masked images; and
what known mistakes do to the numbers.

    meta-learn pixels evaluate --out pixels/evaluate
    meta-learn pixels continue --out pixels/continue
    python docs/mnist.py pixels one_pixel_inpainting.npy 2X2_pixels_inpainting.npy

keeps the numbers that the pages show in docs/results/mnist.json. Which file is which is told by its
content.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from analysis.coursework.mistakes import (
    Effect,
    leave_first_unscored,
    leave_teacher_forcing_on,
    masked_targets,
    not_bayes,
    round_for_sampling,
    wrong_links,
)
from analysis.images.inpainting import inpaint
from analysis.images.inpainting_results import estimate
from analysis.images.runs import FIRST_MISSING
from analysis.intervals import Estimate
from autoregressive.images.masked import MaskedImages, read_masked
from autoregressive.images.mnist import load_mnist
from autoregressive.pixels.continuation import continue_images
from autoregressive.pixels.packaged import packaged_pixels
from meta_learning.experiments import EXPERIMENTS

PATCH = "a 2 x 2 patch"
KEPT = Path(__file__).parent / "results" / "mnist.json"
FOLDERS = {"evaluate": "evaluation.json", "continue": "continuation.json"}


def collect(folder: Path, files: list[Path]) -> dict[str, Any]:
    """The documents of two commands, and the estimates of every file by what is missing in it."""
    out: dict[str, Any] = {}
    for name, document in FOLDERS.items():
        run = json.loads((folder / name / "manifest.json").read_text())
        out[name] = {
            "command": f"meta-learn pixels {name}",
            "document": json.loads((folder / name / document).read_text()),
            "versions": run["versions"],
        }
    out["inpaint"] = {}
    for path in files:
        images = read_masked(path)
        found = estimate(inpaint(packaged_pixels(), images))
        out["inpaint"][images.kind()] = {
            "command": f"meta-learn inpaint {path.name}",
            "images": len(images.masked),
            "estimates": {k: {"mean": e.mean, "ci95": e.ci95} for k, e in found.items()},
        }
        if images.kind() == PATCH:
            out["mistakes"] = [effect.document() for effect in _mistakes(images)]
    return out


def _mistakes(images: MaskedImages) -> Iterator[Effect]:
    network, test = packaged_pixels(), load_mnist("test")
    yield from masked_targets(network, images)
    pixels = test.images(slice(0, 1_000))
    yield from wrong_links(network.logits(pixels), pixels[:, 1:])
    few = test.images(slice(0, 100))
    sampled = continue_images(network, few, jax.random.key(0), first=FIRST_MISSING, samples=10)
    yield from round_for_sampling(network, few, sampled)
    yield from leave_teacher_forcing_on(sampled)
    yield from not_bayes(EXPERIMENTS["M2"])
    yield from leave_first_unscored(EXPERIMENTS["M2"])


def estimates(kept: dict[str, Any]) -> dict[str, Estimate]:
    """A file's estimates again, as ``inpaint_pages.tables`` takes them."""
    return {k: Estimate(e["mean"], *e["ci95"]) for k, e in kept["estimates"].items()}


if __name__ == "__main__":
    kept = collect(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
    KEPT.write_text(json.dumps(kept, allow_nan=False) + "\n")
