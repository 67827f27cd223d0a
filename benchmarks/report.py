"""Results as Markdown, and as pictures:

pytest benchmarks --benchmark-json=results.json
python -m benchmarks.report results.json --pictures docs/pictures
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.contestants import MEASURED, ROOFLINE
from benchmarks.loop_tables import brief_loops, of_loops
from benchmarks.tables import (
    BRIEFLY,
    Info,
    cell,
    narrow_table,
    overhead_table,
    setting,
    table,
    torch_table,
)
from benchmarks.thinc_front import thinc_table
from benchmarks.whole_tables import TESTS, of_whole_tensors

MODELS = ("AdamW", "SGD, momentum", "clip_norm + AdamW")  # measured on more than one set of tensors
Group = tuple[str, str, int]  # tensor set, dtype, threads


def step_tables(infos: list[Info]) -> list[list[str]]:
    """One table of models for each dtype and number of threads, and one of all optimizers for each
    set of tensors that others than the models' were measured on."""
    models: dict[tuple[str, int], list[tuple[str, Info]]] = {}
    optimizers: dict[Group, list[tuple[str, Info]]] = {}
    for info in infos:
        name, dtype, threads = info["optimizer"], info["dtype"], info["threads"]
        if name in MODELS:
            label = f"{name}, {info['tensor_set']}"
            models.setdefault((dtype, threads), []).append((label, info))
        label = f"{name}, {info['bytes_per_element']} bytes"
        optimizers.setdefault((info["tensor_set"], dtype, threads), []).append((label, info))
    tables = [
        table(f"models, {setting(dtype, threads)}", rows)
        for (dtype, threads), rows in models.items()
    ]
    for (tensor_set, dtype, threads), rows in optimizers.items():
        if any(info["optimizer"] not in MODELS for _, info in rows):
            title = f"{tensor_set}, {setting(dtype, threads)}; bytes moved per element"
            tables.append(table(title, rows))
    return tables


def curve_tables(sizes: list[Info], counts: list[Info]) -> list[list[str]]:
    tables = []
    if sizes:
        rows = [(f"{info['elements']:,}", info) for info in sizes]
        tables.append(table("AdamW, float32, elements of one tensor", rows))
    if counts:
        rows = [(f"{info['tensors']:,}", info) for info in counts]
        each = counts[0]["elements"] // counts[0]["tensors"]
        tables.append(table(f"AdamW, float32, tensors of {each:,} elements", rows))
    return tables


def by_test(results: dict[str, Any]) -> dict[str, list[Info]]:
    """What was measured, by the function that did it."""
    found: dict[str, list[Info]] = {}
    for entry in results["benchmarks"]:
        if entry["extra_info"].keys() & {"median_us", "slowdown"}:
            found.setdefault(entry["name"].split("[")[0], []).append(entry["extra_info"])
    return found


def brief_table(infos: list[Info]) -> list[str]:
    """Models in float32, on the most threads, beside the fastest of each library."""
    found = [i for i in infos if i["optimizer"] in MODELS and i["dtype"] == "float32"]
    if not found:
        return ["No model was measured in float32."]
    most = max(info["threads"] for info in found)
    rows = [(f"{i['optimizer']}, {i['tensor_set']}", i) for i in found if i["threads"] == most]
    return table(f"models, {setting('float32', most)}", rows, BRIEFLY)


def slower(infos: Iterable[Info]) -> list[str]:
    """Whom gradstep loses to."""
    lines = [
        f"- {info['optimizer']}{' on tensors' if 'front' in info else ''}, {info['tensor_set']}, "
        f"{info['elements']:,} elements, "
        f"{setting(info['dtype'], info['threads'])}: {name} {cell(info, name)}"
        for info in infos
        for name, ratio in info["ratio"].items()
        if name not in (MEASURED, ROOFLINE) and ratio < 1
    ]
    return ["gradstep is slower than", "", *lines] if lines else ["gradstep is slower than nobody."]


