"""Formulas as MathML, which browsers draw by themselves: the pages need no script and no network."""

from __future__ import annotations

import re

from latex2mathml.converter import convert as _convert


def convert(tex: str, display: str = "inline") -> str:
    """LaTeX as MathML, with the thin space after a function's name that LaTeX sets by itself, none
    around a sign that begins an index, and primes, raised by the font, that stay legible."""
    tex = re.sub(r"\\(log|max)\s*(?=[A-Za-z0-9\\])", r"\\\1\\,", tex)
    found = _convert(tex, display=display)
    found = found.replace(
        "<mrow><mo>&#x0003C;</mo>", '<mrow><mo lspace="0" rspace="0">&#x0003C;</mo>'
    )
    return re.sub(r"<msup>(<mi>\w</mi><mi>&#x02032;</mi>)</msup>", r"<mrow>\1</mrow>", found)


def _inline(translator, node):
    translator.body.append(convert(node.astext()))
    _skip()


def _display(translator, node):
    translator.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    _skip()


def _skip():
    from docutils.nodes import SkipNode

    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True}
