"""Benchmarks: gradstep beside its peers and the memory roofline, interleaved in one run.

pip install ".[bench]" && pytest benchmarks
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from typing import Any

import pytest

# PyTorch has an OpenMP library of its own, but takes the system's if that is there already. Numba's
# start allows nested parallel regions in the system's, and then PyTorch's roots would use them.
with contextlib.suppress(Exception):  # why it does not import is said where it is left out
    import torch  # noqa: F401

import gradstep as gs
from benchmarks import machine
from benchmarks.contestants import NAMES, available
from benchmarks.interleave import STEP_CLOCK
from benchmarks.tables import by_names, narrow_table, overhead_table, torch_table
from benchmarks.thinc_front import thinc_table
from benchmarks.whole_tables import written


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gradstep's benchmarks")
    group.addoption(
        "--everything",
        action="store_true",
        help="all optimizers × tensor sets × dtypes × threads: hours, not minutes",
    )
    group.addoption(
        "--tracked",
        action="store_true",
        help="only what benchmarks.regress compares: gradstep, the roofline and the pinned peer",
    )
    group.addoption(
        "--wheel",
        action="store_true",
        help="loops with gradstep from a wheel that auditwheel repaired, too: a build first",
    )
    group.addoption("--rounds", type=int, help="so many rounds of every case, at the least")


@pytest.fixture
def race_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the command line says about a race."""
    option = request.config.getoption
    return {name: option(f"--{name}") for name in ("everything", "tracked", "rounds")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "race_options" in getattr(item, "fixturenames", ()):
            # Peers and what they import warn of their own concerns.
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.benchmark(timer=STEP_CLOCK))


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Any) -> None:
    command = shlex.join(["pytest", *sys.argv[1:]])
    machine_info["gradstep"] = {**machine.facts(), "command": command}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = getattr(config, "_benchmarksession", None)
    rows = session.benchmarks if session else []
    on_tensors = [row for row in rows if row.extra_info.get("front") == "torch"]
    write_comparison(
        terminalreporter,
        [row for row in rows if "resident" in row.extra_info and row not in on_tensors],
    )
    write_on_tensors(terminalreporter, [row.extra_info for row in on_tensors])
    write_on_thinc(
        terminalreporter,
        [row.extra_info for row in rows if row.extra_info.get("front") == "thinc"],
    )
    write_loops(terminalreporter, [row for row in rows if "share" in row.extra_info])
    write_two_at_once(terminalreporter, [row for row in rows if "slowdown" in row.extra_info])
    write_costs(terminalreporter, [row for row in rows if "off_and_on_us" in row.extra_info])
    for lines in written([row for row in rows if row.extra_info.get("front") == "whole"]):
        terminalreporter.write_line("")
        for line in lines:
            terminalreporter.write_line(line)
    for row in rows:
        if "bytes_moved" in row.extra_info:
            terminalreporter.section(row.name)
            for line in narrow_table(row.extra_info):
                terminalreporter.write_line(line)
            for name, reason in row.extra_info["left_out"].items():
                terminalreporter.write_line(f"without {name}: {reason}")


def write_comparison(terminalreporter: Any, rows: list[Any]) -> None:
    if not rows:
        return
    write = terminalreporter.write_line
    for name, reason in available().items():
        if reason:
            write(f"without {name}: {reason}")
    terminalreporter.section("medians in µs per step, and how many times gradstep's")
    for row in rows:
        info = row.extra_info
        write(f"{row.name} ({info['resident'] or 'caches unknown'})")
        for name in by_names(info["median_us"], NAMES):
            first, third = info["ratio_quartiles"][name]
            write(
                f"    {name:<20}{info['median_us'][name]:>14,.1f}{info['ratio'][name]:>10.2f}"
                f"   [{first:.2f}, {third:.2f}]"
            )


def write_on_tensors(terminalreporter: Any, infos: list[Any]) -> None:
    steps = [info for info in infos if "ratio" in info]
    tables = [torch_table(steps)] if steps else []
    tables += [overhead_table(info) for info in infos if "call_us" in info]
    for lines in tables:
        terminalreporter.section("steps on PyTorch's tensors")
        for line in lines:
            terminalreporter.write_line(line)


def write_on_thinc(terminalreporter: Any, infos: list[Any]) -> None:
    if not infos:
        return
    terminalreporter.section("medians in µs, and how many times gradstep's")
    for line in thinc_table(infos):
        terminalreporter.write_line(line)


def write_loops(terminalreporter: Any, rows: list[Any]) -> None:
    if not rows:
        return
    write = terminalreporter.write_line
    terminalreporter.section(
        "medians in µs of whole training steps, how many times gradstep's, the optimizer's share"
    )
    for row in rows:
        info = row.extra_info
        write(f"{row.name}, µs per {info['unit']}")
        for name in info["median_us"]:
            first, third = info["ratio_quartiles"][name]
            share = f"{info['share'][name]:>8.0%}" if name in info["share"] else ""
            write(
                f"    {name:<40}{info['median_us'][name]:>14,.1f}{info['ratio'][name]:>10.2f}"
                f"   [{first:.2f}, {third:.2f}]{share}"
            )
        for name, reason in info["left_out"].items():
            write(f"    without {name}: {reason}")


def write_two_at_once(terminalreporter: Any, rows: list[Any]) -> None:
    if not rows:
        return
    terminalreporter.section("two processes at once: how many times as slow as one alone")
    for row in rows:
        terminalreporter.write_line(row.name)
        for name, slowdown in row.extra_info["slowdown"].items():
            first, third = row.extra_info["slowdown_quartiles"][name]
            label = f"bound: {name}" if name in row.extra_info["bounds"] else name
            terminalreporter.write_line(
                f"    {label:<40}{slowdown:>8.2f}   [{first:.2f}, {third:.2f}]"
            )


def write_costs(terminalreporter: Any, rows: list[Any]) -> None:
    if not rows:
        return
    terminalreporter.section(
        "µs per step without an option and with it, and how many times as long and as many bytes; "
        f"{gs.runtime.num_threads()} threads"
    )
    columns = ("off", "on", "time", "bytes")
    terminalreporter.write_line(f"{'':<40}" + "".join(f"{name:>12}" for name in columns))
    for row in rows:
        info = row.extra_info
        times = "".join(f"{info['off_and_on_us'][name]:>12,.1f}" for name in ("off", "on"))
        terminalreporter.write_line(
            f"{row.name:<40}{times}{info['time_ratio']:>12.2f}{info['bytes_ratio']:>12.2f}"
        )
