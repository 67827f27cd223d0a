"""Results read back from what a report printed: pictures drawn anew, nothing measured.

python -m benchmarks.printed docs/report.md --pictures docs/pictures
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contestants import MEASURED, ROOFLINE
from benchmarks.tables import Info
from benchmarks.works import ADAMW

CELL = re.compile(r"([\d,.]+)(?: \(([\d.]+) ± ([\d.]+)\))?")
OF_ROOFLINE = re.compile(r"([\d.]+) ± ([\d.]+)")


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Heads and rows of all tables."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        yield lines[0], lines[2:]


def times(head: list[str], row: list[str]) -> Info:
    """Medians, ratios and their quartiles, as far as they were printed."""
    cells = {name: CELL.fullmatch(cell) for name, cell in zip(head[1:], row[1:], strict=True)}
    found = {name: cell for name, cell in cells.items() if cell and (cell[2] or name == MEASURED)}
    ratio = {name: float(cell[2] or 1) for name, cell in found.items()}
    spread = {name: float(cell[3] or 0) for name, cell in found.items()}
    if share := OF_ROOFLINE.fullmatch(dict(zip(head, row, strict=True)).get("of the roofline", "")):
        ratio[ROOFLINE], spread[ROOFLINE] = float(share[1]), float(share[2])
    return {
        "median_us": {name: float(cell[1].replace(",", "")) for name, cell in found.items()},
        "ratio": ratio,
        "ratio_quartiles": {
            name: [r - spread[name], r + spread[name]] for name, r in ratio.items()
        },
    }


def step(head: list[str], row: list[str], dtype: str, threads: int) -> Info:
    optimizer, tensor_set = row[0].rsplit(", ", 1)
    setting = {"dtype": dtype, "threads": threads, "resident": row[head.index("held by")]}
    return {"optimizer": optimizer, "tensor_set": tensor_set, **setting, **times(head, row)}


def point(head: list[str], row: list[str], each: int, threads: int) -> Info:
    """Of a curve of AdamW in float32: `each` elements per tensor, 0 where there is one tensor."""
    count = int(row[0].replace(",", ""))
    info = step(head, [f"AdamW, {row[0]}", *row[1:]], "float32", threads)
    info |= {"elements": count * each or count, "tensors": count if each else 1}
    ours = info["elements"] * ADAMW.bytes_per_element() / info["median_us"][MEASURED] / 1e3
    speeds = {name: ours / ratio for name, ratio in info["ratio"].items()}
    return {**info, "gigabytes_per_second": speeds}


def loop(head: list[str], row: list[str], kind: str) -> Info:
    peer = head[1].removeprefix("optimizer's share, ").partition(" → ")[0]
    return {"loop": f"{kind} {row[0]}", "peer": peer, **times(head, row)}


def read(text: str) -> dict[str, list[Info]]:
    """What a report's tables hold, by test; of a loop that it has twice, what stands last."""
    found: dict[str, list[Info]] = {}
    loops: dict[str, Info] = {}
    most = max(map(int, re.findall(r"\| models, float32, (\d+) thread", text)), default=1)
    for head, rows in tables(text):
        if models := re.fullmatch(r"models, (\w+), (\d+) threads?", head[0]):
            infos = [step(head, row, models[1], int(models[2])) for row in rows]
            found.setdefault("test_step", []).extend(infos)
        elif head[0] == "AdamW, float32, elements of one tensor":
            found["test_over_sizes"] = [point(head, row, 0, most) for row in rows]
        elif counts := re.fullmatch(r"AdamW, float32, tensors of ([\d,]+) elements", head[0]):
            each = int(counts[1].replace(",", ""))
            found["test_over_tensor_counts"] = [point(head, row, each, most) for row in rows]
        elif kind := re.fullmatch(r"(.+) loops, µs per .+", head[0]):
            for row in rows:
                info = loop(head, row, kind[1])
                loops[info["loop"]] = info
    return found | ({"test_loop": list(loops.values())} if loops else {})


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the tables in a report.")
    parser.add_argument("report", type=Path, help="what python -m benchmarks.report wrote")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", required=True)
    options = parser.parse_args()
    from benchmarks.pictures import draw

    tests = read(options.report.read_text("utf-8"))
    note = f"numbers, and the machine that they are from: {options.report.as_posix()}"
    for path in draw(tests, note, options.pictures):
        print(path)


if __name__ == "__main__":
    main()
