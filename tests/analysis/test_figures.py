"""Figures: what is drawn is what was measured, read back from the lines and judged by hand."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import jax
import judges
import numpy as np
import pytest
from matplotlib.image import imread

from analysis.comparison.chunks import drawn_chunks
from analysis.comparison.compare import compare
from analysis.comparison.regret_figures import regret
from analysis.comparison.simplex_figures import can_draw, simplex
from analysis.images.inpainting_figures import future_map
from analysis.report.drawing import draw
from meta_learning.processes import DirichletCategorical, FixedCategorical
from meta_learning.processes.places import stream_length

KEY = jax.random.key(3)
PRIOR = DirichletCategorical((2, 1, 1), 6)
LAPLACE = DirichletCategorical((1, 1, 1), 6)


@dataclass
class Missing:
    """What ``future_map`` reads of an in-painting."""

    place: np.ndarray
    worth: np.ndarray

    def future_worth(self):
        return self.worth


def compared(prior, network, source=None, streams=5):
    length = stream_length(prior.T)
    return compare(
        [network.log_predictive], prior, source or prior, key=KEY, streams=streams, length=length
    )


def line(axis, label):
    (found,) = (shown for shown in axis.get_lines() if shown.get_label() == label)
    return np.asarray(found.get_ydata())


def test_regret_sums_what_a_loop_over_the_streams_sums():
    figure = regret(compared(PRIOR, LAPLACE), places=30)
    axes = {axis.get_title(loc="left"): axis for axis in figure.axes}
    (drawn,) = drawn_chunks(PRIOR, KEY, 5, stream_length(PRIOR.T))
    above_oracle, from_bayes = np.zeros(5), np.zeros(5)
    path = []
    for number, stream in enumerate(drawn.symbols):
        counts, place = [0, 0, 0], 0
        for t, symbol in enumerate(stream):
            if symbol == 3:
                counts, place = [0, 0, 0], 0
                path += [0.0] * (number == 0)
                continue
            bayes = [float(f) for f in judges.predictive((2, 1, 1), tuple(counts))]
            q = [float(f) for f in judges.predictive((1, 1, 1), tuple(counts))]
            p = np.float64(drawn.latent[number, t // 6])
            above_oracle[place] += math.log(p[symbol] / p.sum() / q[symbol])
            from_bayes[place] += sum(b * math.log(b / c) for b, c in zip(bayes, q, strict=True))
            path += [math.log(bayes[symbol] / q[symbol])] * (number == 0)
            counts[symbol] += 1
            place += 1
    tasks = drawn.symbols.shape[1] // 6 * 5
    expected = {
        "Mean loss above the oracle's": above_oracle,
        "Mean KL(Bayes || predictor)": from_bayes,
    }
    for title, sums in expected.items():
        for label in ("network", "Laplace (alpha = 1)"):
            np.testing.assert_allclose(
                line(axes[title], label), np.cumsum(sums) / tasks, rtol=0, atol=1e-12
            )
    on_one = axes["On one stream: the network's loss above Bayes's"]
    np.testing.assert_allclose(line(on_one, "realised"), np.cumsum(path)[:30], rtol=0, atol=1e-12)


def in_triangle(x, y):
    """The p of a point: barycentric coordinates, solved for."""
    corners = np.array([[0.5, 0, 1], [math.sqrt(3) / 2, 0, 0], [1, 1, 1]])
    return np.linalg.solve(corners, [x, y, 1])


def test_points_of_the_triangle_are_the_probabilities():
    comparison = compared(PRIOR, LAPLACE)
    symbols = comparison.example.symbols
    figure = simplex(comparison, draws=(0, 3))
    for axis, n in zip(figure.axes, (0, 3), strict=True):
        counts = tuple(int((symbols[:n] == k).sum()) for k in range(3))
        points = {
            m.get_marker(): m.get_xydata()[0] for m in axis.get_lines() if m.get_marker() != "None"
        }
        for marker, alpha in (("x", (2, 1, 1)), ("o", (1, 1, 1))):
            p = [float(f) for f in judges.predictive(alpha, counts)]
            np.testing.assert_allclose(in_triangle(*points[marker]), p, rtol=0, atol=1e-12)


def test_the_shaded_density_integrates_to_one():
    flat = DirichletCategorical((2, 2, 2), 6)
    figure = simplex(compared(flat, LAPLACE), draws=(0, 2))
    for axis in figure.axes:
        (image,) = axis.get_images()
        left, right, bottom, top = image.get_extent()
        density = np.ma.filled(image.get_array(), 0.0)
        cell = (right - left) * (top - bottom) / density.size
        # Of (p_0, p_1) the triangle has area 1/2, in the plane sqrt(3)/4.
        assert np.nansum(density) * cell * 2 / math.sqrt(3) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    "prior, source",
    [
        (DirichletCategorical((10, 1, 1), 2), None),
        (DirichletCategorical((10, 1, 1), math.inf), None),
        (DirichletCategorical((1, 1, 1), 5), FixedCategorical((1, 0, 0), 5)),
    ],
    ids=["T=2", "T=inf", "fixed p"],
)
def test_edges_are_drawn(prior, source):
    comparison = compared(prior, prior, source)
    assert can_draw(prior)
    assert len(simplex(comparison).axes) == min(4, prior.T - 1)
    # The network is Bayes: 0 does not stand on a log axis, and costs nothing on any path.
    on_one = regret(comparison).axes[-1]
    assert not line(on_one, "realised").any()


def test_other_processes_have_no_triangle():
    two = DirichletCategorical((1, 1), 5)
    assert not can_draw(two)
    assert not can_draw(DirichletCategorical((1, 1, 1), 1))
    with pytest.raises(ValueError, match="three symbols"):
        simplex(compared(two, two))


@pytest.mark.parametrize("scale", [0.01, 0.45, 3.0])
def test_nothing_is_cut_off_at_an_edge(scale):
    # Tick labels at the colour bar, long ones for some scales, move the map to the left.
    missing = Missing(np.arange(784), scale * np.random.default_rng(1).normal(size=784))
    picture = imread(io.BytesIO(draw(future_map(missing, (28, 28)))["png"]))
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 1).all()
