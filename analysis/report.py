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


def check_folder(out: Path) -> None:
    """Makes the folder and writes a probe. Errors: OSError where that is not possible."""
    out.mkdir(parents=True, exist_ok=True)
    probe = out / f".probe-{os.getpid()}"
    probe.touch()
    probe.unlink()


def manifest(arguments: Mapping[str, Any], seeds: Sequence[int], **more: Any) -> dict[str, Any]:
    """What a run depended on: versions, device, precision, seeds, arguments."""
    return {
        "versions": versions(),
        **environment(),
        "seeds": list(seeds),
        "arguments": dict(arguments),
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
    """A figure as "png" or "svg"."""
    import matplotlib

    buffer = io.BytesIO()
    # Without a date and with names that are not random, the same results give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "meta-learn"}):
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


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
    from jinja2 import Environment

    shown = []
    for panel in panels:
        png = figure_bytes(panel.figure, "png")
        panel.figure.set_layout_engine("none")  # keeps the layout just computed
        write_atomically(out / f"{panel.name}.png", png)
        write_atomically(out / f"{panel.name}.svg", figure_bytes(panel.figure, "svg"))
        shown.append((panel, base64.b64encode(png).decode()))
    template = files("analysis").joinpath("report.html").read_text("utf-8")
    page = Environment(autoescape=True).from_string(template)
    html = page.render(
        title=title, lead=lead, tables=tables, panels=shown, command=command,
        run=json.dumps(run, indent=1),
    )  # fmt: skip
    write_atomically(out / "report.html", html)
