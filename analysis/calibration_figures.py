"""The figure of a rolled-forward future: ArviZ's plot of its ranks. Nothing is computed here."""

from __future__ import annotations

import matplotlib
from matplotlib.figure import Figure

from analysis.arviz_versions import ecdf_difference
from analysis.audit_results import calibration_dataset
from analysis.figures import BLUE, GREEN, ORANGE, STYLE, VERMILLION, look
from analysis.rolled_forward import RolledForward

# Panels of more symbols or curves are too small to read.
_MOST_SYMBOLS = 4
_LOOKS = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (ORANGE, ":"))
SHOWN = ("network", "bayes")


def calibration(found: RolledForward) -> Figure:
    """ECDF minus uniform CDF of the randomised ranks: a row for the network and for Bayes, a column a
    symbol, a curve a history; at most four symbols and histories."""
    symbols = min(found.num_symbols, _MOST_SYMBOLS)
    histories = found.histories[: len(_LOOKS)]
    shown = [name for name in SHOWN if name in found.predictors]
    pit = calibration_dataset(found)["pit"].sel(predictor=shown)
    pit = pit.isel(symbol=slice(symbols), history=slice(len(histories)))
    curves = [(_after(m), *_LOOKS[n]) for n, m in enumerate(histories)]
    with matplotlib.rc_context(STYLE):
        figure = ecdf_difference(pit, rows="predictor", columns="symbol", lines={"history": curves})
        figure.set_layout_engine("constrained")
        for n, axis in enumerate(figure.axes):
            row, symbol = divmod(n, symbols)
            axis.set_title(f"{look(shown[row])[0]}, symbol {symbol}")
            axis.set_xlabel("")
            axis.set_ylabel("")
        figure.supxlabel("rank of what came, as a share of the rolls", fontsize=9)
        figure.supylabel("ECDF - uniform CDF", fontsize=9)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center",
                      ncols=len(curves) + 1)  # fmt: skip
    return figure


def _after(draws: int) -> str:
    return f"after {draws} {'draw' if draws == 1 else 'draws'}"
