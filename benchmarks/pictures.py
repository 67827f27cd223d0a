"""Pictures of results, as SVG that differs only where results do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import machine
from benchmarks.contestants import MEASURED, ROOFLINE
from benchmarks.loops.loop import NO_OPTIMIZER
from benchmarks.tables import BRIEFLY, Info, by_names, peers, setting
from benchmarks.works import ADAMW

STYLE = {"svg.hashsalt": "gradstep", "svg.fonttype": "none", "font.size": 9}
OURS = {"color": "black", "linewidth": 2.0, "zorder": 3}
ROOF = {"color": "grey", "linestyle": "--"}


def line_style(name: str) -> dict[str, Any]:
    return {MEASURED: OURS, ROOFLINE: ROOF}.get(name, {"linewidth": 1.2})


def colors(names: list[str]) -> dict[str, str]:
    """One for each contestant, the same in every picture of one run."""
    cycle = mpl.colormaps["tab10"].colors
    return {name: mpl.colors.to_hex(cycle[i % 10]) for i, name in enumerate(names)}


def speed_up(infos: list[Info], color: Mapping[str, str]) -> Figure:
    """How many times gradstep's time each peer takes, by set of tensors."""
    names = by_names(peers(infos), BRIEFLY)
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        found = [(x, info) for x, info in enumerate(infos) if name in info["ratio"]]
        heights = [info["ratio"][name] for _, info in found]
        quartiles = [info["ratio_quartiles"][name] for _, info in found]
        below = [max(0.0, h - q[0]) for h, q in zip(heights, quartiles, strict=True)]
        above = [max(0.0, q[1] - h) for h, q in zip(heights, quartiles, strict=True)]
        places = [x + (i - (len(names) - 1) / 2) * width for x, _ in found]
        axes.bar(
            places,
            heights,
            width,
            label=name,
            color=color[name],
            yerr=[below, above],
            error_kw={"linewidth": 0.6},
        )
    axes.axhline(1.0, **OURS)
    axes.set_yscale("log")
    axes.set_xticks(range(len(infos)), [info["tensor_set"] for info in infos])
    axes.set_ylabel("times gradstep's")
    where = setting(infos[0]["dtype"], infos[0]["threads"])
    axes.set_title(f"Time of a step of {infos[0]['optimizer']}, {where}")
    axes.legend(ncols=5, fontsize=7)
    return figure


def curve(infos: list[Info], x: str, y: str, color: Mapping[str, str]) -> tuple[Figure, Any]:
    """`y` of every contestant over `x`."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name in (MEASURED, *peers(infos), ROOFLINE):
        found = [info for info in infos if name in info[y]]
        style = {"color": color.get(name), "marker": ".", **line_style(name)}
        values = [info[y][name] for info in found]
        axes.plot([info[x] for info in found], values, label=name, **style)
    axes.set_xscale("log")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
    return figure, axes


def bandwidth(infos: list[Info], sizes: Mapping[str, int], color: Mapping[str, str]) -> Figure:
    """GB/s over the size of one tensor, and where caches end."""
    infos = sorted(infos, key=lambda info: info["elements"])
    figure, axes = curve(infos, "elements", "gigabytes_per_second", color)
    threads = infos[0]["threads"]
    bytes_each = infos[0]["working_set"] / infos[0]["elements"]
    for level, held in sizes.items():
        end = held * (threads if level in ("L1", "L2") else 1) / bytes_each
        axes.axvline(end, color="lightgrey", zorder=0)
        axes.text(end, axes.get_ylim()[1], level, ha="right", va="top", color="grey")
    axes.set_xlabel("elements of one tensor")
    axes.set_ylabel("GB/s")
    axes.set_title(f"Bytes moved by AdamW, {setting(infos[0]['dtype'], threads)}")
    return figure


def over_tensors(infos: list[Info], color: Mapping[str, str]) -> Figure:
    """Time per step over the number of tensors."""
    infos = sorted(infos, key=lambda info: info["tensors"])
    figure, axes = curve(infos, "tensors", "median_us", color)
    axes.set_yscale("log")
    each = infos[0]["elements"] // infos[0]["tensors"]
    axes.set_xlabel(f"tensors of {each:,} elements")
    axes.set_ylabel("µs per step")
    axes.set_title(f"A step of AdamW, {setting(infos[0]['dtype'], infos[0]['threads'])}")
    return figure


def whole_steps(infos: list[Info]) -> Figure:
    """Each loop with the optimizer that it has without gradstep, and with gradstep: what the
    optimizer takes stands beside the rest."""
    figure = Figure(figsize=(8, 0.6 + 0.6 * len(infos)), layout="constrained")
    axes = figure.subplots()
    for y, info in enumerate(infos):
        before = info["median_us"][info["peer"]]
        rest = info["median_us"][NO_OPTIMIZER] / before
        for name, place, color in ((info["peer"], y - 0.2, "C1"), (MEASURED, y + 0.2, "C0")):
            whole = info["median_us"][name] / before
            axes.barh(place, rest, 0.36, color="lightgrey")
            axes.barh(place, max(0.0, whole - rest), 0.36, left=rest, color=color)
            axes.text(max(whole, rest), place, f" {name}", va="center", fontsize=7)
    axes.set_yticks(range(len(infos)), [info["loop"] for info in infos], fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("time of the loop without gradstep = 1; grey: forward and backward")
    axes.set_title("Whole training steps: what the optimizer takes")
    return figure


def models(infos: list[Info]) -> list[Info]:
    """AdamW in float32 on all sets of tensors, with the most threads."""
    found = [i for i in infos if i["optimizer"] == ADAMW.name and i["dtype"] == "float32"]
    most = max((info["threads"] for info in found), default=0)
    return [info for info in found if info["threads"] == most]


def figures(
    tests: Mapping[str, list[Info]], machine_info: Mapping[str, Any]
) -> Iterator[tuple[str, Figure]]:
    """Of what was measured, whatever can be drawn, by name."""
    tests = {name: of_one for name, of_one in tests.items() if not name.startswith("test_torch")}
    loops = [i for i in tests.pop("test_loop", []) if NO_OPTIMIZER in i["median_us"]]
    tests.pop("test_two_at_once", None)
    tests.pop("test_narrow", None)
    if loops:
        yield "loops", whole_steps(loops)
    color = colors(peers(info for infos in tests.values() for info in infos))
    sets = models(tests.get("test_step", []))
    sizes = tests.get("test_over_sizes", [])
    counts = tests.get("test_over_tensor_counts", [])
    if sets and by_names(peers(sets), BRIEFLY):
        yield "speed-up", speed_up(sets, color)
    if sizes:
        yield "bandwidth", bandwidth(sizes, machine_info["gradstep"]["caches"], color)
    if counts:
        yield "tensors", over_tensors(counts, color)


def draw(
    tests: Mapping[str, list[Info]], machine_info: Mapping[str, Any], folder: Path
) -> list[Path]:
    """Write the pictures and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(STYLE):
        for name, figure in figures(tests, machine_info):
            figure.text(0, 0, machine.name(machine_info), fontsize=6, color="grey", va="bottom")
            paths.append(folder / f"{name}.svg")
            figure.savefig(paths[-1], metadata={"Date": None})
    return paths
