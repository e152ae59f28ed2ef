"""The report of estimated posteriors: sentences, tables, pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.images.estimation_results import (
    document,
    marginal_scores,
    means,
    to_datatree,
)
from analysis.images.inpainting_page import title
from analysis.images.page import BINARISATION
from analysis.report.formats import interval, nats, percent
from analysis.report.report import Panel, Report, Table
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.trained_on import training_images

if TYPE_CHECKING:
    from analysis.images.estimation import Effort, Estimated
    from analysis.intervals import Estimate
    from autoregressive.images.masked import MaskedImages

_SHOWN = 8


def make_report(
    estimated: Sequence[Estimated],
    network: PixelNetwork,
    images: MaskedImages,
    source: str,
    seed: int,
    effort: Effort,
) -> Report:
    """What there is to say of images whose missing pixels were estimated. source: of the images, in
    words."""
    from autoregressive.checkpoint import tensors_digest

    found = means(estimated)
    made = document(estimated, effort, found)
    return Report(
        "inpainting",
        title(network, images, source),
        lead(estimated, found),
        {"kind": images.kind(), **made},
        tables(estimated, effort, found),
        panels=lambda: panels(estimated, images.masked, training_images(network).shape, effort),
        trees=lambda: {"inpainting": to_datatree(estimated, network.places)},
        seeds=[seed],
        run={
            "data_digest": tensors_digest({"masked": images.masked}),
            "network_digest": tensors_digest(network.params),
        },
    )


def lead(images: Sequence[Estimated], found: dict[str, Estimate]) -> str:
    """The answer, and what is no answer yet."""
    some = sum(one.usable for one in images)
    unsure = sum(not one.chains.converged.all() for one in images)
    if "log_posterior_truth" in found:
        worth = found["future_worth"]
        text = (
            f"Given all observed pixels the truth has log probability "
            f"{nats(found['log_posterior_truth'].mean)} an image on average; knowing the future is "
            f"worth {nats(worth.mean)} nats an image"
            + (f" (95% interval {interval(worth.ci95)})." if worth.low is not None else ".")
        )
    elif found:
        text = (
            f"The observed pixels past the first missing one have log probability "
            f"{nats(found['log_evidence'].mean)} an image on average."
        )
    else:
        text = "For no image did the runs agree on the probability of the observed pixels."
    if some < len(images):
        text += (
            f" For {len(images) - some} of {len(images)} images it has not converged and is not "
            "given."
        )
    if unsure:
        text += f" In {unsure} of {len(images)} images some marginals have not converged."
    return text


def tables(images: Sequence[Estimated], effort: Effort, found: dict[str, Estimate]) -> list[Table]:
    """Means over images, and what can be relied on."""
    labels: list[tuple[str, str, Callable[[float | None], str]]] = [
        ("log_evidence", "log p(observed past f)", nats),
        ("log_posterior_truth", "log p(truth | observed)", nats),
        ("past_only_log_prob", "log p(truth | past only)", nats),
        ("future_worth", "what the future is worth", nats),
        ("pixel_accuracy", "pixels right, most probable", percent),
        ("nll_truth", "NLL of the true image", nats),
        ("nll_best", "NLL, most probable met", nats),
        ("nll_excess", "NLL(truth) - NLL(that)", nats),
    ]
    rows = [
        [label, form(found[name].mean), interval(found[name].ci95, form)]
        for name, label, form in labels
        if name in found
    ]
    scores = marginal_scores(images)
    if scores is not None:
        rows.append(["Brier of the marginals", nats(scores[0]), ""])
    summary = Table(
        "The posterior over the missing pixels, estimated",
        ("quantity", "mean", "95% interval"),
        rows,
        "Nats an image but for shares; intervals over images (bootstrap); only images whose "
        "log p(observed) has converged. f is the first missing pixel. " + BINARISATION,
    )
    errors = np.array([one.evidence.standard_error for one in images])
    many = len(images)
    within = int((errors <= effort.target_error).sum())
    converged = np.concatenate([one.chains.converged for one in images])
    trust = Table(
        "What it can be relied on for",
        ("quantity", "value"),
        [
            ["median error of log p(observed)", nats(float(np.median(errors)))],
            [f"images within {effort.target_error:g} nats", f"{within} of {many}"],
            ["images with log p(observed)", f"{sum(one.usable for one in images)} of {many}"],
            ["marginals that converged", percent(float(converged.mean()))],
            [
                "images where all did",
                f"{sum(bool(one.chains.converged.all()) for one in images)} of {many}",
            ],
            ["truth better than all met", f"{sum(one.from_truth for one in images)} of {many}"],
        ],
        "Errors are standard errors over independent runs. Converged: R-hat at most 1.01 and bulk "
        "effective sample size at least 400, over four chains of completions. More --particles, "
        "--sweeps or a smaller --target-error go further.",
    )
    return [summary, trust]


def choose(images: Sequence[Estimated]) -> list[int]:
    """Images to show: evenly spread over the mean entropy of their marginals."""

    def entropy(one: Estimated) -> float:
        p = np.clip(one.chains.marginals, 1e-12, 1 - 1e-12)
        return float(-(p * np.log(p) + (1 - p) * np.log1p(-p)).mean())

    order = np.argsort([-entropy(one) for one in images], kind="stable")
    picked = np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int)
    return [int(order[k]) for k in picked]


def panels(
    images: Sequence[Estimated], masked: np.ndarray, shape: tuple[int, int], effort: Effort
) -> list[Panel]:
    """Pictures of chosen images, errors of log p(observed), calibration of the marginals."""
    from analysis.images import estimation_figures
    from analysis.images import figures as pixel_figures

    made = [
        Panel(
            "completions",
            estimation_figures.completions(images, masked, choose(images), shape),
            "A row an image: masked image, mean of the marginals, five samples of the posterior, the "
            "most probable completion met, and the truth where known.",
            "From the most to the least uncertain image, evenly spread. Missing pixels are grey in the "
            "first column, orange where filled (dark: 1). Mean: darker is more probable, grey has not "
            "converged.",
        ),
        Panel(
            "errors",
            estimation_figures.evidence_errors(images, effort.target_error),
            "Share of images against the standard error of log p(observed), with the target.",
            "Standard errors of log p(observed past f), over independent runs.",
        ),
    ]
    scores = marginal_scores(images)
    if scores is not None:
        made.append(
            Panel(
                "calibration",
                pixel_figures.calibration(scores[1]),
                "Observed share of ones against p(1 | observed) in ten bins, with the diagonal.",
                "Calibration of the marginals that converged, in ten equal bins. Intervals are "
                "Wilson's, as if pixels were independent.",
            )
        )
    return made
