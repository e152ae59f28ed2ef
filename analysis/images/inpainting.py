"""In-painting: exact posteriors over missing pixels, with and without the pixels after them.

Three predictors of each missing pixel x_k, scored like any others, at the true values:

- ``past_and_future``: p(x_k | the missing pixels before k, all observed ones). By the chain rule its
  losses add up to -log p(x_M | observed).
- ``past_and_future_alone``: p(x_k | all observed ones), the marginal of the same posterior.
- ``past_only``: p(x_k | x_<k), the network's own next-pixel probability with the true past.

The gap of a predictor is KL(past_and_future || predictor). Everything is in nats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import jax
import numpy as np
from jaxtyping import Float, Float64, Int, Int8, Int64, UInt8

from analysis.report.report import Document
from analysis.workers import each_result
from autoregressive.images.masked import MaskedImages
from autoregressive.pixels.inpainting import (
    check_masked,
    chunk_posteriors,
    chunk_rows,
    cost,
    each_posterior,
    past_only,
)
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.posterior import Posterior
from autoregressive.scores import Calibration, calibration

PREDICTORS = ("past_and_future", "past_and_future_alone", "past_only")
# Cell steps of one task for a worker, which takes about a second.
_TASK_STEPS = 2_000_000
# With more missing pixels the joint table of all completions is not reported.
MOST_TABULATED = 6
# Of the m missing pixels of one image: their values; log-probabilities of both values of each.
Values = UInt8[np.ndarray, " m"]
LogRows = Float[np.ndarray, "m 2"]
# Pixels (n, P) with -1 for missing, and whole.
Masked = Int8[np.ndarray, "n P"]
Whole = UInt8[np.ndarray, "n P"]


@dataclass(frozen=True)
class ImageResult:
    """One image's posterior.

    missing: the places, (m,). log_marginals: log p(x_k | observed) of both values, (m, 2). best: the
    most probable completion, (m,). probabilities: of all completions in binary order, (2^m,); None
    where m > 6. entropy: of the joint posterior. log_prob_best, log_prob_truth: log p(x_M | observed).
    nll_best, nll_truth: of the whole image so completed. truth: the true values, (m,). All in nats;
    None where the truth is not known.
    """

    missing: Int[np.ndarray, " m"]
    log_marginals: LogRows
    best: Values
    probabilities: Float64[np.ndarray, " 2**m"] | None
    entropy: float
    log_prob_best: float
    nll_best: float
    truth: Values | None = None
    log_prob_truth: float | None = None
    nll_truth: float | None = None

    @property
    def marginals(self) -> Float[np.ndarray, " m"]:
        """p(x_k = 1 | observed) (m,)."""
        return np.exp(self.log_marginals[:, 1])


# One image: its result, and log p(x_k | the missing pixels before k, observed) at the truth.
Scored = tuple[ImageResult, LogRows | None]


@dataclass(frozen=True)
class Inpainting:
    """The results of all images; where the truth is known also the predictions of each missing pixel.

    images: one result each. image, place: which image and which of its places each missing pixel is,
    int (pixels,). target: their true values, int (pixels,). log_q: for every predictor the
    log-probabilities of both values, nats (pixels, 2).
    """

    images: list[ImageResult]
    image: Int64[np.ndarray, " pixels"]
    place: Int64[np.ndarray, " pixels"]
    target: Int64[np.ndarray, " pixels"] | None
    log_q: dict[str, Float[np.ndarray, "pixels 2"]]

    @property
    def calibration(self) -> Calibration | None:
        """Of the marginals p(x_k = 1 | observed); None where the truth is not known."""
        if self.target is None:
            return None
        return calibration(np.concatenate([r.marginals for r in self.images]), self.target)

    def future_worth(self) -> Float[np.ndarray, " pixels"]:
        """log p(x_k | the missing pixels before k, observed) - log p(x_k | x_<k) at the truth, nats
        (pixels,).

        Errors: AssertionError where the truth is not known.
        """
        assert self.target is not None
        rows = np.arange(len(self.target))
        both, past = (
            self.log_q[name][rows, self.target] for name in ("past_and_future", "past_only")
        )
        return both - past


def inpaint(
    network: PixelNetwork,
    images: MaskedImages,
    on_images: Callable[[int], None] = lambda done: None,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
) -> Inpainting:
    """The exact posterior of every image, and what the predictors say where the truth is known.

    on_images: called with the number of images done. scheduler, workers: where else posteriors are
    computed (``analysis.workers``), to the same bits.
    Errors: ValueError as for ``autoregressive.pixels.inpainting.posteriors``; those of
    ``analysis.workers.run_tasks``.
    """
    masked, truth = images.masked, images.truth
    posteriors: dict[int, Scored] = {}
    if scheduler is None and workers is None:
        for row, posterior in each_posterior(network, masked):
            posteriors[row] = _score(posterior, None if truth is None else truth[row])
            on_images(len(posteriors))
    else:
        tasks = list(_tasks(network, check_masked(masked, network.places), truth))
        with closing(
            each_result(score_chunks, tasks, scheduler=scheduler, workers=workers)
        ) as results:
            for index, scored in results:
                rows = np.concatenate([chunk.rows for chunk in tasks[index].chunks])
                posteriors |= zip(rows.tolist(), scored, strict=True)
                on_images(len(posteriors))
    every = [posteriors[row][0] for row in range(len(posteriors))]
    image, place = np.nonzero(masked < 0)
    if truth is None:
        return Inpainting(every, image, place, None, {})
    log_q = {
        "past_and_future": np.concatenate([posteriors[row][1] for row in range(len(posteriors))]),
        "past_and_future_alone": np.concatenate([r.log_marginals for r in every]),
        "past_only": past_only(network, truth, masked < 0),
    }
    return Inpainting(every, image, place, truth[masked < 0].astype(np.int64), log_q)


@dataclass(frozen=True)
class Chunk:
    """Images that advance together (``chunk_rows``): their rows, pixels and truth."""

    rows: Int[np.ndarray, " n"]
    masked: Masked
    truth: Whole | None


@dataclass(frozen=True)
class ChunksTask:
    """Some chunks as a task for a worker; the network's parameters as NumPy arrays."""

    network: PixelNetwork
    chunks: list[Chunk]


