"""One folder a run: self-contained HTML, JSON, netCDF, figures, checkpoints, manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import extensions
from analysis.report import folder
from analysis.report.arrays import Groups, groups_netcdf
from analysis.report.further import further
from analysis.report.inline import show_svg
from analysis.report.report import Document, Json, Panel, Report, Section, Shown
from analysis.report.words import link, word_of, words_of
from autoregressive.checkpoint import write_atomically
from autoregressive.versions import environment, versions

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def publish(report: Report, out: Path, arguments: Mapping[str, Json], command: str) -> None:
    """A report's folder: networks, JSON, netCDF, figures as PNG and SVG, report.html with
    everything inside it, and last the manifest, when what an earlier run left is removed.

    All is made before the first file is written: what cannot be drawn leaves the folder as it was.
    arguments: those of the command. command: as it was typed. Errors: OSError; the next run in the
    folder then removes what was written (``folder``).
    """
    run = manifest(arguments, report.seeds, **report.run)
    files = _render(report, out, command, run)
    for stem, network in report.networks.items():
        network.save(out / f"{stem}.safetensors")
    for name, data in files.items():
        write_atomically(out / name, data)
    folder.finish(out, run)


def _render(report: Report, out: Path, command: str, run: Document) -> dict[str, bytes]:
    """Every file but networks and manifest, by name, in the order of writing."""
    files = {f"{report.name}.json": json_bytes(report.document)}
    panels = report.panels()

    def arrays() -> None:
        files.update({f"{stem}.nc": netcdf_bytes(tree) for stem, tree in report.trees().items()})

    drawn = _figure_files(panels, arrays)
    for one in drawn:
        files |= one
    shown = {panel.name: show(panel, one) for panel, one in zip(panels, drawn, strict=True)}
    if report.sections is None:
        sections: Sequence[Section] = [Section(report.tables, list(shown.values()))]
    else:
        sections = report.sections(shown)
    return files | {"report.html": _page(report, sections, out, command, run)}


def manifest(arguments: Mapping[str, Json], seeds: Sequence[int], **more: Json) -> Document:
    """What a run depended on: versions, device, precision, seeds, arguments, what --load named."""
    return {
        "versions": versions(),
        **environment(),
        "seeds": list(seeds),
        "arguments": dict(arguments),
        "loaded": extensions.describe(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        **more,
    }


def json_bytes(value: Json) -> bytes:
    """Strict JSON: no NaN, no Infinity. Errors: ValueError for those."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Json) -> None:
    """A file of strict JSON. Errors: OSError."""
    write_atomically(path, json_bytes(value))


def netcdf_bytes(tree: xarray.DataTree | Groups) -> bytes:
    """A DataTree, or groups of arrays, as netCDF 4 that ArviZ opens."""
    if isinstance(tree, dict):
        return groups_netcdf(tree)
    return bytes(tree.to_netcdf(engine="h5netcdf"))


def write_netcdf(path: Path, tree: xarray.DataTree | Groups) -> None:
    """A file of ``netcdf_bytes``. Errors: OSError; nothing is left behind then."""
    write_atomically(path, netcdf_bytes(tree))


def figure_files(panel: Panel) -> dict[str, bytes]:
    """A panel's figure as PNG and SVG, by the names of their files."""
    return _figure_files([panel])[0]


def _figure_files(
    panels: Sequence[Panel], meanwhile: Callable[[], None] = lambda: None
) -> list[dict[str, bytes]]:
    """``figure_files`` of each; meanwhile: as for ``draw_all``."""
    from analysis.report.drawers import draw_all

    drawn = draw_all([panel.figure for panel in panels], meanwhile)
    return [
        {f"{panel.name}.{kind}": data for kind, data in kinds.items()}
        for panel, kinds in zip(panels, drawn, strict=True)
    ]


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as "png" or "svg"."""
    from analysis.report.drawing import draw

    return draw(figure)[kind]


def show(panel: Panel, files: Mapping[str, bytes]) -> Shown:
    """A panel as a page shows it, of its ``figure_files``."""
    return show_svg(files[f"{panel.name}.svg"], panel.alt, panel.caption)


def _page(
    report: Report, sections: Sequence[Section], out: Path, command: str, run: Mapping[str, Json]
) -> bytes:
    """report.html with everything inside it."""
    from jinja2 import Environment

    texts = [
        text
        for section in sections
        for table in section.tables
        for text in (table.title, *(row[0] for row in table.rows if row))
    ]

    template = resources("analysis.report").joinpath("report.html").read_text("utf-8")
    page = Environment(autoescape=True).from_string(template)
    html = page.render(
        title=report.title,
        lead=report.lead,
        findings=report.findings,
        sections=sections,
        contents=report.contents,
        further=further(report.name, out, report.networks),
        words=words_of(texts),
        word_of=word_of,
        link=link,
        command=command,
        run=json.dumps(run, indent=1),
    )
    return html.encode()
