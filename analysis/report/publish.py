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
from typing import TYPE_CHECKING, Any

from analysis import extensions
from analysis.report import folder
from analysis.report.report import Panel, Report, Section, Shown
from autoregressive.checkpoint import write_atomically
from autoregressive.versions import environment, versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def publish(report: Report, out: Path, arguments: Mapping[str, Any], command: str) -> None:
    """A report's folder: networks, JSON, netCDF, figures as PNG and SVG, report.html with
    everything inside it, and last the manifest, when what an earlier run left is removed.

    arguments: those of the command, as JSON values. command: as it was typed. Errors: OSError.
    """
    for stem, network in report.networks.items():
        network.save(out / f"{stem}.safetensors")
    write_json(out / f"{report.name}.json", report.document)
    for stem, tree in report.trees().items():
        write_netcdf(out / f"{stem}.nc", tree)
    run = manifest(arguments, report.seeds, **report.run)
    if report.sections is None:
        shown = [show_figure(out, panel) for panel in report.panels()]
        sections: Sequence[Section] = [Section(report.tables, shown)]
    else:
        sections = report.sections()
    write_page(out, report, sections, command, run)
    folder.finish(out, run)


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


def show_figure(out: Path, panel: Panel) -> Shown:
    """Writes a figure as PNG and SVG. Errors: OSError."""
    png = figure_bytes(panel.figure, "png")
    write_atomically(out / f"{panel.name}.png", png)
    write_atomically(out / f"{panel.name}.svg", figure_bytes(panel.figure, "svg"))
    return Shown(base64.b64encode(png).decode(), panel.alt, panel.caption)


def write_page(
    out: Path, report: Report, sections: Sequence[Section], command: str, run: Mapping[str, Any]
) -> None:
    """report.html with everything inside it. Errors: OSError."""
    from jinja2 import Environment

    template = files("analysis.report").joinpath("report.html").read_text("utf-8")
    page = Environment(autoescape=True).from_string(template)
    html = page.render(
        title=report.title, lead=report.lead, sections=sections, contents=report.contents,
        command=command, run=json.dumps(run, indent=1),
    )  # fmt: skip
    write_atomically(out / "report.html", html)
