"""What ``compare`` says of every predictor beside its loss and its gap. A new one joins by its line
in METRICS."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from autoregressive.scores import brier

# (log q, log Bayes, what came) at drawn places -> a number at each place. log q and log Bayes:
# float64 (streams, places, K+1), nats; what came: int (streams, places). Returns (streams, places).
Score = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Metric(NamedTuple):
    """A registered metric; its mean over drawn places is reported with a 95% interval.

    title: for a table, with the unit if it has one. score: the value at each place, where
    Bayes is that of the training prior.
    """

    title: str
    score: Score


METRICS: dict[str, Metric] = {
    "brier": Metric("Brier score", lambda log_q, log_bayes, came: brier(log_q, came)),
}
