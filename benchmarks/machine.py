"""The machine that is measured on: its caches, its memory, and what is installed."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import gradstep as gs

CPUS = Path("/sys/devices/system/cpu")
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
PACKAGES = (
    "numpy",
    "ml_dtypes",
    "scikit-learn",
    "torch",
    "torchao",
    "bitsandbytes",
    "pytorch-optimizer",
    "torch-optimi",
    "prodigyopt",
    "schedulefree",
    "optax",
    "jax",
    "deepspeed",
    "thinc",
    "numba",
    "stable-baselines3",
)


def size(text: str) -> int:
    """Bytes in what the kernel prints, like ``1024K``."""
    text = text.strip()
    return int(text[:-1]) * UNITS[text[-1]] if text[-1] in UNITS else int(text)


def caches() -> dict[str, int]:
    """Bytes of this machine's data caches, ``{"L1": …, "L2": …, "L3": …}``, as one core sees them.

    Empty where Linux does not tell.
    """
    found = {}
    for index in sorted(CPUS.glob("cpu0/cache/index*")):
        if (index / "type").read_text().strip() != "Instruction":
            found[f"L{(index / 'level').read_text().strip()}"] = size((index / "size").read_text())
    return found


def residency(bytes_touched: int, threads: int, sizes: Mapping[str, int]) -> str:
    """The level that holds what a step touches: "L1", "L2", "L3" or "memory"; "" if unknown.

    L1 and L2 are each core's own, so that threads share the work out among theirs.
    """
    for level, bytes_held in sorted(sizes.items()):
        if bytes_touched <= bytes_held * (threads if level in ("L1", "L2") else 1):
            return level
    return "memory" if sizes else ""


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_budget(share: float = 0.6) -> int:
    """Bytes that contestants may fill at one time."""
    try:
        return int(share * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError):
        return 8 * 2**30


def versions() -> dict[str, str]:
    """Of Python and of all contestants that are installed."""
    found = {"python": platform.python_version(), "gradstep": gs.__version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def facts() -> dict[str, Any]:
    """What a reader of the results must know of the machine."""
    return {
        "backend": gs.runtime.backend(),
        "isa": gs.runtime.isa(),
        "compiler": gs.runtime.build_info().get("compiler"),
        "cores": cores(),
        "caches": caches(),
        "versions": versions(),
        "platform": platform.platform(),
    }


def name(machine_info: Mapping[str, Any]) -> str:
    """What results of this machine are filed under, from what pytest-benchmark writes down."""
    own = machine_info["gradstep"]
    cpu = machine_info["cpu"].get("brand_raw") or machine_info["machine"]
    return f"{cpu}, {own['cores']} cores, {own['isa']}"


def description(machine_info: Mapping[str, Any]) -> str:
    """The same in full, for people."""
    own = machine_info["gradstep"]
    held = ", ".join(f"{level} {n // 1024:,} KiB" for level, n in own["caches"].items())
    installed = ", ".join(f"{package} {version}" for package, version in own["versions"].items())
    return f"{name(machine_info)}; {held or 'caches unknown'}; {own['compiler']}; {installed}"
