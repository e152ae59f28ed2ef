"""Sphinx configuration."""

from importlib.metadata import version as _version

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
exclude_patterns = ["_build", "jupyter_execute"]
