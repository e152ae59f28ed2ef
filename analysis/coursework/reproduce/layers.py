"""A network's layers as a table, and whether it looks ahead."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from analysis.report.report import Json, Table


def layers_table(params: Mapping[str, Json], title: str) -> tuple[Table, int]:
    """A table of every tensor with its shape and size, and the number of parameters."""
    sizes = {name: int(np.prod(np.shape(value))) for name, value in params.items()}
    rows = [
        [name, " x ".join(map(str, np.shape(value))), f"{sizes[name]:,}"]
        for name, value in params.items()
    ]
    count = sum(sizes.values())
    return Table(
        title, ["tensor", "shape", "parameters"], [*rows, ["all", "", f"{count:,}"]]
    ), count


def causality(
    rows: Float[np.ndarray, "1 places ..."], changed: Float[np.ndarray, "1 places ..."], at: int
) -> tuple[float, float]:
    """The largest change of a network's rows before ``at``, and from there on.

    rows, changed: outputs (1, places, ...) before and after one input was changed, the one that rows
    from ``at`` on have seen.
    """
    difference = np.abs(np.asarray(rows, np.float64) - np.asarray(changed, np.float64))
    return float(difference[:, :at].max()), float(difference[:, at:].max())
