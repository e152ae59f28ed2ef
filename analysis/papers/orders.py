"""How much a prediction varies over the orders of the same symbols: over all histories, unsampled."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from analysis.comparison.scores import Rows
from analysis.papers.filtering import Histories, Statistic
from meta_learning.processes import count_symbols


def order_variance(
    histories: Histories, log_q: Rows, groups: Statistic
) -> Float64[np.ndarray, " length"]:
    """The variance of q(last symbol | history, no RESET) over histories of the same ``groups``, each as
    likely as it is, and its mean over groups: by the number of symbols before (D,), a probability
    squared. Rounding alone leaves some 1e-16 where a network computes in float32."""
    symbols = log_q[..., :-1]
    q = np.exp(symbols[..., -1] - np.logaddexp.reduce(symbols, axis=-1))
    out = []
    for n in range(histories.symbols.shape[1]):
        mean = histories.mean_of_like(groups, n, q[:, n, None])[:, 0]
        out.append((histories.weight[:, n] * (q[:, n] - mean) ** 2).sum())
    return np.array(out)


def same_symbols(histories: Int64[np.ndarray, "rows n"]) -> Int64[np.ndarray, "rows m"]:
    """How often each of two symbols came: all orders of them are one group."""
    return count_symbols(histories, 2)


def same_symbols_and_last(
    histories: Int64[np.ndarray, "rows n"],
) -> Int64[np.ndarray, "rows m"]:
    """The same, of orders that end alike."""
    return np.concatenate([count_symbols(histories, 2), histories[:, -1:]], axis=1)
