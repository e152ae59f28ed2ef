"""The figures of a sweep, read back: numbers where their labels say, curves that can be told apart."""

import itertools

import numpy as np
import pytest

from analysis.sweep import figures
from analysis.sweep.grid import make_grid
from analysis.sweep.results import to_datatree
from analysis.sweep.sweep import Result, Sweep
from meta_learning.recipes import make_recipe

PRIORS = ("10,1,1", "1,1")
LENGTHS = (4, float("inf"))


def made(cells=("lstm", "gru"), hidden=(4, 8, 16), failed=()):
    """A sweep of two priors, two T and some networks. The gap of point n is (n + 1) / 1000, and half
    of the gap is left open at the last point."""
    grid = make_grid(
        ["dirichlet-categorical"],
        {"alpha": PRIORS, "T": LENGTHS},
        cells,
        hidden,
        [make_recipe(iterations=9)],
    )
    results = []
    for n, point in enumerate(grid.points):
        gap = (n + 1) / 1000
        memoryless = 2 * len(grid.points) / 1000
        positions = 3 if point.process.T == 4 else 5
        estimates = {
            "gap.network": [gap, gap / 2, 2 * gap],
            "gap_closed": [1 - gap / memoryless, None, None],
        }
        arrays = {
            "network/gap": np.full(2, gap),
            "network/gap_by_position": np.outer([0.5, 1.5], gap * np.arange(1, positions + 1)),
            "references/gap": np.array([memoryless]),
            "training/held_out_gap": np.full((2, 3), gap),
            "training/symbols": np.array([0, 10, 20]),
        }
        dims = {
            "network/gap": ["seed"],
            "network/gap_by_position": ["seed", "position"],
            "references/gap": ["predictor"],
            "training/held_out_gap": ["seed", "point"],
            "training/symbols": ["point"],
        }
        lost = n in failed
        results.append(
            Result({"failed": "lost"}, {}, {}, {})
            if lost
            else Result({"loss": {"network": 1.0, "memoryless": 2.0}}, estimates, arrays, dims)
        )
    return to_datatree(Sweep(grid, (0, 1), 10, results, 0))


def texts(figure):
    """What a heat map writes: (row's label, column's label) -> text."""
    axis = figure.axes[0]
    rows = [label.get_text() for label in axis.get_yticklabels()]
    columns = [label.get_text() for label in axis.get_xticklabels()]
    return {
        (rows[int(t.get_position()[1])], columns[int(t.get_position()[0])]): t.get_text()
        for t in axis.texts
    }


def test_heat_maps_write_each_number_where_its_labels_say():
    tree = made(failed=(7,))
    gaps, closed = texts(figures.gap_map(tree)), texts(figures.closed_map(tree))
    points = itertools.product(PRIORS, ("4", "inf"), ("lstm", "gru"), (4, 8, 16))
    for n, (alpha, T, cell, hidden) in enumerate(points):
        where = f"alpha={alpha}, T={T}", f"{cell}\n{hidden} units"
        if n == 7:
            assert where not in gaps and where not in closed
            continue
        assert float(gaps[where]) == pytest.approx((n + 1) / 1000, rel=0.05)
        assert float(closed[where][:-1]) == pytest.approx(100 * (1 - (n + 1) / 48), rel=1e-3)


def test_curves_run_through_the_gaps_with_their_intervals():
    tree = made()
    assert figures.curve_axes(tree) == ["T", "hidden"]
    figure = figures.gap_along(tree, "hidden")
    assert [axis.get_title("left") for axis in figure.axes] == [
        f"alpha={alpha}, T={T}" for alpha in PRIORS for T in ("4", "inf")
    ]
    for n, axis in enumerate(figure.axes):
        for m, bars in enumerate(axis.containers):
            line, _, (segments,) = bars
            first = 6 * n + 3 * m + 1
            gap = np.arange(first, first + 3) / 1000
            np.testing.assert_allclose(line.get_xdata(), [4, 8, 16], rtol=0.05)
            np.testing.assert_allclose(line.get_ydata(), gap)
            ends = np.array([s[:, 1] for s in segments.get_segments()])
            np.testing.assert_allclose(ends, np.stack([gap / 2, 2 * gap], -1))
            assert bars.get_label() == ("lstm", "gru")[m]
    over_T = figures.gap_along(tree, "T")
    ticks = [label.get_text() for label in over_T.axes[0].get_xticklabels()]
    assert ticks == ["4", "inf"]
    line = over_T.axes[1].containers[0][0]  # alpha=1,1; lstm-4
    np.testing.assert_allclose(line.get_ydata(), [13 / 1000, 19 / 1000])


@pytest.mark.parametrize("draw", [figures.gap_by_position, figures.learning_curves])
def test_curves_of_all_networks_can_be_told_apart(draw):
    figure = draw(made())
    for axis in figure.axes:
        looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axis.lines}
        assert len(looks) == len(axis.lines) == 6
        without_colour = {(line.get_linestyle(), line.get_marker()) for line in axis.lines}
        assert len(without_colour) == 6
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        f"{cell}, {hidden} units" for cell in ("lstm", "gru") for hidden in (4, 8, 16)
    ]


def test_gap_by_position_is_the_mean_over_seeds_to_each_end():
    figure = figures.gap_by_position(made(cells=("lstm",), hidden=(4,)))
    for n, (axis, positions) in enumerate(zip(figure.axes, (3, 5, 3, 5), strict=True)):
        (line,) = axis.lines
        np.testing.assert_allclose(line.get_ydata(), (n + 1) / 1000 * np.arange(1, positions + 1))
    assert not figure.legends
