"""The documentation as a site: ``sphinx-build -W docs build/site``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import gradstep
from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).parent / "_extensions"))

project = "gradstep"
version = release = gradstep.__version__
html_title = f"gradstep {version}"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
templates_path = ["_templates"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # the program and its fonts, to be served from here
    "equations",
]
nitpicky = True
# Prose in the place of types, as docstrings have it, names no objects.
nitpick_ignore_regex = [("py:.*", r"(?!gradstep\.).*")]
# Pages that are written beside this one; every page that is there has to be in the contents.
suppress_warnings = ["toc.not_readable"]

myst_heading_anchors = 4
autosummary_generate_overwrite = True
autodoc_typehints = "none"
numpydoc_show_class_members = False


def without_options(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """The signature of an optimizer up to the thirty options that all have, which follow below."""
    if what != "class" or not hasattr(obj, "method"):
        return None
    return re.sub(r", \*, groups=.*|, \*, copies=.*", ", **options)", signature), returns


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", without_options)
