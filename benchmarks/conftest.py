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
    rows = [b for b in session.benchmarks if "median_us" in b.extra_info] if session else []
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
