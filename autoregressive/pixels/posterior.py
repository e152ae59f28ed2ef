"""What exact enumeration knows of one image's missing pixels: every completion with its probability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Float64, Int, Integer, UInt8
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Posterior:
    """What is known of one image's missing pixels.

    missing: places. completions: in binary order, the first place most significant. log_probs:
    log p(x_M = c | observed). nll: nats of the whole completed image, sum of l_t over t >= 1, and
    l_0 if 0 is missing.
    """

    missing: Int[np.ndarray, " m"]
    completions: UInt8[np.ndarray, "2**m m"]
    log_probs: Float64[np.ndarray, " 2**m"]
    nll: Float64[np.ndarray, " 2**m"]

    @property
    def log_marginals(self) -> Float[np.ndarray, "m 2"]:
        """log p(x_k | observed) of both values of every missing pixel."""
        m = len(self.missing)
        halves = [self.log_probs.reshape(2**k, 2, -1).swapaxes(0, 1) for k in range(m)]
        sums = [np.logaddexp.reduce(h.reshape(2, -1), axis=1) for h in halves]
        return np.array(sums).reshape(m, 2)

    @property
    def marginals(self) -> Float[np.ndarray, " m"]:
        """p(x_k = 1 | observed) of every missing pixel."""
        return np.exp(self.log_marginals[:, 1])

    @property
    def best(self) -> UInt8[np.ndarray, " m"]:
        """The most probable completion."""
        return self.completions[np.argmax(self.log_probs)]

    def conditionals(self, values: Integer[np.ndarray, " m"]) -> Float[np.ndarray, "m 2"]:
        """log p(x_k | the missing pixels before k at ``values``, and all observed).

        By the chain rule, what they give to ``values`` adds up to its log probability.
        """
        out = np.empty((len(self.missing), 2))
        rest = self.log_probs
        for place, value in enumerate(values):
            halves = rest.reshape(2, -1)
            weights = np.logaddexp.reduce(halves, axis=1)
            out[place] = weights - np.logaddexp(*weights)
            rest = halves[value]
        return out

    @property
    def entropy(self) -> float:
        """Of the whole joint posterior, in nats."""
        return float(-(np.exp(self.log_probs) * self.log_probs).sum())

    def index(self, values: ArrayLike) -> int:
        """Where a completion (m,) stands in the enumeration."""
        return int(np.asarray(values, np.int64) @ (1 << np.arange(len(self.missing))[::-1]))


@cache
def completions(m: int) -> UInt8[np.ndarray, "2**{m} {m}"]:
    """All values of m pixels in binary order, the first most significant."""
    values = ((np.arange(2**m)[:, None] >> np.arange(m)[::-1]) & 1).astype(np.uint8)
    values.flags.writeable = False
    return values
