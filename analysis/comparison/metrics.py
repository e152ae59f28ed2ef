"""What ``compare`` reports of every predictor beside its loss and its gap. A new metric is a new line in
METRICS."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Integer

from autoregressive.scores import brier

# (log q, log Bayes, targets) at drawn places -> a number at each place. log q and log Bayes: float64
# (streams, places, K+1), nats; targets, the symbols drawn: int (streams, places).
_Rows = Float[np.ndarray, "streams places outcomes"]
Score = Callable[
    [_Rows, _Rows, Integer[np.ndarray, "streams places"]], Float64[np.ndarray, "streams places"]
]


class Metric(NamedTuple):
    """A registered metric; its mean over drawn places is reported with a 95% interval.

    title: its label in tables and labelled arrays. score: the value at each place; its Bayes is that
    of the training prior. unit: of its values; "1" is a plain number, "1 (share)" says which. positive:
    whether no value is below 0; intervals over seeds then are positive, too.
    """

    title: str
    score: Score
    unit: str = "1"
    positive: bool = False

    @property
    def heading(self) -> str:
        """The label with its unit, unless it is a plain number."""
        return self.title if self.unit.split()[:1] == ["1"] else f"{self.title} ({self.unit})"


METRICS: dict[str, Metric] = {
    "brier": Metric(
        "Brier score",
        lambda log_q, log_bayes, targets: brier(log_q, targets),
        unit="1 (squared probability)",
        positive=True,
    ),
}


def score_of(
    name: str, log_q: _Rows, log_bayes: _Rows, targets: Integer[np.ndarray, "streams places"]
) -> Float64[np.ndarray, "streams places"]:
    """What a metric says at each place. Errors: ValueError where that is not one number, or NaN."""
    values = np.asarray(METRICS[name].score(log_q, log_bayes, targets))
    if values.shape != targets.shape or values.dtype.kind not in "fiub":
        raise ValueError(
            f"the metric {name!r} gives {values.dtype}{values.shape}; expected a number at each place, "
            f"{targets.shape}, (streams, places)"
        )
    if np.isnan(values).any():
        raise ValueError(
            f"the metric {name!r} gives NaN at {np.isnan(values).sum():,} of {values.size:,} places; "
            "expected a finite number at each"
        )
    return values
