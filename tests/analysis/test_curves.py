"""The shape of learning curves whose shape is known."""

import numpy as np
import pytest

from analysis.coursework.curves import curve_shape


def test_a_straight_fall_is_smooth_and_on_no_plateau():
    shape = curve_shape(np.linspace(2, 1, 41))
    assert shape.points == 41
    assert shape.noise == pytest.approx(0, abs=1e-15)
    assert shape.rises == 0
    # Quarters of ten points are 0.25 apart; the last one's mean is 1.1125.
    assert shape.late_fall == pytest.approx(0.25)
    assert shape.fall == pytest.approx(2 - 1.1125)
    assert shape.smooth and not shape.plateau


def test_noise_is_recovered_on_a_slope_and_makes_steps_rise():
    rng = np.random.default_rng(0)
    curve = np.linspace(3, 1, 20_001) + rng.normal(0, 0.05, 20_001)
    shape = curve_shape(curve)
    assert shape.noise == pytest.approx(0.05, rel=0.03)
    assert shape.rises == pytest.approx(0.5, abs=0.02)
    assert not shape.smooth and not shape.plateau


def test_a_flat_end_with_noise_is_a_plateau():
    rng = np.random.default_rng(1)
    curve = np.concatenate([np.linspace(2, 1, 20), np.ones(60)]) + rng.normal(0, 1e-3, 80)
    shape = curve_shape(curve)
    assert shape.smooth and shape.plateau
    assert shape.late_fall_se == pytest.approx(1e-3 * np.sqrt(2 / 20), rel=0.3)


def test_missing_points_are_left_out_and_too_few_are_refused():
    curve = np.linspace(2, 1, 13)
    assert curve_shape([np.nan, *curve]) == curve_shape(curve)
    with pytest.raises(ValueError, match="12 or more points; got 2"):
        curve_shape([np.nan, 1.0, 2.0])
