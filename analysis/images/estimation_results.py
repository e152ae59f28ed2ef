"""Estimated posteriors as numbers: means over images, the JSON document, labelled arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.images.estimation import SAMPLES, Effort, Estimated
from analysis.intervals import Estimate, Statistic, estimates
from analysis.report.formats import finite
from analysis.report.report import Document
from autoregressive.scores import Calibration, calibration

if TYPE_CHECKING:
    import xarray


def means(images: Sequence[Estimated]) -> dict[str, Estimate]:
    """Means with 95% intervals over images (bootstrap), nats an image: ``log_evidence``, ``nll_best``
    and, with the truth, ``log_posterior_truth``, ``past_only_log_prob``, ``future_worth``,
    ``nll_truth``, ``nll_excess``, and ``pixel_accuracy``, a share. Only images count whose
    log p(observed) is given; without any, nothing is returned."""
    some = [one for one in images if one.usable]
    if not some:
        return {}
    values = {
        "log_evidence": np.array([one.evidence.mean for one in some]),
        "nll_best": np.array([one.nll_best for one in some]),
    }
    if some[0].truth is not None:
        log_p = np.array([one.log_posterior_truth for one in some], float)
        past = np.array([one.past_only for one in some], float)
        nll = np.array([one.nll_truth for one in some], float)
        values |= {
            "log_posterior_truth": log_p,
            "past_only_log_prob": past,
            "future_worth": log_p - past,
            "nll_truth": nll,
            "nll_excess": nll - values["nll_best"],
            "pixel_accuracy": np.array([np.mean(one.best == one.truth) for one in some]),
        }
    if len(some) == 1:
        return {name: Estimate(float(value[0]), None, None) for name, value in values.items()}
    return estimates(values, {name: _mean_of(name) for name in values})


def _mean_of(name: str) -> Statistic:
    return lambda mean: mean[name]


def marginal_scores(images: Sequence[Estimated]) -> tuple[float, Calibration] | None:
    """Brier score and calibration of the marginals that converged; None without a truth or any."""
    if images[0].truth is None:
        return None
    shown = [one.chains.converged for one in images]
    p = np.concatenate([i.chains.marginals[s] for i, s in zip(images, shown, strict=True)])
    x = np.concatenate([np.asarray(i.truth)[s] for i, s in zip(images, shown, strict=True)])
    if not len(p):
        return None
    return float(((p - x) ** 2).mean()), calibration(p, x.astype(np.int64))


def document(
    images: Sequence[Estimated], effort: Effort, estimated: dict[str, Estimate]
) -> Document:
    """The JSON document of ``meta-learn inpaint --json`` where posteriors are estimated; None where a
    number is not known or has not converged."""
    counts = [len(one.missing) for one in images]
    scores = marginal_scores(images)

    def mean(name: str) -> float | None:
        return estimated[name].mean if name in estimated else None

    return {
        "method": "sequential Monte Carlo, particle Gibbs",
        "particles": effort.particles,
        "sweeps": effort.sweeps,
        "target_error": effort.target_error,
        "images": len(images),
        "missing": [min(counts), max(counts)],
        "with_log_evidence": sum(one.usable for one in images),
        "target_reached": sum(_reached(one, effort) for one in images),
        "converged": sum(bool(one.chains.converged.all()) for one in images),
        "converged_pixels": float(np.concatenate([i.chains.converged for i in images]).mean()),
        "best_is_truth_unmet": sum(one.from_truth for one in images),
        **{
            name: mean(name)
            for name in (
                "log_evidence",
                "log_posterior_truth",
                "past_only_log_prob",
                "future_worth",
                "pixel_accuracy",
                "nll_truth",
                "nll_best",
                "nll_excess",
            )
        },
        "brier": None if scores is None else scores[0],
        "calibration": None if scores is None else scores[1].rows(),
        "interval": "images",
        "ci95": {name: value.ci95 for name, value in estimated.items()},
        "per_image": [_row(index, one, effort) for index, one in enumerate(images)],
    }


def _reached(one: Estimated, effort: Effort) -> bool:
    return one.evidence.standard_error <= effort.target_error


def _row(index: int, one: Estimated, effort: Effort) -> Document:
    shown = one.chains.converged
    log_posterior = one.log_posterior_truth
    error = one.evidence.standard_error

    def given(values: np.ndarray) -> list[float | None]:
        return [float(v) if s else None for v, s in zip(values, shown, strict=True)]

    return {
        "index": index,
        "missing": one.missing.tolist(),
        "log_evidence": {
            "mean": one.evidence.mean,
            "se": error,
            "ci95": list(one.evidence.ci95),
        }
        if one.usable
        else None,
        "target_reached": _reached(one, effort),
        "runs": len(one.evidence.log_estimates),
        "particles": one.evidence.particles,
        "log_posterior_truth": None
        if log_posterior is None
        else {"mean": log_posterior, "se": error},
        "marginals": given(one.chains.marginals),
        "marginals_se": given(one.chains.errors),
        "rhat": finite(float(one.chains.rhat.max())),
        "ess": float(one.chains.ess.min()),
        "converged": bool(shown.all()),
        "converged_pixels": float(shown.mean()),
        "sweeps": one.chains.sweeps,
        "marginal_runs": one.chains.runs,
        "best": one.best.tolist(),
        "best_is_truth_unmet": one.from_truth,
        "samples": one.samples.tolist(),
        "truth": None if one.truth is None else one.truth.tolist(),
        "nll_best": one.nll_best,
        "nll_truth": one.nll_truth,
        "past_only_log_prob": one.past_only,
    }


def to_datatree(images: Sequence[Estimated], places: int) -> xarray.DataTree:
    """The posteriors as labelled arrays, NaN where nothing is missing: groups ``marginals``
    (with errors, R-hat and ESS), ``samples`` and ``log_evidence`` (every run)."""
    import xarray as xr

    def spread(values: Sequence[np.ndarray]) -> np.ndarray:
        out = np.full((len(images), places), np.nan)
        for row, one, value in zip(out, images, values, strict=True):
            row[one.missing] = value
        return out

    at = ("image", "pixel")
    chains = [one.chains for one in images]
    marginals = {
        "marginal": (at, spread([c.marginals for c in chains])),
        "standard_error": (at, spread([c.errors for c in chains])),
        "rhat": (at, spread([c.rhat for c in chains])),
        "ess": (at, spread([c.ess for c in chains])),
        "converged": (at, spread([c.converged.astype(float) for c in chains])),
        "best": (at, spread([one.best for one in images])),
    }
    samples = np.stack([spread([one.samples[k] for one in images]) for k in range(SAMPLES)], 1)
    most = max(len(one.evidence.log_estimates) for one in images)
    runs = np.full((len(images), most), np.nan)
    for row, one in zip(runs, images, strict=True):
        row[: len(one.evidence.log_estimates)] = one.evidence.log_estimates
    of_image = {
        "log_evidence": ("image", np.array([one.evidence.mean for one in images])),
        "standard_error": ("image", np.array([one.evidence.standard_error for one in images])),
        "particles": ("image", np.array([one.evidence.particles for one in images])),
        "log_estimate": (("image", "run"), runs),
    }
    return xr.DataTree.from_dict(
        {
            "marginals": xr.Dataset(marginals),
            "samples": xr.Dataset({"sample": (("image", "draw", "pixel"), samples)}),
            "evidence": xr.Dataset(of_image),
        }
    )
