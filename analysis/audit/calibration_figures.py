"""The figure of a rolled-forward future: ArviZ's plot of its ranks. Nothing is computed here."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure

from analysis.arviz_versions import ecdf_difference
from analysis.audit.calibration import Calibration
from analysis.audit.results import calibration_dataset
from analysis.report.style import BLUE, GREEN, ORANGE, STYLE, VERMILLION, look
from autoregressive.errors import counted

# Panels of more symbols or curves are too small to read.
_MOST_SYMBOLS = 4
_LOOKS = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (ORANGE, ":"))
SHOWN = ("network", "bayes")


def rank_figure(calibration: Calibration) -> Figure:
    """ECDF minus uniform CDF of the randomised ranks: a row for the network and for Bayes, a column a
    symbol, a curve a history; at most four symbols and histories."""
    symbols = min(calibration.num_symbols, _MOST_SYMBOLS)
    histories = calibration.histories[: len(_LOOKS)]
    shown = [name for name in SHOWN if name in calibration.predictors]
    pit = calibration_dataset(calibration)["pit"].sel(predictor=shown)
    pit = pit.isel(symbol=slice(symbols), history=slice(len(histories)))
    curves = [(_after(m), *_LOOKS[n]) for n, m in enumerate(histories)]
    with matplotlib.rc_context(STYLE):
        figure = ecdf_difference(
            pit.transpose("predictor", "symbol", "history", "stream"),
            curves,
            1 - 0.05 / (symbols * len(histories)),
            "95% band of all curves of a row",
        )
        figure.set_layout_engine("constrained")
        for n, axis in enumerate(figure.axes):
            row, symbol = divmod(n, symbols)
            axis.set_title(f"{look(shown[row])[0]}, symbol {symbol}")
            axis.set_xlabel("rank of the true count / rolls" if row == len(shown) - 1 else "")
            axis.set_ylabel("ECDF - uniform CDF" if symbol == 0 else "")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        order = sorted(range(len(labels)), key=lambda i: labels[i].startswith("95%"))
        figure.legend(
            [handles[i] for i in order],
            [labels[i] for i in order],
            loc="outside lower center",
            # As many beside each other as fit under two panels, or three.
            ncols=2 if symbols == 2 else len(order),
        )
    return figure


def _after(draws: int) -> str:
    return f"after {counted(draws, 'draw')}"
