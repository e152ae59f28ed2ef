"""Sphinx configuration."""

import sys
from importlib.metadata import version as _version
from pathlib import Path

# The modules beside this file.
sys.path.insert(0, str(Path(__file__).parent))

project = "meta-learn"
author = "The meta-learn developers"
release = _version("meta-learn")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "mathml"]
html_theme = "furo"
html_title = "meta-learn"
html_show_copyright = False
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["_build", "jupyter_execute", "generated"]

html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_timeout = 240
nb_merge_streams = True


def _draw(app):
    """Tables and figures of the results pages."""
    import drawn

    drawn.draw_all()


def setup(app):
    app.connect("builder-inited", _draw)
