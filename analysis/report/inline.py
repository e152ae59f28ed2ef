"""An SVG of matplotlib as part of a page: in the page's font, and in colours that follow its theme."""

from __future__ import annotations

import hashlib
import re

from analysis.report.report import Shown

# What the page's style sheet sets: pure black and white are text and paper, one dark grey is softer
# text, and light greys are lines of a grid. Text that stands on a picture has a black or white of its
# own (``style.ON_LIGHT``).
_COLOURS = {
    "#000000": "currentColor",
    "#555555": "var(--soft)",
    "#ffffff": "var(--paper)",
    "#0072b2": "var(--blue)",
}
_GRID_FROM, _INK_TO = 0xC0, 0x40
_PIXELS_A_POINT = 1.5
# Beside another figure of the width of half a page there is room for one as wide, in points.
_HALF_PT = 400.0


def inline_svg(svg: bytes, alt: str) -> str:
    """The <svg> element of a file, for a page. alt: what it shows, for those who cannot see it."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # It holds for the whole page, which says it of figures alone.
    text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)  # HTML knows them
    # Groups are numbered, and nothing refers to them. Names of what is drawn again, such as markers, are
    # made this figure's own: a page has a name once.
    text = re.sub(r"<g id=\"[a-zA-Z0-9.]+_\d+\">", "<g>", text)
    own = hashlib.sha256(svg + alt.encode()).hexdigest()[:8]
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>f{own}-", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _colour(found[0]), text)
    text = re.sub(r"font: ((?:[a-z0-9]+ )*?)([\d.]+)px [^;\"]+", r"font: \1\2px var(--font)", text)
    text = re.sub(r"font-family: [^;\"]+", "font-family: var(--font)", text)
    label = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    # One scale for all figures, so that their letters have one size, a little above the file's own.
    size = f"width: {width_pt(svg) * _PIXELS_A_POINT:.0f}px"
    start = f'<svg role="img" aria-label="{label}" style="{size}" '
    return text.replace("<svg ", start, 1)


def width_pt(svg: bytes) -> float:
    """The width of a figure, in points."""
    found = re.search(rb'viewBox="0 0 ([\d.]+) ', svg)
    return float(found[1]) if found else 0.0


def show_svg(svg: bytes, alt: str, caption: str) -> Shown:
    """A figure's file as a page shows it."""
    return Shown(inline_svg(svg, alt), caption, width_pt(svg) > _HALF_PT, b"<image" in svg)


def _colour(name: str) -> str:
    if name in _COLOURS:
        return _COLOURS[name]
    red, green, blue = (int(name[start : start + 2], 16) for start in (1, 3, 5))
    if not red == green == blue:
        return name
    if red >= _GRID_FROM:
        return "var(--grid)"
    return "currentColor" if red <= _INK_TO else name
