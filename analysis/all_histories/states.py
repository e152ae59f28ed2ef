"""What given states hold, over all histories of a task: probes and geometry without sampling error.

A history's weight is its probability; every length weighs the same. R² is of least squares with an
intercept, fitted and judged on the same whole distribution, of which nothing is left to hold out: it
is what a line can read off the state at best. States of more numbers than there are histories could
be read by any line, so that the number of histories is said beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer

from analysis.hidden.probes import Readings, find_readings, probe_targets
from meta_learning.processes import Process

_SMALLEST_SINGULAR_VALUE = 1e-6
_ENOUGH = 0.99


@dataclass(frozen=True)
class Probe:
    """R² of all columns of a target together, and of each; None where a target is constant. of_length:
    of the mean at each length of history alone."""

    r2: float | None
    by_column: list[float | None]
    of_length: float | None


@dataclass(frozen=True)
class Held:
    """What states hold. histories: how many. width: numbers of a state. probes: by target.
    eigenvalues: of the states' covariance (width,), the largest first. needed: how many directions
    carry 99% of the variance. participation: (sum of eigenvalues)² / sum of their squares, None where
    the state never moves. readings: None where Bayes's belief is no distribution that moves."""

    histories: int
    width: int
    probes: dict[str, Probe]
    eigenvalues: Float64[np.ndarray, " width"]
    needed: int
    participation: float | None
    readings: Readings | None

    def document(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "histories": self.histories,
            "width": self.width,
            "probes": {
                name: {"r2": p.r2, "by_column": p.by_column, "of_length": p.of_length}
                for name, p in self.probes.items()
            },
            "eigenvalues": self.eigenvalues.tolist(),
            "for_99_percent": self.needed,
            "participation_ratio": self.participation,
        }


def targets_of(
    process: Process,
    symbols: Integer[np.ndarray, "rows length"],
    row: Integer[np.ndarray, " n"],
    place: Integer[np.ndarray, " n"],
) -> dict[str, Float64[np.ndarray, "n _"]]:
    """The probes' targets before places of rows, each (n, columns); the place is not among them."""
    found = probe_targets(process, symbols)
    return {name: values[row, place] for name, values in found.items() if name != "place"}


def examine_states(
    states: Float[np.ndarray, "n width"],
    targets: dict[str, Float64[np.ndarray, "n _"]],
    place: Integer[np.ndarray, " n"],
    weight: Float64[np.ndarray, " n"],
) -> Held:
    """What ``states`` hold of ``targets`` (n, columns). place: length of each history. weight: sums to
    1."""
    x = np.asarray(states, np.float64)
    x = x - weight @ x
    root = np.sqrt(weight)[:, None]
    covariance = (x * weight[:, None]).T @ x
    eigenvalues = np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0.0)
    total = float(eigenvalues.sum())
    probes, read = {}, {}
    for name, y in targets.items():
        mean = weight @ y
        line, *_ = np.linalg.lstsq(x * root, (y - mean) * root, rcond=_SMALLEST_SINGULAR_VALUE)
        read[name] = x @ line + mean
        left, spread = (weight @ (y - answer) ** 2 for answer in (read[name], mean))
        by_length = weight @ (y - _by_length(y, place, weight)) ** 2
        probes[name] = Probe(
            _r2(left.sum(), spread.sum()),
            [_r2(a, b) for a, b in zip(left, spread, strict=True)],
            _r2(by_length.sum(), spread.sum()),
        )
    several = {name: values[None] for name, values in targets.items()}
    return Held(
        len(x),
        x.shape[1],
        probes,
        eigenvalues,
        int((np.cumsum(eigenvalues) < _ENOUGH * total).sum()) + 1 if total else 0,
        total**2 / float((eigenvalues**2).sum()) if total else None,
        find_readings(several, {"trained": {name: values[None] for name, values in read.items()}}),
    )


def _by_length(
    y: Float64[np.ndarray, "n columns"],
    place: Integer[np.ndarray, " n"],
    weight: Float64[np.ndarray, " n"],
) -> Float64[np.ndarray, "n columns"]:
    """The mean of y at each length."""
    sums = np.stack([np.bincount(place, weight * column) for column in y.T], axis=-1)
    return (sums / np.bincount(place, weight)[:, None])[place]


def _r2(left: float, spread: float) -> float | None:
    return float(1 - left / spread) if spread > 1e-20 else None
