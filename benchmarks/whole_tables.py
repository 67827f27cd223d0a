"""Tables of steps that depend on whole tensors, of wrappers and of L-BFGS."""

from __future__ import annotations

from typing import Any

from benchmarks.contestants import MEASURED, ROOFLINE
from benchmarks.tables import UNEQUAL, Info, cell, setting

TESTS = ("test_whole", "test_wrapper", "test_lbfgs")


def whole_tables(infos: list[Info]) -> list[list[str]]:
    """One of each set of tensors, and one of matrices, whose bound is one by products."""
    sets: dict[str, list[Info]] = {}
    for info in infos:
        by_products = info["products"] is not None
        sets.setdefault("matrices" if by_products else info["tensor_set"], []).append(info)
    return [whole_table(name, of_one) for name, of_one in sets.items()]


def whole_table(title: str, infos: list[Info]) -> list[str]:
    found = dict.fromkeys(name for info in infos for name in info["median_us"])
    names = [name for name in found if name not in (MEASURED, ROOFLINE) and "AdamW" not in name]
    names += [ROOFLINE, *(name for name in found if "AdamW" in name)]
    one_set = title != "matrices"
    if one_set:
        title += f", {infos[0]['elements']:,} elements, {infos[0]['tensors']} tensors"
    title = f"{title}, {setting('float32', infos[0]['threads'])}, µs per step"
    needs = "bytes per element" if one_set else "GFLOP"
    heads = [title, needs, MEASURED, *("bound" if n == ROOFLINE else n for n in names)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for info in infos:
        label = info["optimizer"] if one_set else f"{info['optimizer']}, {info['tensor_set']}"
        need = str(info["bytes_per_element"]) if one_set else f"{info['products'] / 1e9:.3g}"
        cells = [label, need, f"{info['median_us'][MEASURED]:,.1f}"]
        for name in names:
            unequal = name in info["differs"] and "AdamW" not in name
            cells.append(cell(info, name) + (UNEQUAL if unequal else ""))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def wrapper_table(infos: list[Info]) -> list[str]:
    """µs more than the optimizer within takes, and how many times what its bytes take, and what
    those of them that are read take."""
    names = dict.fromkeys(name for info in infos for name in info["units"])
    title = setting("more than AdamW's µs per step", infos[0]["threads"])
    lines = [
        f"| {title} | bytes per element | bound | {' | '.join(names)} |",
        "|" + "---|" * (3 + len(names)),
    ]
    for info in infos:
        cells = [f"{info['optimizer']}, {info['tensor_set']}", f"{info['bytes_per_element']:.4g}"]
        cells.append(f"{info['median_us']['bound']:,.1f}")
        cells += [overhead(info, name) for name in names]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def overhead(info: Info, name: str) -> str:
    if name not in info["units"]:
        return ""
    units = ", ".join(
        f"{middle:.2f} ± {(third - first) / 2:.2f}"
        for first, middle, third in (info["units"][name], info["units_read"][name])
    )
    return f"{info['median_us'][name]:,.1f} ({units})"


def lbfgs_table(infos: list[Info]) -> list[str]:
    """µs per iteration beside the closure."""
    found = dict.fromkeys(name for info in infos for name in info["median_us"])
    names = [name for name in found if name not in (MEASURED, ROOFLINE)] + [ROOFLINE]
    title = setting("L-BFGS, parameters, µs per iteration beside closures", infos[0]["threads"])
    heads = [title, "bytes per element", MEASURED, *names[:-1], "bound"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for info in infos:
        cells = [f"{info['elements']:,}", str(info["bytes_per_element"])]
        cells += [f"{info['median_us'][MEASURED]:,.1f}", *(cell(info, name) for name in names)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def of_whole_tensors(tests: dict[str, list[Info]]) -> list[list[str]]:
    """All tables, and in what peers differ."""
    whole, wrappers, lbfgs = (tests.get(name, []) for name in TESTS)
    tables: list[list[str]] = whole_tables(whole)
    differing = {
        f"{info['optimizer']}, {name}: {how}": None
        for info in whole
        for name, how in info["differs"].items()
        if "AdamW" not in name
    }
    if whole:
        text = "The bound is what memory takes for the bytes, or the machine for matrix products."
        tables.append([text])
    if differing:
        lines = [f"- {line}" for line in differing]
        tables.append([f"Other arithmetic than gradstep's ({UNEQUAL.strip()}):", "", *lines])
    if wrappers:
        note = (
            "In brackets how many times what the wrapper's own bytes take, and what those take "
            "that it reads, as AdamW's are read; ± as above."
        )
        tables += [wrapper_table(wrappers), [note]]
    return [*tables, lbfgs_table(lbfgs)] if lbfgs else tables


def written(rows: list[Any]) -> list[list[str]]:
    """The same of pytest-benchmark's rows."""
    tests: dict[str, list[Info]] = {}
    for row in rows:
        tests.setdefault(row.name.split("[")[0], []).append(row.extra_info)
    return of_whole_tensors(tests)
