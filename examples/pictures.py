"""What the pictures of the experiments have in common: colours, sizes, and where they go.

They bring their own background, so that light and dark pages show them alike, and are as wide as a
phone: the text stays readable there. The colours are Okabe and Ito's, which nobody confuses.
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PINK, YELLOW, SKY, BLACK = "#CC79A7", "#E69F00", "#56B4E9", "#222222"
COLORS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK)
FAINT = "#8a8a8a"
WIDTH = 5.0  # inches

STYLE = {
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": mpl.cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.facecolor": "#fcfcfa",
    "axes.facecolor": "#fcfcfa",
    "font.size": 11,
    "grid.alpha": 0.25,
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.0,
    "lines.linewidth": 1.8,
    "savefig.dpi": 130,
    "svg.fonttype": "none",
    "svg.hashsalt": "gradstep",  # the same picture is the same file
    "text.color": BLACK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


def options(documentation, argv=None):
    """The command line's: ``--plot FILE``."""
    return parser(documentation).parse_args(argv)


def parser(documentation):
    made = argparse.ArgumentParser(description=documentation.splitlines()[0])
    made.add_argument("--plot", type=Path, metavar="FILE", help="a picture, .svg or .png")
    return made


def save(draw, path, *found, height, width=WIDTH):
    """Have `draw` fill a figure with what was found, and write that to `path`."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure, *found)
        if path.suffix != ".svg":
            figure.savefig(path)
            return
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    # Of coordinates hundredths of a point are enough; what is written stays as it is.
    short = re.sub(
        r'="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), text.getvalue()
    )
    path.write_text(short, "utf-8")
