"""Are estimated posteriors of many missing pixels right, and how often do their intervals hold?

    python benchmarks/estimation.py --out benchmarks/results/estimation.json

(a) At 4 x 4, against exact enumeration: a network with random weights, images drawn at random, ten
pixels missing. (b) A Markov chain and a hidden Markov model over the raster, whose posterior is known at
any size by forward-backward: lower half, a 14 x 14 square, 392 pixels at random. (c) Images drawn from
the packaged LSTM-32: the free estimate of log p(observed past the first missing pixel) and that of
runs which hold the truth, an exact draw from the posterior, are a lower and an upper bound in
expectation. Coverage is of 95% intervals; marginals count between 1% and 99%.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from document import write
from raster_chains import draw, exact, hidden_markov, markov

from analysis.images.estimation import Effort, Estimated, estimate
from autoregressive.images.masked import MaskedImages
from autoregressive.images.masks import draw_mask
from autoregressive.matrices import one_lapack_thread
from autoregressive.pixels.evidence import (
    Evidence,
    conditional_estimates,
    estimate_evidence,
)
from autoregressive.pixels.inpainting import past_only, posteriors
from autoregressive.pixels.network import PixelNetwork, pixel_model
from autoregressive.pixels.packaged import packaged_pixels
from autoregressive.pixels.pilots import look_ahead
from autoregressive.precision import float64

SHAPE = (28, 28)
MASKS = ("square:14", "random:392", "lower-half")
MODELS = {"hidden_markov": hidden_markov, "markov": markov}
# Of a standard normal, two-sided 95%.
_Z = 1.959964


def lay(pixels: np.ndarray, mask: str, shape: tuple[int, int], seed: int) -> MaskedImages:
    """Images under a mask, with their truth."""
    keep = draw_mask(mask, len(pixels), shape, seed)
    return MaskedImages(
        np.where(keep, pixels.astype(np.int8), np.int8(-1)), pixels.astype(np.uint8)
    )


def random_network() -> PixelNetwork:
    """Of 4 x 4 pixels, with weights so large that pixels depend on each other."""
    model = pixel_model("lstm", 6, (5,))
    params = jax.tree.map(lambda leaf: 7.5 * leaf, model.init(jax.random.key(0)))
    return PixelNetwork(model, params, 16, 0.2, {})


def small(count: int, effort: Effort) -> dict[str, Any]:
    """(a): estimates of 4 x 4 images against enumeration."""
    network = random_network()
    pixels = np.random.default_rng(0).integers(0, 2, (count, 16)).astype(np.uint8)
    images = lay(pixels, "random:10", (4, 4), 0)
    tables = posteriors(network, images.masked)
    both = past_only(network, pixels, np.ones(pixels.shape, bool)).reshape(count, 16, 2)
    log_p = np.take_along_axis(both, pixels[..., None].astype(int), -1)[..., 0]
    first = (images.masked < 0).argmax(1)
    before = [log_p[n, 1:f].sum() for n, f in enumerate(first)]
    truths = [np.logaddexp.reduce(-t.nll) - b for t, b in zip(tables, before, strict=True)]
    found = estimate(network, images, effort, 0)
    return covered(found, truths, [t.marginals for t in tables])


def known(
    network: PixelNetwork, mask: str, count: int, chains: int, effort: Effort
) -> dict[str, Any]:
    """(b): estimates against forward-backward, with chains of the first ``chains`` images alone."""
    images = lay(draw(network, count, 1), mask, SHAPE, 1)
    answers = [exact(network, image) for image in images.masked]
    some = MaskedImages(images.masked[:chains], images.truth[:chains])
    found = estimate(network, some, effort, 1)
    made = covered(found, [a for a, _ in answers[:chains]], [m for _, m in answers[:chains]])
    evidence = [one.evidence for one in found]
    for n in range(chains, count):
        key = jax.random.fold_in(jax.random.key(1), n)
        with float64(), one_lapack_thread():
            image = images.masked[n][None]
            ahead = look_ahead(network, image, jax.random.fold_in(key, 0))
            evidence.append(
                estimate_evidence(
                    network,
                    image,
                    jax.random.fold_in(key, 1),
                    ahead,
                    particles=effort.particles,
                    target=effort.target_error,
                )
            )
    return made | {
        "images": count,
        "images_with_chains": chains,
        "log_evidence": evidence_covered(evidence, [a for a, _ in answers]),
    }


def evidence_covered(found: list[Evidence], truths: list[float]) -> dict[str, Any]:
    """How often 95% intervals of log Z hold it."""
    slack = 1e-9  # runs that enumerate have no error but rounding
    ends = [one.ci95 for one in found]
    inside = [
        low - slack <= log_z <= high + slack
        for (low, high), log_z in zip(ends, truths, strict=True)
    ]
    errors = np.array([one.standard_error for one in found])
    gaps = np.array([one.mean for one in found]) - truths
    share = float(np.mean(inside))
    return {
        "coverage": share,
        "standard_error_of_coverage": float((share * (1 - share) / len(found)) ** 0.5),
        "root_mean_square_error": float(np.sqrt(np.mean(gaps**2))),
        "mean_error": float(gaps.mean()),
        "median_stated_error": float(np.median(errors)),
        "largest_stated_error": float(errors.max()),
    }


def covered(
    found: list[Estimated], truths: list[float], marginals: list[np.ndarray]
) -> dict[str, Any]:
    """How often intervals hold the exact values, over images and their missing pixels."""
    marginal_inside: list[np.ndarray] = []
    largest = 0.0
    for one, exact_marginals in zip(found, marginals, strict=True):
        counts = one.chains.converged & (exact_marginals > 0.01) & (exact_marginals < 0.99)
        distance = np.abs(one.chains.marginals - exact_marginals)[counts]
        marginal_inside.append(distance <= _Z * one.chains.errors[counts])
        largest = max(largest, float(distance.max(initial=0)))
    pixels = np.concatenate(marginal_inside)
    return {
        "images": len(found),
        "missing": len(found[0].missing),
        "log_evidence": evidence_covered([one.evidence for one in found], truths),
        "marginals": {
            "coverage": float(pixels.mean()) if len(pixels) else None,
            "pixels": len(pixels),
            "largest_distance": largest,
            "converged_share": float(np.concatenate([o.chains.converged for o in found]).mean()),
        },
        "best_below_truth": sum(o.log_prob_best < (o.log_prob_truth or -np.inf) for o in found),
    }


def bracket(mask: str, count: int, effort: Effort, particles: int) -> dict[str, Any]:
    """(c): lower and upper bounds of log Z on the network's own images."""
    network = packaged_pixels()
    pixels = own_images(network, count)
    images = lay(pixels, mask, SHAPE, 2)
    rows = []
    for n, image in enumerate(images.masked):
        key = jax.random.fold_in(jax.random.key(7), n)
        with float64(), one_lapack_thread():
            ahead = look_ahead(network, image[None], jax.random.fold_in(key, 0))
            free = estimate_evidence(
                network,
                image[None],
                jax.random.fold_in(key, 1),
                ahead,
                particles=particles,
                target=effort.target_error,
            )
            held = conditional_estimates(
                network,
                image[None],
                pixels[n][image < 0].astype(np.int8),
                jax.random.fold_in(key, 2),
                ahead,
                free.particles,
            )
        rows.append(
            {
                "estimate": free.mean,
                "standard_error": free.standard_error,
                "particles": free.particles,
                "runs": len(free.log_estimates),
                "lower": float(free.log_estimates.mean()),
                "upper": float(held.mean()),
            }
        )
    distance = np.array([row["upper"] - row["lower"] for row in rows])
    beyond = np.array([row["upper"] - row["estimate"] for row in rows])
    return {
        "images": count,
        "distance": {
            "mean": float(distance.mean()),
            "median": float(np.median(distance)),
            "largest": float(distance.max()),
        },
        "upper_less_estimate": {
            "mean": float(beyond.mean()),
            "standard_error": float(beyond.std(ddof=1) / len(beyond) ** 0.5),
        },
        "per_image": rows,
    }


