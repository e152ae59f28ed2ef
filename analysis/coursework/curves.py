"""Is a learning curve smooth, and does it plateau? Measured, on points at equal distances."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.report.report import Document


@dataclass(frozen=True)
class CurveShape:
    """The shape of a learning curve in numbers, in the curve's own unit.

    points: how many are not NaN. fall: the first point less the mean of the last quarter. noise: the
    standard deviation of a point about the curve, over the second half. rises: the share of steps over
    the second half that go up. late_fall: the mean of the third quarter less that of the last.
    late_fall_se: its standard error, as if the points' noise were independent.
    """

    points: int
    fall: float
    noise: float
    rises: float
    late_fall: float
    late_fall_se: float

    @property
    def smooth(self) -> bool:
        """Whether a point's noise is below 1% of the fall."""
        return self.noise < 0.01 * self.fall

    @property
    def plateau(self) -> bool:
        """Whether the last quarter is lower than the one before by no more than two standard errors."""
        return self.late_fall <= 2 * self.late_fall_se

    def document(self) -> Document:
        """Plain JSON values."""
        return asdict(self) | {"smooth": bool(self.smooth), "plateau": bool(self.plateau)}


def curve_shape(values: ArrayLike) -> CurveShape:
    """The shape of one curve (n,). Noise is estimated from second differences, which are 0 on a straight
    line (Gasser, Sroka and Jennen-Steinmetz 1986). Errors: ValueError for fewer than 12 points."""
    curve = np.asarray(values, np.float64)
    curve = curve[~np.isnan(curve)]
    if len(curve) < 12:
        raise ValueError(f"the shape of a learning curve needs 12 or more points; got {len(curve)}")
    quarter = len(curve) // 4
    second_half = curve[len(curve) // 2 :]
    bends = second_half[1:-1] - (second_half[:-2] + second_half[2:]) / 2
    noise = math.sqrt((bends**2).mean() / 1.5)
    last, before = curve[-quarter:].mean(), curve[-2 * quarter : -quarter].mean()
    return CurveShape(
        len(curve),
        float(curve[0] - last),
        noise,
        float((np.diff(second_half) > 0).mean()),
        float(before - last),
        noise * math.sqrt(2 / quarter),
    )
