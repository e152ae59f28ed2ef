"""The exact predictor alone, as a figure in the style of ``analysis.report.style``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure

from analysis.report.style import BLACK, BLUE, ORANGE, SKY, STYLE


@dataclass(frozen=True)
class Along:
    """The posterior of one symbol's probability along a stream, before each place: mean, low and
    high of the central 95% (L,), NaN at RESETs."""

    mean: Float64[np.ndarray, " length"]
    low: Float64[np.ndarray, " length"]
    high: Float64[np.ndarray, " length"]


def posteriors(streams: Mapping[str, Mapping[str, Along]], symbol: int = 0) -> Figure:
    """A panel a stream, in it the posterior mean, which is the prediction, and its 95% interval
    under each prior. streams: title -> name of the prior -> its posterior."""
    looks = ((BLACK, "-", ORANGE, "///"), (BLUE, "--", SKY, ""))
    with matplotlib.rc_context(STYLE | {"hatch.linewidth": 0.5}):
        figure = Figure(figsize=(7.2, 2.3 * len(streams) + 0.6))
        axes = figure.subplots(len(streams), 1, squeeze=False)[:, 0]
        for axis, (title, priors) in zip(axes, streams.items(), strict=True):
            for (name, along), (colour, line, shade, hatch) in zip(
                priors.items(), looks, strict=False
            ):
                edges = np.arange(len(along.mean) + 1) + 0.5
                axis.stairs(
                    along.high,
                    edges,
                    baseline=along.low,
                    fill=True,
                    facecolor=shade,
                    alpha=0.45,
                    hatch=hatch,
                    edgecolor="#888888",
                    linewidth=0,
                    label=f"{name}: 95% interval",
                )
                axis.stairs(
                    along.mean,
                    edges,
                    baseline=None,
                    color=colour,
                    linestyle=line,
                    label=f"{name}: mean",
                )
                for place in np.flatnonzero(np.isnan(along.mean)) + 1:
                    axis.axvline(place, color="#999999", linewidth=0.8)
            axis.set_xlim(0.5, len(along.mean) + 0.5)
            axis.set_ylim(0, 1.02)
            axis.grid(axis="x", visible=False)
            axis.set_title(title)
            axis.set_ylabel(f"p(symbol {symbol})")
        axes[-1].set_xlabel("place in the stream (grey lines: RESETs)")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
