"""One style for all figures: the colour-blind safe palette of Okabe and Ito, and for each role a line
style beside its colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008).
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

# Text on a picture, whose colours stay as they are where a page is dark (``inline``).
ON_DARK, ON_LIGHT = "#fefeff", "#010102"

# label, colour, line style, marker
ROLES: dict[str, tuple[str, str, str, str]] = {
    "network": ("network", VERMILLION, "-", "o"),
    "bayes": ("Bayes", BLACK, "--", ""),
    "bayes_test": ("Bayes (test prior)", BLACK, "-.", "D"),
    "oracle": ("oracle", GREEN, ":", ""),
    "memoryless": ("memoryless", BLUE, "-.", "s"),
    "kt": ("KT (alpha = 1/2)", PURPLE, ":", "^"),
    "laplace": ("Laplace (alpha = 1)", ORANGE, "--", "v"),
    "no_change_points": ("Bayes, no change points", PURPLE, ":", "^"),
    "bayes_wrong_hazard": ("Bayes, wrong hazard", SKY, "-.", "x"),
    "live_and_die": ("live and die", GREEN, "-.", "d"),
    "partition_tree": ("partition tree", ORANGE, "--", "v"),
    "iid_dirichlet": ("i.i.d. Dirichlet", SKY, "-.", "x"),
    "last_symbol_only": ("last symbol only", PURPLE, ":", "^"),
    "bayes_wrong_model": ("Bayes, wrong model", SKY, "-.", "x"),
    "bigram": ("bigram rule", PURPLE, ":", "^"),
    "prior": ("Bayes of the prior", SKY, "-.", "x"),
    "bayes_wrong_alpha": ("Bayes, wrong alpha", SKY, "-.", "x"),
}


# Predictors without a role: colour, line style, marker.
SPARE = (("#777777", "-", "+"), ("#777777", ":", "d"), ("#777777", "--", "*"), (SKY, "-", "P"))


def look(name: str, number: int = 0) -> tuple[str, str, str, str]:
    """Label, colour, line style and marker of a predictor; one without a role gets its own name, and
    the look of the ``number``-th such predictor of a figure."""
    return ROLES.get(name, (name.replace("_", " "), *SPARE[number % len(SPARE)]))


def log_scale(axes: Axes, which: Literal["x", "y"] = "y") -> None:
    """Makes an axis logarithmic, after all that it shows was drawn. One with nothing above 0, such as
    gaps that are all infinite or all 0, stays linear: matplotlib would warn, or fail."""
    shared = axes.get_shared_x_axes() if which == "x" else axes.get_shared_y_axes()
    column = 0 if which == "x" else 1
    if any(np.isfinite(one.dataLim.minpos[column]) for one in shared.get_siblings(axes)):
        axes.set(**{f"{which}scale": "log"})


STYLE: Any = {
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "figure.constrained_layout.use": True,
}
