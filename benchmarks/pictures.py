"""Pictures of results, as SVG that differs only where results do.

They bring their own background, so that light and dark pages show them alike, and are as wide as a
phone. Whole loops come first, and gradstep is in each of them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.contestants import MEASURED, ROOFLINE
from benchmarks.loops.loop import NO_OPTIMIZER
from benchmarks.tables import BRIEFLY, Info, by_names, peers, setting
from benchmarks.works import ADAMW

BACKGROUND, TEXT, FAINT = "#fcfcfa", "#222222", "#8a8a8a"
STYLE = {
    "axes.edgecolor": FAINT,
    "axes.facecolor": BACKGROUND,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.facecolor": BACKGROUND,
    "font.size": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "gradstep",
    "text.color": TEXT,
}
WIDTH = 5.0
OURS = "#000000"
# A colour and a mark for each contestant, the same in every picture.
LOOKS = {
    MEASURED: (OURS, "D"),
    "torch fused": ("#D55E00", "o"),
    "torch foreach": ("#E69F00", "s"),
    "torch for-loop": ("#8C2D04", "v"),
    "torch compiled": ("#F0A58A", "^"),
    "optax": ("#009E73", "p"),
    "deepspeed": ("#CC79A7", "P"),
    "thinc": ("#6A3D9A", "X"),
    "numba": ("#56B4E9", "^"),
    "numpy": ("#0072B2", "s"),
    "gradstep reference": ("#A6A600", "d"),
    "numpy out=": ("#6BB5E8", "s"),
    "scikit-learn": ("#009E73", "o"),
    "torch default": ("#8C2D04", "o"),
    ROOFLINE: (FAINT, ""),
}
REST = "#d0d0cb"
ALSO = ("numpy out=", "torch fused")  # shown in a loop beside what it has by default


def steps_of_axis(axis: Axis, unit: str = "") -> None:
    """Ticks at 1, 2, 5, 10, …, within what is shown, as numbers that one reads."""
    low, high = axis.get_view_interval()
    ticks = [digit * 10**power for power in range(-3, 7) for digit in (1, 2, 5)]
    shown = [tick for tick in ticks if low <= tick <= high]
    axis.set_ticks(shown, [f"{tick:,g}{unit}" for tick in shown])
    axis.set_ticks([], minor=True)


def counted(axis: Axis, base: int) -> None:
    """Ticks at powers of `base` as numbers, in binary thousands where that is a power of two."""
    low, high = axis.get_view_interval()
    shown = [base**power for power in range(20) if low <= base**power <= high]
    axis.set_ticks(shown, [in_words(n, base) for n in shown])
    axis.set_ticks([], minor=True)


def in_words(n: int, base: int) -> str:
    if base % 2 or base == 10 or n < 1024:
        return f"{n:,}"
    return f"{n // 2**20} Mi" if n >= 2**20 else f"{n // 1024} Ki"


def speed_up(infos: list[Info]) -> Figure:
    """How many times gradstep's time each peer takes, by set of tensors."""
    names = [MEASURED, *by_names(peers(infos), BRIEFLY)]
    figure = Figure(figsize=(WIDTH, 1.7 + 0.75 * len(infos)), layout="constrained")
    axes = figure.subplots()
    lane = 0.8 / len(names)
    for i, name in enumerate(names):
        color, mark = LOOKS[name]
        for y, info in enumerate(infos):
            if name not in info["ratio"]:
                continue
            place = y + (i - (len(names) - 1) / 2) * lane
            if name != MEASURED:
                axes.hlines(place, *info["ratio_quartiles"][name], color=color, linewidth=1)
            label = name if y == 0 else None
            axes.plot(info["ratio"][name], place, mark, color=color, markersize=5.5, label=label)
    axes.axvline(1.0, color=OURS, linewidth=1, zorder=0)
    for y in range(1, len(infos)):
        axes.axhline(y - 0.5, color=FAINT, linewidth=0.4, alpha=0.5)
    axes.set_xscale("log")
    steps_of_axis(axes.xaxis, " ×")
    axes.grid(axis="x", alpha=0.25)
    labels = [f"{info['tensor_set']}\n{held_by(info['resident'])}" for info in infos]
    axes.set_yticks(range(len(infos)), labels)
    axes.set_ylim(len(infos) - 0.5, -0.5)
    axes.set_xlabel("times gradstep's; lines: middle half of rounds")
    axes.set_title(f"{infos[0]['optimizer']}, {setting(infos[0]['dtype'], infos[0]['threads'])}")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def held_by(resident: str) -> str:
    return f"in {resident}" if resident else ""


def bands(axes: Any, places: Sequence[float], residents: Sequence[str]) -> None:
    """What holds the bytes of a step, shaded, named above the picture where it touches nothing."""
    low, high = axes.get_xlim()
    begin = low
    for i, resident in enumerate(residents):
        last = i == len(residents) - 1
        if not last and residents[i + 1] == resident:
            continue
        end = high if last else (places[i] * places[i + 1]) ** 0.5
        dark = ("L1", "L2", "L3", "memory").index(resident) % 2 if resident else 0
        axes.axvspan(begin, end, color=FAINT, alpha=0.14 * dark, linewidth=0, zorder=0)
        middle = (begin * end) ** 0.5
        style = {"ha": "center", "va": "bottom", "fontsize": 9, "color": "#666666"}
        axes.text(middle, 1.01, resident, transform=axes.get_xaxis_transform(), **style)
        begin = end
    axes.set_xlim(low, high)