def own_images(network: PixelNetwork, count: int) -> np.ndarray:
    """Images from the network itself, its first pixel 0."""
    from autoregressive.pixels.continuation import continue_images

    blank = np.zeros((count, network.places), np.uint8)
    found = continue_images(network, blank, jax.random.key(3), first=1, samples=2)
    return np.concatenate([blank[:, :1], found.samples[:, 0]], axis=1)


@click.command()
@click.option("--images", default=200, show_default=True, help="Images of (a) and of each of (b).")
@click.option(
    "--chains", default=16, show_default=True, help="Images with marginals, of each of (b)."
)
@click.option("--own", default=12, show_default=True, help="Images of (c), for each mask.")
@click.option("--sweeps", default=500, show_default=True)
@click.option("--part", type=click.Choice(["a", "b", "c"]), multiple=True, help="Only these.")
@click.option("--model", type=click.Choice(list(MODELS)), multiple=True, help="Only these of (b).")
@click.option("--mask", type=click.Choice(MASKS), multiple=True, help="Only these of (b).")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    images: int,
    chains: int,
    own: int,
    sweeps: int,
    part: tuple[str, ...],
    model: tuple[str, ...],
    mask: tuple[str, ...],
    out: Path | None,
) -> None:
    parts = part or ("a", "b", "c")
    results: dict[str, Any] = {"sweeps": sweeps, "target_error": 0.05}
    if "a" in parts:
        # Few particles, so that there is an error to state.
        results["enumeration_4x4"] = small(images, Effort(8, sweeps, 0.05))
    if "b" in parts:
        judged: dict[str, Any] = {name: {} for name in model or MODELS}
        results["forward_backward"] = judged
        for name in judged:
            for laid in mask or MASKS:
                effort = Effort(32, sweeps, 0.05)
                judged[name][laid] = known(MODELS[name](784), laid, images, chains, effort)
                if out is not None:
                    write(results, out)  # what is known so far
    if "c" in parts:
        results["bracket"] = {
            laid: bracket(laid, own, Effort(), 128) for laid in ("square:14", "lower-half")
        }
    write(results, out)


if __name__ == "__main__":
    main()
