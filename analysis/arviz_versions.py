"""What differs between ArviZ 0.23 (Python 3.11) and 1.x (3.12 on), in one place.

Diagnostics (``rhat``, ``ess``, ``mcse`` on an xarray Dataset) are the same in both. 1.x has DataTree
where 0.23 has InferenceData, and another plot of the difference of ECDFs.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

# Of all ECDFs of uniform values, those that stay inside a plot's band everywhere.
BAND = 0.95
_POINTS = 50


def arviz() -> Any:
    """ArviZ, imported without its daily warning and also where the user's cache cannot be written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            import arviz
        except OSError:
            # 0.23 leaves a stamp of its warning in the user's cache, and fails where it cannot.
            with (
                tempfile.TemporaryDirectory() as folder,
                patch("platformdirs.user_cache_dir", lambda *_, **__: folder),
            ):
                import arviz
    return arviz


def from_numpyro(mcmc: Any, coords: Mapping[str, Any], dims: Mapping[str, Any]) -> xarray.DataTree:
    """A finished NumPyro MCMC as labelled arrays: groups posterior, sample_stats, observed_data."""
    found = arviz().from_numpyro(mcmc, coords=dict(coords), dims=dict(dims), log_likelihood=False)
    return found.to_datatree() if hasattr(found, "to_datatree") else found


def ecdf_difference(
    pit: xarray.DataArray, *, rows: str, columns: str, lines: Mapping[str, Sequence[Any]]
) -> Figure:
    """ArviZ's plot of ECDF minus uniform CDF of values in (0, 1), with its band of 95% for the whole
    curve (Säilynoja et al. 2022).

    pit: dims (rows, columns, the one of ``lines``, "stream"). lines: its name and, for each of its
    values, (label, colour, line style).
    """
    ((name, looks),) = lines.items()
    az = arviz()
    draw = _plot_ecdf if hasattr(az, "plot_ecdf") else _plot_ecdf_pit
    return draw(az, pit.transpose(rows, columns, name, "stream"), looks)


def _plot_ecdf(az: Any, pit: xarray.DataArray, looks: Sequence[Any]) -> Figure:
    """ArviZ 0.23."""
    from matplotlib.figure import Figure
    from scipy.stats import uniform

    rows, columns, curves, _ = pit.shape
    figure = Figure(figsize=(1.2 + 2.3 * columns, 0.9 + 1.9 * rows))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for (i, j), axis in np.ndenumerate(axes):
        for n in range(curves):
            label, colour, style = looks[n]
            az.plot_ecdf(
                pit.values[i, j, n],
                cdf=uniform.cdf,
                eval_points=np.arange(1, _POINTS + 1) / _POINTS,
                difference=True,
                # One band serves all curves of a panel. The simulated one of 0.23 is not calibrated
                # where its seed is a number; this one is worked out.
                confidence_bands="optimized" if n == 0 else False,
                ci_prob=BAND,
                plot_kwargs={"color": colour, "linestyle": style, "label": label, "linewidth": 1.2},
                fill_kwargs={"color": "#999999", "alpha": 0.3, "label": f"{BAND:.0%} band"},
                ax=axis,
            )
        axis.axhline(0, color="black", linewidth=0.6)
    return figure


def _plot_ecdf_pit(az: Any, pit: xarray.DataArray, looks: Sequence[Any]) -> Figure:
    """ArviZ 1.x, whose plot makes its own figure."""
    import matplotlib.pyplot as plt
    import xarray as xr

    rows, columns, curve = pit.dims[:3]
    data = pit.to_dataset(name="pit")
    figure_size = (1.2 + 2.3 * pit.sizes[columns], 0.9 + 1.9 * pit.sizes[rows])
    plots = az.PlotCollection.grid(
        data,
        backend="matplotlib",
        rows=[rows],
        cols=[columns],
        aes={"color": [curve], "linestyle": [curve]},
        color=[look[1] for look in looks],
        linestyle=[look[2] for look in looks],
        figure_kwargs={"figsize": figure_size, "sharex": True, "sharey": True},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the band's method is to change its name
        az.plot_ecdf_pit(
            xr.DataTree.from_dict({"calibration": data}),
            group="calibration",
            sample_dims=["stream"],
            method="envelope",
            envelope_prob=BAND,
            plot_collection=plots,
            visuals={"title": False, "xlabel": False, "remove_axis": False},
        )
    figure = plots.viz["figure"].item()
    plt.close(figure)
    for axis in figure.axes:
        for line, (label, *_) in zip(axis.lines, looks, strict=False):
            line.set_label(label)
    return figure