def curves(infos: list[Info], x: str, y: str) -> tuple[Figure, Any]:
    """`y` of every contestant over `x`, and what holds the bytes."""
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots()
    for name in (MEASURED, *peers(infos), ROOFLINE):
        found = [info for info in infos if name in info[y]]
        color, mark = LOOKS[name]
        style: dict[str, Any] = {"color": color, "marker": mark, "markersize": 4, "linewidth": 1.4}
        if name == MEASURED:
            style |= {"linewidth": 2.4, "zorder": 3}
        if name == ROOFLINE:
            style |= {"linestyle": "--"}
        axes.plot(
            [info[x] for info in found], [info[y][name] for info in found], label=name, **style
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(alpha=0.25)
    bands(axes, [info[x] for info in infos], [info["resident"] for info in infos])
    figure.legend(loc="outside upper center", ncols=3)
    return figure, axes


def bandwidth(infos: list[Info]) -> Figure:
    """GB/s over the size of one tensor."""
    infos = sorted(infos, key=lambda info: info["elements"])
    figure, axes = curves(infos, "elements", "gigabytes_per_second")
    counted(axes.xaxis, 8)
    steps_of_axis(axes.yaxis)
    axes.set_xlabel("elements of one tensor")
    axes.set_ylabel("GB/s")
    where = setting(infos[0]["dtype"], infos[0]["threads"])
    axes.set_title(f"Bytes moved by AdamW, {where}", pad=20)
    return figure


def over_tensors(infos: list[Info]) -> Figure:
    """How many times gradstep's time each peer takes, over the number of tensors."""
    infos = sorted(infos, key=lambda info: info["tensors"])
    figure, axes = curves(infos, "tensors", "ratio")
    counted(axes.xaxis, 10)
    steps_of_axis(axes.yaxis, " ×")
    each = infos[0]["elements"] // infos[0]["tensors"]
    axes.set_xlabel(f"tensors of {each:,} elements")
    axes.set_ylabel("time of a step, gradstep's = 1")
    where = setting(infos[0]["dtype"], infos[0]["threads"])
    axes.set_title(f"AdamW over many tensors, {where}", pad=20)
    return figure


def whole_steps(infos: list[Info]) -> Figure:
    """Each loop with the optimizers that it has without gradstep, and with gradstep: what each
    takes stands beside the rest."""
    figure = Figure(figsize=(WIDTH, 1.6 + 0.66 * len(infos)), layout="constrained")
    axes = figure.subplots()
    drawn = {"forward and backward": REST, MEASURED: OURS}
    for y, info in enumerate(infos):
        rest = info["ratio"][NO_OPTIMIZER]
        axes.text(0, y - 0.26, info["loop"], va="bottom", fontsize=9.5)
        names = [name for name in (info["peer"], *ALSO) if name in info["ratio"]] + [MEASURED]
        lanes = 0.22 * len(names)
        axes.barh(y - 0.24, rest, lanes, align="edge", color=REST)
        for i, name in enumerate(names):
            place, whole = y - 0.13 + 0.22 * i, info["ratio"][name]
            drawn[name] = LOOKS[name][0]
            axes.barh(place, max(0.0, whole - rest), 0.19, left=rest, color=drawn[name])
            axes.text(max(whole, rest) + 0.04, place, f"{whole:.2f} ×", va="center", fontsize=9)
    axes.set_yticks([])
    axes.set_ylim(len(infos) - 0.3, -0.6)
    axes.set_xlim(0, 1.12 * axes.get_xlim()[1])
    ticks = range(int(axes.get_xlim()[1]) + 1)
    axes.set_xticks(ticks, [f"{tick} ×" for tick in ticks])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("time of the loop, with gradstep = 1")
    axes.set_title("Whole training steps")
    handles = [Patch(color=color, label=name) for name, color in drawn.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=9)
    return figure


def models(infos: list[Info]) -> list[Info]:
    """AdamW in float32 on all sets of tensors, with the most threads."""
    found = [i for i in infos if i["optimizer"] == ADAMW.name and i["dtype"] == "float32"]
    most = max((info["threads"] for info in found), default=0)
    return [info for info in found if info["threads"] == most]


def figures(tests: Mapping[str, list[Info]]) -> Iterator[tuple[str, Figure]]:
    """Of what was measured, whatever can be drawn, by name."""
    loops = [i for i in tests.get("test_loop", []) if NO_OPTIMIZER in i["median_us"]]
    sets = models(tests.get("test_step", []))
    sizes = tests.get("test_over_sizes", [])
    counts = tests.get("test_over_tensor_counts", [])
    if loops:
        yield "loops", whole_steps(loops)
    if sets and by_names(peers(sets), BRIEFLY):
        yield "speed-up", speed_up(sets)
    if sizes:
        yield "bandwidth", bandwidth(sizes)
    if counts:
        yield "tensors", over_tensors(counts)


def draw(tests: Mapping[str, list[Info]], note: str, folder: Path) -> list[Path]:
    """Write the pictures, with a note of where the numbers are from, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(STYLE):
        for name, figure in figures(tests):
            figure.supxlabel(textwrap.fill(note, 70), fontsize=8.5, color="#666666")
            paths.append(folder / f"{name}.svg")
            figure.savefig(paths[-1], metadata={"Date": None})
    return paths
