"""A figure as PNG and SVG: laid out once, by the first of the two.

Nothing here needs JAX: a second process imports this module alone (``drawers``).
"""

from __future__ import annotations

import copy
import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.ticker import LogFormatterSciNotation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Text stays text, which is searched, edited, and on a page in the page's own font. Without a date and
# random names, the same results give the same bytes.
_SVG: Any = {"svg.hashsalt": "meta-learn", "svg.fonttype": "none"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw(figure: Figure) -> dict[str, bytes]:
    """The figure's bytes, by kind: "png" and "svg"."""
    write_plain_powers(figure)
    dpi = figure.dpi
    with matplotlib.rc_context(_SVG):
        png = _bytes(figure, "png")
        # What was drawn first has decided the layout.
        figure.set_layout_engine("none")
        svg = _bytes(figure, "svg")
    figure.dpi = dpi  # SVG sets its own
    return {"png": png, "svg": svg}


def _bytes(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None
    if _may_stick_out(figure):
        tight: Any = {"bbox_inches": "tight", "pad_inches": 0.05}
        figure.savefig(buffer, format=kind, dpi="figure", metadata=metadata, **tight)
    # The canvas itself, because savefig draws twice: once for the layout, which every drawing works
    # out anyway.
    elif kind == "png":
        FigureCanvasAgg(figure).print_png(buffer)
    else:
        FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
    return buffer.getvalue()


def _may_stick_out(figure: Figure) -> bool:
    """Constrained layout leaves labels some points outside where axes have a colour bar, however often
    it is run."""
    return any(axes.get_label() == "<colorbar>" for axes in figure.axes)


class PlainPowers(LogFormatterSciNotation):
    """10⁻³ in plain letters: setting formulas takes longer than all the rest of a small figure, and
    places each letter of an SVG by the widths of matplotlib's own font."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = str(super().__call__(x, pos)).replace(r"$\mathdefault{", "").removesuffix("}$")
        raised = re.sub(r"\^\{([^}]*)\}", lambda power: power[1].translate(_RAISED), text)
        return raised.replace(r"\times", "\N{MULTIPLICATION SIGN}").replace("\N{MINUS SIGN}", "-")


def write_plain_powers(figure: Figure) -> None:
    """Labels of logarithmic axes become ``PlainPowers`` where they are matplotlib's own."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            major, minor = axis.get_major_formatter(), axis.get_minor_formatter()
            if type(major) is LogFormatterSciNotation:
                axis.set_major_formatter(_plain(major))
            if type(minor) is LogFormatterSciNotation:
                axis.set_minor_formatter(_plain(minor))


def _plain(formatter: LogFormatterSciNotation) -> PlainPowers:
    made = PlainPowers()
    made.__dict__.update(copy.copy(formatter).__dict__)
    return made
