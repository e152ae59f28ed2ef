"""In-painting as numbers: means with intervals, the JSON document, and which images are shown."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from analysis.images.inpainting import PREDICTORS, ImageResult, Inpainting
from analysis.intervals import Estimate, Statistic, estimates, quotient
from analysis.report.report import Document
from autoregressive.scores import place_scores

# Numbers of each image, and of each missing pixel of all images.
OfImages = Float64[np.ndarray, " images"]
OfPixels = Float64[np.ndarray, " pixels"]


def estimate(inpainting: Inpainting) -> dict[str, Estimate]:
    """Every reported mean with its 95% interval over images (bootstrap of whole images).

    Nats an image: ``entropy``, ``log_prob_best``, ``nll_best``; with the truth also
    ``log_posterior_truth``, ``past_only_log_prob``, ``future_worth``, ``nll_truth`` and ``nll_excess``,
    which is NLL(truth) - NLL(best). A share of images: ``exact_match``. Over all missing pixels:
    ``pixel_accuracy``, a share, and of every predictor P ``loss.P`` and ``gap.P``, nats, and
    ``brier.P``, the mean of (p - x)^2.
    """
    images = inpainting.images
    values = {
        name: np.array([getattr(r, name) for r in images], float)
        for name in ("entropy", "log_prob_best", "nll_best")
    }
    statistics: dict[str, Statistic] = {name: _mean_of(name) for name in values}
    if inpainting.target is None:
        return _intervals(values, statistics)

    def by_image(of_pixels: OfPixels) -> OfImages:
        return np.bincount(inpainting.image, of_pixels, minlength=len(images))

    each: dict[str, OfImages] = {
        "log_posterior_truth": np.array([r.log_prob_truth for r in images], float),
        "nll_truth": np.array([r.nll_truth for r in images], float),
        "exact_match": np.array([np.all(r.best == r.truth) for r in images], float),
        "future_worth": by_image(inpainting.future_worth()),
    }
    each["past_only_log_prob"] = each["log_posterior_truth"] - each["future_worth"]
    each["nll_excess"] = each["nll_truth"] - values["nll_best"]
    values |= each
    statistics |= {name: _mean_of(name) for name in each}

    # Ratios of sums by image: an image counts by how many pixels it misses.
    pixels = {"pixel_accuracy": np.concatenate([r.best for r in images]) == inpainting.target}
    reference = inpainting.log_q["past_and_future"]
    for name, log_q in inpainting.log_q.items():
        scores = place_scores(log_q, reference, inpainting.target)
        pixels |= {f"{kind}.{name}": score for kind, score in scores._asdict().items()}
    values["missing"] = by_image(np.ones(len(inpainting.target)))
    values |= {name: by_image(score.astype(float)) for name, score in pixels.items()}
    statistics |= {name: quotient(name, "missing") for name in pixels}
    return _intervals(values, statistics)


def _mean_of(name: str) -> Statistic:
    return lambda mean: mean[name]


def _intervals(
    values: dict[str, OfImages], statistics: dict[str, Statistic]
) -> dict[str, Estimate]:
    """Estimates of means over images; for a single image without intervals."""
    every = estimates(values, statistics)
    if len(values["entropy"]) > 1:
        return every
    return {name: Estimate(value.mean, None, None) for name, value in every.items()}


def document(inpainting: Inpainting, estimates: dict[str, Estimate]) -> Document:
    """The JSON document of ``meta-learn inpaint --json``; None where the truth is not known."""
    images = inpainting.images
    counts = [len(r.missing) for r in images]
    bins = inpainting.calibration

    def mean(name: str) -> float | None:
        return estimates[name].mean if name in estimates else None

    predictors = (
        {}
        if inpainting.target is None
        else {
            name: {
                kind: estimates[f"{kind}.{name}"].document() for kind in ("loss", "brier", "gap")
            }
            for name in PREDICTORS
        }
    )
    return {
        "images": len(images),
        "missing": [min(counts), max(counts)],
        "log_posterior_truth": mean("log_posterior_truth"),
        "exact_match": mean("exact_match"),
        "pixel_accuracy": mean("pixel_accuracy"),
        "nll_truth": mean("nll_truth"),
        "nll_best": mean("nll_best"),
        "nll_excess": mean("nll_excess"),
        "past_only_log_prob": mean("past_only_log_prob"),
        "future_worth": mean("future_worth"),
        "entropy": mean("entropy"),
        "brier": mean("brier.past_and_future_alone"),
        "calibration": None if bins is None else bins.rows(),
        "predictors": predictors or None,
        "interval": "images",
        "ci95": {name: e.ci95 for name, e in estimates.items() if "." not in name},
        "per_image": [_row(index, result) for index, result in enumerate(images)],
    }


def _row(index: int, result: ImageResult) -> Document:
    table, truth = result.probabilities, result.truth
    return {
        "index": index,
        "missing": result.missing.tolist(),
        "probabilities": None if table is None else table.tolist(),
        "marginals": result.marginals.tolist(),
        "best": result.best.tolist(),
        "truth": None if truth is None else truth.tolist(),
        "entropy": result.entropy,
        "log_posterior_truth": result.log_prob_truth,
        "nll_best": result.nll_best,
        "nll_truth": result.nll_truth,
    }


def choose(inpainting: Inpainting) -> dict[str, int]:
    """Images to show, chosen by rule: title -> index, no image twice.

    The largest entropy, and its 90% and 75% quantiles over images; with the truth also the lowest
    probability of the truth, and where the future is worth most and least.
    """
    results = inpainting.images
    missing = np.array([len(r.missing) > 0 for r in results])
    entropy = np.array([r.entropy for r in results])
    ranked = [int(i) for i in np.argsort(-entropy, kind="stable") if missing[i]]
    wanted: list[tuple[str, list[int]]] = []
    if inpainting.target is not None:
        log_p = np.array([r.log_prob_truth for r in results], float)
        worth = np.bincount(inpainting.image, inpainting.future_worth(), minlength=len(results))
        order = {"lowest p(truth)": log_p, "future worth most": -worth, "future worth least": worth}
        wanted = [
            (title, [int(i) for i in np.argsort(v, kind="stable") if missing[i]])
            for title, v in order.items()
        ]
    wanted.append(("most uncertain", ranked))
    wanted += [(f"surer than {share}%", ranked[len(ranked) * share // 100 :]) for share in (10, 25)]
    chosen: dict[str, int] = {}
    for title, candidates in wanted:
        free = [i for i in candidates if i not in chosen.values()]
        if free:
            chosen[title] = free[0]
    return chosen
