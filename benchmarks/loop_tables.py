"""Tables of whole training steps, and of what they are beside a second process."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.loops.loop import MEASURED, NO_OPTIMIZER
from benchmarks.tables import UNEQUAL, Info, cell


def contestants(infos: Iterable[Info], key: str = "median_us") -> list[str]:
    """All that took part, in their order."""
    return list(dict.fromkeys(name for info in infos for name in info[key]))


def share(info: Info, name: str) -> str:
    """The optimizer's share of the loop, in percent."""
    first, third = info["share_quartiles"][name]
    return f"{100 * info['share'][name]:.0f} ± {50 * (third - first):.0f} %"


def before_and_after(info: Info) -> str:
    """The headline: the optimizer's share without gradstep and with it."""
    if not {info["peer"], MEASURED} <= info["share"].keys():
        return ""
    return f"{share(info, info['peer'])} → {share(info, MEASURED)}"


def of_kinds(infos: Iterable[Info]) -> dict[str, list[Info]]:
    kinds: dict[str, list[Info]] = {}
    for info in infos:
        kinds.setdefault(info["kind"], []).append(info)
    return kinds


def loop_tables(infos: list[Info]) -> list[list[str]]:
    """One table for each library that computes gradients."""
    tables = []
    for kind, of_one in of_kinds(infos).items():
        others = [name for name in contestants(of_one) if name != MEASURED]
        title = f"{kind} loops, µs per {of_one[0]['unit']}"
        head = f"| {title} | optimizer's share, {of_one[0]['peer']} → gradstep | gradstep | "
        lines = [head + " | ".join(others) + " |", "|" + "---|" * (len(others) + 3)]
        for info in of_one:
            ours = f"{info['median_us'][MEASURED]:,.1f}"
            cells = [before_and_after(info), ours, *(cell(info, name) for name in others)]
            lines.append(f"| {info['loop'].removeprefix(kind + ' ')} | " + " | ".join(cells) + " |")
        tables.append(lines)
    return tables


def brief_loops(infos: list[Info]) -> list[str]:
    """One table of all: gradstep by default, beside what is written without it."""
    lines = [
        "| whole training steps | optimizer's share before → after | gradstep | without gradstep |",
        "|---|---|---|---|",
    ]
    for info in infos:
        others = [
            f"{name} {cell(info, name)}"
            for name in info["median_us"]
            if name != NO_OPTIMIZER and not name.startswith(MEASURED)
        ]
        label = info["loop"] + ("" if info["unit"] == "training step" else f", per {info['unit']}")
        ours = f"{info['median_us'][MEASURED]:,.1f}"
        lines.append(f"| {label} | {before_and_after(info)} | {ours} | {', '.join(others)} |")
    return lines


def whole_loops(infos: list[Info]) -> list[str]:
    """One table, a row for each loop, with the share that the fastest peer's optimizer has."""
    lines = [
        "| whole training steps, µs | optimizer's share, fastest peer → gradstep | gradstep "
        "| no optimizer | others |",
        "|---|---|---|---|---|",
    ]
    for info in infos:
        ratio = info["ratio"]
        others = sorted((n for n in ratio if n not in (MEASURED, NO_OPTIMIZER)), key=ratio.get)
        shares = [share(info, name) for name in (*others[:1], MEASURED)]
        marked = [f"{n} {cell(info, n)}{UNEQUAL * (n in info['differs'])}" for n in others]
        label = info["loop"] + ("" if info["unit"] == "training step" else f", per {info['unit']}")
        ours = f"{info['median_us'][MEASURED]:,.1f}"
        cells = [label, " → ".join(shares), ours, cell(info, NO_OPTIMIZER), ", ".join(marked)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def slower_loops(infos: Iterable[Info]) -> list[str]:
    """With whom the whole loop is faster than with gradstep at its defaults."""
    lines = [
        f"- {info['loop']}: {name} {cell(info, name)}"
        for info in infos
        for name, ratio in info["ratio"].items()
        if name != NO_OPTIMIZER and ratio < 1
    ]
    if not lines:
        return ["No loop is faster with another optimizer or setting."]
    return ["Loops are slower with gradstep's defaults than with", "", *lines]


def at_once_table(infos: list[Info]) -> list[str]:
    """How many times as slow as alone; the bounds, which no optimizer can change, first."""
    bounds = list(dict.fromkeys(name for info in infos for name in info["bounds"]))
    names = [*bounds, *(name for name in contestants(infos, "slowdown") if name not in bounds)]
    heads = [f"bound: {name}" if name in bounds else name for name in names]
    lines = [
        "| two processes at once, times as slow as one alone | " + " | ".join(heads) + " |",
        "|" + "---|" * (len(names) + 1),
    ]
    for info in infos:
        cells = []
        for name in names:
            if name not in info["slowdown"]:
                cells.append("")
                continue
            first, third = info["slowdown_quartiles"][name]
            cells.append(f"{info['slowdown'][name]:.2f} ± {(third - first) / 2:.2f}")
        label = info["loop"] + (", one BLAS thread" if info["one_blas_thread"] else "")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def of_loops(loops: list[Info], whole: list[Info], at_once: list[Info]) -> list[list[str]]:
    """All tables, and the loops that gradstep loses."""
    tables = loop_tables(loops)
    tables += [whole_loops(whole)] if whole else []
    tables += [slower_loops([*loops, *whole])] if loops or whole else []
    return tables + ([at_once_table(at_once)] if at_once else [])
