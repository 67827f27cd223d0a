"""The documentation as a site: ``sphinx-build -W docs build/site``."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import gradstep

sys.path.append(str(Path(__file__).parent))
from equations import aligned

project = "gradstep"
version = release = gradstep.__version__
html_title = f"gradstep {version}"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
pygments_dark_style = "github-dark"
html_show_copyright = html_copy_source = html_show_sourcelink = False
templates_path = ["_templates"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # the program and its fonts, to be served from here
]
nitpicky = True
nitpick_ignore = [("py:class", "Adam")]  # of PyTorch's AdamW, which stands for all of them there

myst_heading_anchors = 4
autosummary_generate_overwrite = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
mathjax3_config = {"chtml": {"displayAlign": "left"}}


def without_options(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """The signature of an optimizer up to the thirty options that all have, which follow below."""
    if what != "class" or not hasattr(obj, "method"):
        return None
    return re.sub(r", \*, .*", ", **options)", signature), returns


class DrawEquations(SphinxTransform):
    """Literal blocks with an arrow become mathematics; those that cannot be read stay."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        for block in list(self.document.findall(nodes.literal_block)):
            if "←" in block.astext():
                with suppress(ValueError):
                    latex = aligned(block.astext())
                    block.replace_self(nodes.math_block(latex, latex, number=None, label=None))


def setup(app: Sphinx) -> None:
    app.add_transform(DrawEquations)
    app.connect("autodoc-process-signature", without_options)
