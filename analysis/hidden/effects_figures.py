"""What swapped states change, as figures."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.hidden.examine import Hidden
from analysis.intervals import Estimate
from analysis.report.style import BLACK, BLUE, GREEN, PURPLE, SKY, STYLE, VERMILLION, log_scale

# label, colour, line style, marker
# What is less, nats, is 0 up to rounding, and is not drawn on a log axis.
DRAWN_FROM = 1e-15
_KINDS = {
    "other_{}": ("other {}", VERMILLION, "-", "o"),
    "other_{}_bayes": ("other {}, Bayes", BLACK, "--", ""),
    "other_{}_c": ("other {}, c only", SKY, "-.", "v"),
    "other_{}_h": ("other {}, h only", PURPLE, ":", "^"),
    "same_{}": ("same {}, other history", BLUE, "-", "s"),
    "nearest_{}": ("nearest {}", BLUE, "-", "s"),
    "nearest_{}_bayes": ("nearest {}, Bayes", GREEN, ":", ""),
}


def interventions(hidden: Hidden) -> Figure:
    """The effect of swapped states by when they were swapped, and by how many symbols ago."""
    effects = hidden.interventions
    assert effects is not None, "no swaps on tasks this short"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.6))
        left, right = figure.subplots(1, 2, sharey=True)
        for name, (title, colour, line, marker) in _KINDS.items():
            kind, label = name.format(effects.noun), title.format(effects.noun)
            if kind not in effects.by_draws:
                continue
            for axis, x, curve in (
                (left, effects.draws, effects.by_draws[kind]),
                (right, np.arange(len(effects.by_lag[kind])), effects.by_lag[kind]),
            ):
                mean, low, high = band(curve)
                if np.isnan(mean).all():  # infinite, or exactly 0
                    continue
                axis.plot(x, mean, color=colour, linestyle=line, marker=marker, label=label)
                axis.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
        log_scale(left)
        left.set_ylabel("KL(own || swapped), nats a symbol")
        left.set_xlabel("draws seen when the state is swapped")
        left.set_title("mean over the rest of the task")
        right.set_xlabel("symbols read since the swap")
        right.set_title(f"swapped after {effects.chosen} draws")
        for axis in (left, right):
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def band(curve: Sequence[Estimate]) -> Float64[np.ndarray, "3 _"]:
    """Means and bounds as arrays; what cannot stand on a log axis is left out."""
    values = np.array([[np.nan if v is None else v for v in (e.mean, *e.ci95)] for e in curve]).T
    return np.where(values > DRAWN_FROM, values, np.nan)
