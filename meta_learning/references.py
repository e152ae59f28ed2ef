"""The reference ladder: predictors whose answer is known exactly.

Each is a function of sampled streams that returns log p(x_t | x_<t), float64 nats (batch, length,
K+1). All know T. Networks return the same type, so a comparison cannot tell.

References of one process are in its own ``ladder``; those that any process can have, in REFERENCES.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np

from meta_learning.processes.base import Predictor, Process, Streams, with_reset

Reference = Callable[[Streams], np.ndarray]


def ladder(
    prior: Process, source: Process, only: Collection[str] | None = None
) -> dict[str, Reference]:
    """The references by name: the oracle, which knows the latent values of ``source``, the process
    that made the streams; Bayes of ``prior``, the process believed in; what else ``prior`` has
    in its own ladder; and ``REFERENCES``. only: the names wanted; None is all. Both must have the same K
    and T, and the streams scored must be of ``source``."""
    references: dict[str, Reference] = {
        "oracle": source.log_predictive_given_latent,
        "bayes": _of_symbols(prior.log_predictive),
        **{name: _of_symbols(predictor) for name, predictor in prior.ladder().items()},
        **{name: _of_symbols(partial(rows, prior)) for name, rows in REFERENCES.items()},
    }
    return {n: r for n, r in references.items() if only is None or n in only}


def memoryless(prior: Process, symbols: np.ndarray) -> np.ndarray:
    """Always the law of a task's first symbol: what is known before any. symbols: int (..., L), of which
    only the shape counts. Returns log p in nats, float64 (..., L, K+1)."""
    first = prior.log_first()
    rows = np.broadcast_to(first, (*np.shape(symbols), prior.num_symbols))
    return with_reset(rows, prior.task_length)


def _of_symbols(predictor: Predictor) -> Reference:
    return lambda streams: predictor(streams.symbols)


# (the process believed in, symbols int (..., L)) -> log p(x_t | x_<t), float64 (..., L, K+1).
REFERENCES: dict[str, Callable[[Process, Any], np.ndarray]] = {"memoryless": memoryless}
