from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest

import gradstep as gs

COLUMNS = ("gradstep", "torch fused", "torch foreach", "torch for-loop", "numpy", "roofline")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Any) -> None:
    machine_info["gradstep"] = {
        "version": gs.__version__,
        "backend": gs.runtime.backend(),
        "isa": gs.runtime.isa(),
        "threads": gs.runtime.num_threads(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = getattr(config, "_benchmarksession", None)
    rows = session.benchmarks if session else []
    write_comparison(terminalreporter, [row for row in rows if "median_us" in row.extra_info])
    write_costs(terminalreporter, [row for row in rows if "off_and_on_us" in row.extra_info])


def write_comparison(terminalreporter: Any, rows: list[Any]) -> None:
    if not rows:
        return
    write = terminalreporter.write_line
    terminalreporter.section(
        f"medians in µs per step, and how many times gradstep's; {gs.runtime.num_threads()} threads"
    )
    write(f"{'':<40}{'bytes':>6}" + "".join(f"{name:>19}" for name in COLUMNS))
    for row in rows:
        info = row.extra_info
        cells = []
        for name in COLUMNS:
            if name in info["median_us"]:
                cells.append(f"{info['median_us'][name]:,.1f} {info['ratio'][name]:>7.2f}")
            else:
                cells.append("-")
        start = f"{row.name:<40}{info['bytes_per_element']:>6}"
        write(start + "".join(f"{cell:>19}" for cell in cells))


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
