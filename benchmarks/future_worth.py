"""What the pixels after a gap are worth to a network, against how many pixels are missing.

    python benchmarks/future_worth.py --out docs/results/future-worth.json

log p(x_M | observed) - log p(x_M | past only) at the truth, nats an image, of the packaged LSTM-32 on
MNIST test images (or ``--checkpoint`` and ``--data``), for missing pixels scattered at random and in one
square; the lower half has nothing observed after it. Posteriors by sequential Monte Carlo, each with its
standard error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from document import write

from analysis.images.estimation import MOST_ERROR
from analysis.images.estimation import scores as scores_of
from analysis.intervals import student
from autoregressive.images.datasets import load
from autoregressive.images.masks import draw_mask
from autoregressive.matrices import one_lapack_thread
from autoregressive.pixels.evidence import estimate_evidence
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.packaged import load_pixels
from autoregressive.pixels.pilots import look_ahead
from autoregressive.precision import float64

MASKS = ("random:16", "random:49", "random:196", "random:392")
MASKS += ("square:4", "square:7", "square:14", "lower-half")
SEED = 0


def worth(network: PixelNetwork, mask: str, data: str, count: int) -> dict[str, Any]:
    """Each image's worth of the future under a mask, with the errors of log p(observed)."""
    test = load(data, "test")
    pixels = test.images(slice(0, count))
    keep = draw_mask(mask, count, test.shape, SEED)
    rows = []
    for n, whole in enumerate(pixels):
        image = np.where(keep[n], whole.astype(np.int8), np.int8(-1))
        key = jax.random.fold_in(jax.random.key(SEED), n)
        with float64(), one_lapack_thread():
            ahead = look_ahead(network, image[None], jax.random.fold_in(key, 0))
            found = estimate_evidence(network, image[None], jax.random.fold_in(key, 1), ahead)
        log_prob, _, past = scores_of(network, image, whole[image < 0].astype(np.int8))
        rows.append(
            {
                "worth": log_prob - found.mean - past,
                "standard_error": found.standard_error,
                "given": found.standard_error <= MOST_ERROR,
            }
        )
    given = np.array([row["worth"] for row in rows if row["given"]])
    mean = student(given)
    return {
        "missing": int((~keep[0]).sum()),
        "images": count,
        "given": len(given),
        "mean": mean.mean,
        "ci95": mean.ci95,
        "per_image": rows,
    }


@click.command()
@click.option("--images", default=12, show_default=True, help="Images of each mask.")
@click.option("--data", default="mnist", show_default=True)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="The network; else LSTM-32.")
@click.option("--mask", type=click.Choice(MASKS), multiple=True, help="Only these.")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    images: int, data: str, checkpoint: Path | None, mask: tuple[str, ...], out: Path | None
) -> None:
    network = load_pixels(checkpoint)
    results: dict[str, Any] = {"data": data, "masks": {}}
    for name in mask or MASKS:
        results["masks"][name] = worth(network, name, data, images)
        if out is not None:
            write(results, out)  # what is known so far
    write(results, out)


if __name__ == "__main__":
    main()