def merged(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Several runs on one machine as one; of a case that was run again the last counts.

    ValueError where machines or versions differ.
    """
    first = runs[0]["machine_info"]
    for run in runs[1:]:
        if machine.description(run["machine_info"]) != machine.description(first):
            raise ValueError(
                f"expected runs on one machine with the same versions, got "
                f"{machine.description(first)} and {machine.description(run['machine_info'])}"
            )
    commands = dict.fromkeys(run["machine_info"]["gradstep"]["command"] for run in runs)
    gradstep = {**first["gradstep"], "command": "; ".join(commands)}
    cases = {entry["name"]: entry for run in runs for entry in run["benchmarks"]}
    return {
        **runs[-1],
        "machine_info": {**first, "gradstep": gradstep},
        "benchmarks": list(cases.values()),
    }


def made_by(results: dict[str, Any]) -> str:
    """The command, and the commit where there is one."""
    command = results["machine_info"]["gradstep"]["command"]
    commit = results.get("commit_info", {})
    at = f", commit {commit['id'][:7]}" if commit.get("id") else ""
    changed = " with changes" if commit.get("dirty") else ""
    return f"Made by `{command}`{at}{changed}."


def report(results: dict[str, Any], *, brief: bool = False) -> str:
    """All tables, or two, under a description of machine, versions and command."""
    tests = by_test(results)
    parts = [
        machine.description(results["machine_info"]),
        made_by(results),
        "Medians of interleaved rounds in µs per step; in brackets how many times gradstep's, ± "
        "half the range of the middle half of all rounds. `1000 x 1000` is a thousand tensors of a "
        "thousand elements, `tiny MLP` 2-64-64-1; single tensors are named by their elements. "
        "Bytes per parameter are those of it and its state, counted in the arrays.",
    ]
    loops, on_whole, at_once = (
        tests.pop(name, []) for name in ("test_loop", "test_whole_loop", "test_two_at_once")
    )
    narrow = tests.pop("test_narrow", [])
    on_tensors = tests.pop("test_torch_step", []) + tests.pop("test_torch_half", [])
    overheads = tests.pop("test_torch_overhead", [])
    on_thinc = tests.pop("test_thinc_step", []) + tests.pop("test_thinc_loop", [])
    whole = {name: tests.pop(name, []) for name in TESTS}
    if brief:
        tables = [brief_loops(loops)] if loops else []
        tables += [brief_table(tests["test_step"])] if "test_step" in tests else []
        return "\n\n".join([*parts, *("\n".join(lines) for lines in tables)])
    tables = of_loops(loops, on_whole, at_once)
    step_results = step_tables(tests.get("test_step", []))
    step_results += curve_tables(
        tests.get("test_over_sizes", []), tests.get("test_over_tensor_counts", [])
    )
    step_results += [torch_table(on_tensors)] if on_tensors else []
    if step_results:
        step_results.append(slower(chain(*tests.values(), on_tensors)))
    tables += step_results
    tables += [overhead_table(info) for info in overheads]
    tables += [narrow_table(info) for info in narrow]
    tables += of_whole_tensors(whole)
    tables += [thinc_table(on_thinc)] if on_thinc else []
    left_out = {
        f"{name}: {reason}": None
        for infos in (
            loops,
            on_whole,
            at_once,
            narrow,
            on_tensors,
            *whole.values(),
            *tests.values(),
        )
        for info in infos
        for name, reason in info["left_out"].items()
    }
    if left_out:
        tables.append(["Left out:", "", *(f"- {line}" for line in left_out)])
    return "\n\n".join([*parts, *("\n".join(lines) for lines in tables)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark results as Markdown and pictures.")
    parser.add_argument("results", type=Path, nargs="+", help="what --benchmark-json wrote")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write SVG files there")
    parser.add_argument("--brief", action="store_true", help="one table of loops, one of models")
    parser.add_argument("--output", type=Path, metavar="FILE", help="instead of the screen")
    options = parser.parse_args()
    try:
        results = merged([json.loads(path.read_text("utf-8")) for path in options.results])
    except ValueError as error:
        parser.error(str(error))
    if options.brief and not by_test(results).keys() & {"test_step", "test_loop"}:
        parser.error(f"{options.results[0]} has no results of test_step.py or test_loops.py")
    text = report(results, brief=options.brief)
    if options.pictures:
        try:
            from benchmarks.pictures import draw
        except ImportError as error:
            parser.error(f"--pictures: {error}; pip install '.[bench]'")
        beside = options.output.parent if options.output else Path()
        where = machine.name(results["machine_info"])
        for path in draw(by_test(results), where, options.pictures):
            text += f"\n\n![{path.stem}]({Path(os.path.relpath(path, beside)).as_posix()})"
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        found = by_test(results).keys()
        steps = "test_step" in found or not found & {"test_loop", "test_whole_loop"}
        title = "How fast a step is" if steps else "How fast training loops are"
        options.output.write_text(f"# {title}\n\n{text}\n", "utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
