"""The entropy rate of a process, from what its exact predictor says."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import PRNGKeyArray

from meta_learning.processes.base import Process


class EntropyRate(NamedTuple):
    """mean: nats a symbol. standard_error: of it, over streams."""

    mean: float
    standard_error: float


def entropy_rate(
    process: Process, key: PRNGKeyArray, *, streams: int = 200, horizon: int = 300
) -> EntropyRate:
    """The mean entropy of the exact predictive at long horizon, over sampled streams.

    At place t its expectation is H(x_t | x_<t), which falls towards the entropy rate as t grows (Cover
    and Thomas 2006, section 4.2, of stationary processes). The mean is over the places horizon to
    2 horizon - 1; a stream's places are averaged first. ``horizon`` should be a multiple of a
    period the process has. Errors: ValueError where the process resets, or for fewer than 2 streams.
    """
    if not math.isinf(process.task_length):
        raise ValueError(
            f"an entropy rate is of a process without RESET; {process.title} has one: give T=inf"
        )
    if streams < 2 or horizon < 1:
        raise ValueError(
            f"an entropy rate needs streams >= 2 and horizon >= 1; got {streams} and {horizon}"
        )
    symbols = np.asarray(process.sample(key, streams, 2 * horizon))
    rows = process.log_predictive(symbols)[:, horizon:]
    p = np.exp(rows)
    each = -(p * np.where(p > 0, rows, 0.0)).sum(-1).mean(-1)
    return EntropyRate(float(each.mean()), float(each.std(ddof=1) / math.sqrt(streams)))
