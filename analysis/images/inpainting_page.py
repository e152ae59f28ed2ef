"""The report of in-painted images: sentences, tables, panels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from analysis.images.inpainting import PREDICTORS
from analysis.images.inpainting_results import choose, document, estimate
from analysis.images.page import BINARISATION, binarisation_note, network_title
from analysis.report.formats import interval, nats, percent
from analysis.report.report import Panel, Report, Table

if TYPE_CHECKING:
    import numpy as np

    from analysis.images.inpainting import Inpainting
    from analysis.intervals import Estimate
    from autoregressive.images.masked import MaskedImages
    from autoregressive.pixels.network import PixelNetwork

_NAMES = {
    "past_and_future": "past and future",
    "past_and_future_alone": "each pixel alone",
    "past_only": "past only",
}
_HEAD = ("quantity", "mean", "95% interval")


def make_report(
    inpainting: Inpainting, network: PixelNetwork, images: MaskedImages, source: str, seed: int
) -> Report:
    """What there is to say of images that were filled in. source: of the images, in words."""
    from autoregressive.checkpoint import tensors_digest
    from autoregressive.pixels.trained_on import training_images

    estimates = estimate(inpainting)
    known = training_images(network)
    return Report(
        "inpainting",
        title(network, images, source),
        lead(inpainting, estimates),
        {"kind": images.kind(), **document(inpainting, estimates)},
        tables(inpainting, estimates, binarisation_note(known.binarisation)),
        panels=lambda: panels(inpainting, images.masked, known.shape),
        seeds=[seed],
        run={
            "data_digest": tensors_digest({"masked": images.masked}),
            "network_digest": tensors_digest(network.params),
        },
    )


def title(network: PixelNetwork, images: MaskedImages, source: str) -> str:
    """What was filled in by what."""
    return (
        f"{network_title(network)}: {images.kind()} missing, {len(images.masked)} images, {source}"
    )


def lead(inpainting: Inpainting, estimates: Mapping[str, Estimate]) -> str:
    """The answer in two sentences."""
    if inpainting.target is None:
        best, entropy = estimates["log_prob_best"], estimates["entropy"]
        return (
            f"The most probable completion has log probability {nats(best.mean)} on average, the "
            f"posterior an entropy of {nats(entropy.mean)} nats an image. The file holds no truth "
            "to score."
        )
    log_p, worth = estimates["log_posterior_truth"], estimates["future_worth"]
    return (
        f"Given all observed pixels the truth has log probability {nats(log_p.mean)} an image on "
        f"average; knowing the future is worth {nats(worth.mean)} nats an image "
        f"(95% interval {interval(worth.ci95)}). The most probable completion is the truth in "
        f"{percent(estimates['exact_match'].mean)} of the images."
    )


def tables(
    inpainting: Inpainting, estimates: Mapping[str, Estimate], binarised: str = BINARISATION
) -> list[Table]:
    """The means over images, and the predictors of missing pixels beside each other."""
    if inpainting.target is not None:
        return truth_tables(estimates, binarised)
    rows = [
        _row(estimates, "log_prob_best", "log p(most probable | observed)"),
        _row(estimates, "entropy", "entropy of the posterior"),
        _row(estimates, "nll_best", "NLL of the image so filled"),
    ]
    note = "Nats an image; intervals over images (bootstrap). "
    return [Table("The posterior over the missing pixels", _HEAD, rows, note + binarised)]


def truth_tables(estimates: Mapping[str, Estimate], binarised: str = BINARISATION) -> list[Table]:
    """``tables`` where the truth is known."""
    summary = Table(
        "The posterior over the missing pixels",
        _HEAD,
        [
            _row(estimates, "log_posterior_truth", "log p(truth | observed)"),
            _row(estimates, "past_only_log_prob", "log p(truth | past only)"),
            _row(estimates, "future_worth", "what the future is worth"),
            _row(estimates, "entropy", "entropy of the posterior"),
            _row(estimates, "exact_match", "most probable = truth", percent),
            _row(estimates, "pixel_accuracy", "its pixels that are right", percent),
            _row(estimates, "nll_truth", "NLL of the true image"),
            _row(estimates, "nll_best", "NLL, most probable completion"),
            _row(estimates, "nll_excess", "NLL(truth) - NLL(most probable)"),
        ],
        "Nats an image but for shares; intervals over images (bootstrap). The most probable "
        "completion never has the larger NLL, so it costs less than the truth wherever it is "
        "wrong: a low NLL is no sign of a right in-painting. " + binarised,
    )
    predictors = Table(
        "Predictors of a missing pixel, at its true value",
        ["predictor", "loss", "95% interval", "Brier", "gap"],
        [
            [
                _NAMES[name],
                nats(estimates[f"loss.{name}"].mean),
                interval(estimates[f"loss.{name}"].ci95),
                nats(estimates[f"brier.{name}"].mean),
                _distance(estimates[f"gap.{name}"].mean),
            ]
            for name in PREDICTORS
        ],
        "Nats a missing pixel. Past and future: given all observed pixels and the missing ones "
        "before it; its losses add up to -log p(truth | observed). Each pixel alone: the marginal. "
        "Past only: the network's next-pixel probability. Gap: mean of KL(first || predictor).",
    )
    return [summary, predictors]


def _distance(value: float | None) -> str:
    # Of one missing pixel, the marginal is the posterior: float64's rounding is no distance.
    return "0" if value is not None and abs(value) < 1e-12 else nats(value)


def _row(
    estimates: Mapping[str, Estimate],
    name: str,
    label: str,
    form: Callable[[float | None], str] = nats,
) -> list[str]:
    return [label, form(estimates[name].mean), interval(estimates[name].ci95, form)]


def panels(inpainting: Inpainting, masked: np.ndarray, shape: tuple[int, int]) -> list[Panel]:
    """The chosen images; with the truth also the map of the future's worth and the calibration."""
    from analysis.images import figures as pixel_figures
    from analysis.images import inpainting_figures

    chosen = choose(inpainting)
    estimates = [
        Panel(
            "posteriors",
            inpainting_figures.posteriors(inpainting, masked, chosen, shape),
            "A column an image: masked image, truth where known, most probable completion, "
            "probability of 1 and entropy of every missing pixel.",
            "Images chosen by rule from the results; surer than 10%: of the images, by the "
            "posterior's entropy. Top row: missing pixels are grey. Below, the "
            "framed part of the image: filled pixels are orange (dark: 1), in the last two rows given "
            "ones are pale grey. A column whose truth and most probable completion differ is an image "
            "the network gets wrong.",
        )
    ]
    bins = inpainting.calibration
    if bins is None:
        return estimates
    return [
        *estimates,
        Panel(
            "future-worth",
            inpainting_figures.future_map(inpainting, shape),
            "Map over pixel places of the mean gain in log probability by knowing the future.",
            "What the pixels after a missing one add to the log probability of its true value, "
            "mean over the images that miss it. Grey: no image misses this pixel. Places that few "
            "images miss are noisy.",
        ),
        Panel(
            "calibration",
            pixel_figures.calibration(bins),
            "Observed share of ones against p(1 | observed) in ten bins, with the diagonal.",
            "Calibration of the marginals p(x_k = 1 | observed) in ten equal bins, and the missing "
            "pixels in each. Intervals are Wilson's, as if pixels were independent.",
        ),
    ]
