"""What reports, pictures and summaries have in common: contestants in order, numbers as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.contestants import MEASURED, PEERS, ROOFLINE

BRIEFLY = ("torch fused", "optax", "deepspeed", "numba", "numpy")  # the fastest of each library
UNEQUAL = " ≠"  # behind times of peers whose arithmetic is another one
Info = dict[str, Any]  # the extra_info of one benchmark


def by_names(found: Iterable[str], order: Sequence[str]) -> list[str]:
    """Those of `order` that were found, in its order."""
    there = set(found)
    return [name for name in order if name in there]


def peers(rows: Iterable[Info]) -> list[str]:
    """Whom gradstep is compared with."""
    return by_names((name for info in rows for name in info["median_us"]), PEERS)


def cell(info: Info, name: str) -> str:
    """µs, how many times gradstep's, and half the range of the middle half of all rounds."""
    if name not in info["median_us"]:
        return ""
    first, third = info["ratio_quartiles"][name]
    spread = (third - first) / 2
    return f"{info['median_us'][name]:,.1f} ({info['ratio'][name]:.2f} ± {spread:.2f})"


def table(title: str, rows: list[tuple[str, Info]], among: Sequence[str] = PEERS) -> list[str]:
    """Medians per step; last the share of the roofline that gradstep reaches."""
    names = by_names(peers(info for _, info in rows), among)
    lines = [
        f"| {title} | held by | bytes per parameter | gradstep | "
        + "".join(f"{name} | " for name in names)
    ]
    lines[0] += "of the roofline |"
    lines.append("|" + "---|" * (len(names) + 5))
    for label, info in rows:
        share = ""
        if ROOFLINE in info["ratio"]:
            first, third = info["ratio_quartiles"][ROOFLINE]
            share = f"{info['ratio'][ROOFLINE]:.2f} ± {(third - first) / 2:.2f}"
        cells = [f"{info['median_us'][MEASURED]:,.1f}", *(cell(info, name) for name in names)]
        cells = [label, info["resident"], f"{info['bytes_per_parameter']:.4g}", *cells, share]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def narrow_table(info: Info) -> list[str]:
    """Of steps on few bits: what is held and moved, medians, and times float32's speed."""
    threads = setting(f"{info['elements']:,} elements, {info['isa']}", info["threads"])
    lines = [
        f"| {info['optimizer']}, {threads} | bytes per parameter | bytes moved | ms "
        "| times as fast |",
        "|---|---|---|---|---|",
    ]
    for name, took in info["median_us"].items():
        first, third = (1 / ratio for ratio in info["ratio_quartiles"][name][::-1])
        lines.append(
            f"| {name} | {info['bytes_per_parameter'][name]:.4g} | {info['bytes_moved'][name]:.4g} "
            f"| {took / 1e3:.4g} | {1 / info['ratio'][name]:.2f} ± {(third - first) / 2:.2f} |"
        )
    return lines


def torch_table(infos: list[Info]) -> list[str]:
    """Of steps on PyTorch's tensors: medians in µs, gradstep's first."""
    names = dict.fromkeys(name for info in infos for name in info["median_us"] if name != MEASURED)
    title = setting("on PyTorch's tensors, µs per step", infos[0]["threads"])
    lines = [f"| {title} | gradstep | {' | '.join(names)} |", "|" + "---|" * (len(names) + 2)]
    for info in infos:
        cells = [f"{info['median_us'][MEASURED]:,.1f}", *(cell(info, name) for name in names)]
        lines.append(f"| {info['optimizer']}, {info['tensor_set']} | " + " | ".join(cells) + " |")
    return lines


def overhead_table(info: Info) -> list[str]:
    """What a call costs and what each tensor adds, and the steps that this was fitted to."""
    counts = [f"{count:,}" for count in info["counts"]]
    threads = setting(f"tensors of {info['elements']} elements", info["threads"])
    lines = [
        f"| AdamW, {threads}, µs | per call | per tensor | {' | '.join(counts)} |",
        "|" + "---|" * (len(counts) + 3),
    ]
    for name, took in info["median_us"].items():
        cells = []
        for first, middle, third in (info["call_us"][name], info["tensor_us"][name]):
            cells.append(f"{middle:.3f} ± {(third - first) / 2:.3f}")
        cells += [f"{each:,.2f}" for each in took]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def setting(dtype: str, threads: int) -> str:
    return f"{dtype}, {threads} thread{'s' if threads > 1 else ''}"
