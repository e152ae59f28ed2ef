"""Sphinx configuration."""

import json
import sys
from importlib.metadata import version as _version
from pathlib import Path

project = "meta-learn"
author = "The meta-learn developers"
release = _version("meta-learn")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
html_theme = "furo"
html_title = "meta-learn"
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["_build", "jupyter_execute", "generated"]

_DOCS = Path(__file__).parent
sys.path.insert(0, str(_DOCS))


def _draw_results(app):
    """Tables and figures of the results that are kept in the repository."""
    import audits

    from analysis.commands import questions_pages

    generated = _DOCS / "generated"
    for name, as_markdown in (
        ("questions", questions_pages.as_markdown),
        ("audits", audits.as_markdown),
    ):
        document = json.loads((_DOCS / "results" / f"{name}.json").read_text())
        (generated / f"{name}.md").write_text(as_markdown(document, generated, "generated"))


def setup(app):
    app.connect("builder-inited", _draw_results)
