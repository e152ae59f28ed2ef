"""What differs between ArviZ 0.23 (Python 3.11) and 1.x (3.12 on), in one place.

Diagnostics (``rhat``, ``ess``, ``mcse`` on an xarray Dataset) are the same in both. 1.x has DataTree
where 0.23 has InferenceData, and another plot of the difference of ECDFs.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure
    from numpyro.infer import MCMC

_POINTS = 50
# Label, colour and line style of a curve.
Look = tuple[str, str, str]
_BAND_LOOK: Any = {"color": "#999999", "alpha": 0.3}


def arviz() -> ModuleType:
    """ArviZ, imported without its daily warning, and also where its cache folder is read-only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            import arviz
        except OSError:
            # 0.23 writes a stamp of its warning into the user's cache, and fails where it cannot.
            with (
                tempfile.TemporaryDirectory() as folder,
                patch("platformdirs.user_cache_dir", lambda *_, **__: folder),
            ):
                import arviz
    return arviz


def from_numpyro(
    mcmc: MCMC, coords: Mapping[str, ArrayLike], dims: Mapping[str, Sequence[str]]
) -> xarray.DataTree:
    """A finished NumPyro MCMC as labelled arrays: groups posterior, sample_stats, observed_data."""
    data = arviz().from_numpyro(mcmc, coords=dict(coords), dims=dict(dims), log_likelihood=False)
    return data.to_datatree() if hasattr(data, "to_datatree") else data


def ecdf_difference(
    pit: xarray.DataArray, looks: Sequence[Look], band: float, label: str
) -> Figure:
    """ArviZ's plot of the ECDF of values in (0, 1) minus the uniform CDF, with a simultaneous
    confidence band (Säilynoja et al. 2022).

    pit: dims (rows, columns, curves, values). looks: of each curve. band: the probability that the
    curve of uniform values stays inside the band everywhere. label: the band's.
    """
    import matplotlib

    matplotlib.use("Agg")  # ArviZ draws by pyplot, which would look for a screen
    az = arviz()
    draw = _plot_ecdf if hasattr(az, "plot_ecdf") else _plot_ecdf_pit
    return draw(az, pit, looks, band, label)


def _plot_ecdf(
    az: ModuleType,
    pit: xarray.DataArray,
    looks: Sequence[Look],
    band: float,
    band_label: str,
) -> Figure:
    """ArviZ 0.23."""
    from matplotlib.figure import Figure
    from scipy.stats import uniform

    rows, columns, curves, _ = pit.shape
    figure = Figure(figsize=_size(rows, columns))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for (i, j), axis in np.ndenumerate(axes):
        for n in range(curves):
            label, colour, style = looks[n]
            az.plot_ecdf(
                pit.values[i, j, n],
                cdf=uniform.cdf,
                eval_points=np.arange(1, _POINTS + 1) / _POINTS,
                difference=True,
                # One band serves all curves of a panel. "optimized" is computed; the simulated one
                # of 0.23 is not calibrated where its seed is a number.
                confidence_bands="optimized" if n == 0 else False,
                ci_prob=band,
                plot_kwargs={"color": colour, "linestyle": style, "label": label, "linewidth": 1.2},
                fill_kwargs={**_BAND_LOOK, "label": band_label},
                ax=axis,
            )
        axis.axhline(0, color="black", linewidth=0.6)
    return figure


def _plot_ecdf_pit(
    az: ModuleType,
    pit: xarray.DataArray,
    looks: Sequence[Look],
    band: float,
    band_label: str,
) -> Figure:
    """ArviZ 1.x, whose plot makes its own figure."""
    import matplotlib.pyplot as plt
    import xarray as xr
    from arviz_stats.ecdf_utils import ecdf_pit

    rows, columns, curves, values = pit.dims
    data = pit.to_dataset(name="pit")
    plots = az.PlotCollection.grid(
        data,
        backend="matplotlib",
        rows=[rows],
        cols=[columns],
        aes={"color": [curves], "linestyle": [curves]},
        color=[look[1] for look in looks],
        linestyle=[look[2] for look in looks],
        figure_kwargs={"figsize": _size(*pit.shape[:2]), "sharex": True, "sharey": True},
    )
    az.plot_ecdf_pit(
        xr.DataTree.from_dict({"calibration": data}),
        group="calibration",
        sample_dims=[values],
        plot_collection=plots,
        aes_by_visuals={"ecdf_lines": ["color", "linestyle"]},
        visuals=dict.fromkeys(("title", "xlabel", "p_value_text", "suspicious_points"), False),
    )
    figure = plots.viz["figure"].item()
    plt.close(figure)
    # The plot's own band, method="envelope", fails in 1.3 on NumPy 2; the function behind it works.
    x, _, low, high = ecdf_pit(np.linspace(0, 1, pit.sizes[values]), band, n_simulations=2_000)
    for axis in figure.axes:
        axis.fill_between(x, low - x, high - x, label=band_label, **_BAND_LOOK)
        axis.autoscale(axis="y")
        for line, (label, *_) in zip(axis.lines[-len(looks) :], looks, strict=True):
            line.set_label(label)
    return figure


def _size(rows: int, columns: int) -> tuple[float, float]:
    return 1.2 + 2.3 * columns, 1.2 + 1.8 * rows
