"""One folder a run: self-contained HTML, JSON, netCDF, figures, checkpoints, manifest."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from analysis import extensions
from autoregressive.checkpoint import write_atomically
from autoregressive.versions import environment, versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Panel(NamedTuple):
    """A figure of a report. name: the file's stem. alt: what it shows, for those who cannot see it.
    caption: how to read it."""

    name: str
    figure: Figure
    alt: str
    caption: str


class Table(NamedTuple):
    """A table of a report: its title, column heads, rows of text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


class Shown(NamedTuple):
    """A figure as a page shows it: its PNG in base64."""

    png: str
    alt: str
    caption: str


class Section(NamedTuple):
    """A part of a page. title: without one, its tables stand for themselves. paragraphs, commands:
    (label, text) each. anchor: what a link to it names."""

    tables: Sequence[Table]
    figures: Sequence[Shown]
    title: str = ""
    anchor: str = ""
    paragraphs: Sequence[tuple[str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()


class Contents(NamedTuple):
    """What a page of many sections begins with: column heads, and rows that lead to anchors."""

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def check_folder(out: Path) -> None:
    """Makes the folder and writes a probe. Errors: OSError where that is not possible."""
    out.mkdir(parents=True, exist_ok=True)
    probe = out / f".probe-{os.getpid()}"
    probe.touch()
    probe.unlink()


def manifest(arguments: Mapping[str, Any], seeds: Sequence[int], **more: Any) -> dict[str, Any]:
    """What a run depended on: versions, device, precision, seeds, arguments, what --load named."""
    return {
        "versions": versions(),
        **environment(),
        "seeds": list(seeds),
        "arguments": dict(arguments),
        "loaded": extensions.described(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        **more,
    }


def write_json(path: Path, value: Any) -> None:
    """Strict JSON: no NaN, no Infinity. Errors: OSError."""
    write_atomically(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_netcdf(path: Path, tree: Any) -> None:
    """A DataTree as netCDF 4 that ArviZ opens. Errors: OSError; nothing is left behind then."""
    data = tree.to_netcdf(engine="h5netcdf")
    write_atomically(path, bytes(data))


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as "png" or "svg". What is drawn first decides the layout: the other kind keeps it."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer, dpi = io.BytesIO(), figure.dpi
    # Without a date and random names, the same results give the same bytes.
    metadata = {"Date": None} if kind == "svg" else None
    with matplotlib.rc_context({"svg.hashsalt": "meta-learn"}):
        if _may_stick_out(figure):
            figure.savefig(
                buffer, format=kind, dpi="figure", metadata=metadata,
                bbox_inches="tight", pad_inches=0.05,
            )  # fmt: skip
        # The canvas itself, because savefig draws twice: once for the layout, which every drawing
        # works out anyway.
        elif kind == "png":
            FigureCanvasAgg(figure).print_png(buffer)
        else:
            FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)
    figure.dpi = dpi  # SVG sets its own
    figure.set_layout_engine("none")
    return buffer.getvalue()


def _may_stick_out(figure: Figure) -> bool:
    """Constrained layout leaves labels some points outside where axes have a colour bar, however often
    it is run."""
    return any(axes.get_label() == "<colorbar>" for axes in figure.axes)


def write_page(
    out: Path,
    *,
    title: str,
    lead: str,
    tables: Sequence[Table],
    panels: Sequence[Panel],
    command: str,
    run: Mapping[str, Any],
) -> None:
    """Figures as PNG and SVG, and report.html with everything inside it. Errors: OSError."""
    shown = [show_figure(out, panel) for panel in panels]
    write_sections(out, title=title, lead=lead, sections=[Section(tables, shown)], command=command,
                   run=run)  # fmt: skip


def show_figure(out: Path, panel: Panel) -> Shown:
    """Writes a figure as PNG and SVG. Errors: OSError."""
    png = figure_bytes(panel.figure, "png")
    write_atomically(out / f"{panel.name}.png", png)
    write_atomically(out / f"{panel.name}.svg", figure_bytes(panel.figure, "svg"))
    return Shown(base64.b64encode(png).decode(), panel.alt, panel.caption)


def write_sections(
    out: Path,
    *,
    title: str,
    lead: str,
    sections: Sequence[Section],
    command: str,
    run: Mapping[str, Any],
    contents: Contents | None = None,
) -> None:
    """report.html with everything inside it. Errors: OSError."""
    from jinja2 import Environment

    template = files("analysis.report").joinpath("report.html").read_text("utf-8")
    page = Environment(autoescape=True).from_string(template)
    html = page.render(
        title=title, lead=lead, sections=sections, contents=contents, command=command,
        run=json.dumps(run, indent=1),
    )  # fmt: skip
    write_atomically(out / "report.html", html)