def score_chunks(task: ChunksTask) -> list[Scored]:
    """What ``inpaint`` keeps of each image of a task."""
    return [
        _score(posterior, None if chunk.truth is None else chunk.truth[n])
        for chunk in task.chunks
        for n, posterior in enumerate(chunk_posteriors(task.network, chunk.masked))
    ]


def _tasks(network: PixelNetwork, masked: Masked, truth: Whole | None) -> Iterator[ChunksTask]:
    """All images in tasks of about ``_TASK_STEPS``, one chunk at least."""
    bare = replace(network, params=jax.tree.map(np.asarray, network.params), history={})
    chunks: list[Chunk] = []
    steps = 0
    for rows in chunk_rows(masked):
        chunks.append(Chunk(rows, masked[rows], None if truth is None else truth[rows]))
        steps += cost(masked[rows])
        if steps > _TASK_STEPS:
            yield ChunksTask(bare, chunks)
            chunks, steps = [], 0
    if chunks:
        yield ChunksTask(bare, chunks)


def _score(posterior: Posterior, truth: UInt8[np.ndarray, " P"] | None) -> Scored:
    """One image: its result, and where its true pixels are known the rows of ``past_and_future``."""
    if truth is None:
        return _result(posterior, None), None
    values = truth[posterior.missing]
    return _result(posterior, values), posterior.conditionals(values)


def _result(posterior: Posterior, values: Values | None) -> ImageResult:
    best = int(np.argmax(posterior.log_probs))
    small = len(posterior.missing) <= MOST_TABULATED
    about_truth: Document = {}
    if values is not None:
        index = posterior.index(values)
        about_truth = {
            "truth": values,
            "log_prob_truth": float(posterior.log_probs[index]),
            "nll_truth": float(posterior.nll[index]),
        }
    return ImageResult(
        posterior.missing,
        posterior.log_marginals,
        posterior.completions[best],
        np.exp(posterior.log_probs) if small else None,
        posterior.entropy,
        float(posterior.log_probs[best]),
        float(posterior.nll[best]),
        **about_truth,
    )
