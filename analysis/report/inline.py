"""An SVG of matplotlib as part of a page: in the page's font, and in colours that follow its theme."""

from __future__ import annotations

import re

# What the page's style sheet sets: pure black and white are text and paper, and light greys are lines of
# a grid. Text that stands on a picture has a black or white of its own (``style.ON_LIGHT``).
_COLOURS = {"#000000": "currentColor", "#ffffff": "var(--paper)", "#0072b2": "var(--blue)"}
_GRID_FROM, _INK_TO = 0xC0, 0x40


def inline_svg(svg: bytes, alt: str) -> str:
    """The <svg> element of a file, for a page. alt: what it shows, for those who cannot see it."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # It holds for the whole page, which says it of figures alone.
    text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    # Groups are numbered in each figure anew: a page has a name once. What is drawn again by its name
    # (markers, clip paths) is named by its content.
    text = re.sub(r"<g id=\"[a-zA-Z0-9.]+_\d+\">", "<g>", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _colour(found[0]), text)
    text = re.sub(r"font: ((?:[a-z0-9]+ )*?)([\d.]+)px [^;\"]+", r"font: \1\2px var(--font)", text)
    label = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _colour(name: str) -> str:
    if name in _COLOURS:
        return _COLOURS[name]
    red, green, blue = (int(name[start : start + 2], 16) for start in (1, 3, 5))
    if not red == green == blue:
        return name
    if red >= _GRID_FROM:
        return "var(--grid)"
    return "currentColor" if red <= _INK_TO else name
