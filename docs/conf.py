"""Sphinx configuration."""

import sys
from importlib.metadata import version as _version
from pathlib import Path

from docutils.utils import urischemes

# The modules beside this file.
sys.path.insert(0, str(Path(__file__).parent))

project = "meta-learn"
author = "The meta-learn developers"
release = _version("meta-learn")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_click", "mathml"]
html_theme = "furo"
html_title = "meta-learn"
html_show_copyright = False
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parent / "_build" / "notebooks")
nb_execution_raise_on_error = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}
python_maximum_signature_line_length = 88
smartquotes = False
# A type that is imported for checking only is looked up by its last name, which two may share.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
exclude_patterns = ["_build", "jupyter_execute", "generated"]

html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_timeout = 240
nb_merge_streams = True
# Libraries tell a notebook about progress bars it has no use for.
nb_output_stderr = "remove"


# The address of a scheduler is nothing to click on.
urischemes.schemes.pop("tcp", None)


def _draw(app):
    """Tables and figures of the results pages."""
    import drawn

    drawn.draw_all()


def _examples_as_code(app, context, lines):
    """Examples of a help text, which click marks as lines to keep, as blocks of code."""
    shown = []
    for line in lines:
        if line.startswith("| "):
            shown += [] if shown and shown[-1].startswith("   ") else ["", ".. code-block:: sh", ""]
            line = "   " + line[2:].strip()
        shown.append(line)
    lines[:] = shown


def _defaults_that_parse(app, what, name, found, options, signature, returns):
    """A default that is made anew each time, which Python shows as no Python."""
    if signature and "<factory>" in signature:
        return signature.replace("<factory>", "..."), returns
    return None


def _indented_as_written(app, what, name, found, options, lines):
    """An indented block of a docstring, code or formulas, as a block whose lines stay."""
    shown, inside = [], False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not inside and shown and not shown[-1]:
            shown += ["::", ""]
        inside = indented or (inside and not line)
        shown.append(line)
    lines[:] = shown


def _no_aliases(app, what, name, found, skip, options):
    """Fields of a named tuple, which its class describes, have no text of their own."""
    return True if type(found).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("builder-inited", _draw)
    app.connect("autodoc-process-docstring", _indented_as_written)
    app.connect("autodoc-skip-member", _no_aliases)
    app.connect("autodoc-process-signature", _defaults_that_parse)
    app.connect("sphinx-click-process-epilog", _examples_as_code)
