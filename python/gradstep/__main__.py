"""``python -m gradstep``: what is installed, and what it uses here."""

from __future__ import annotations

import platform

import numpy as np

import gradstep
from gradstep import runtime


def large_step() -> str:
    """What large steps really run on: the most threads that one of a few has had."""
    opt, grad = gradstep.AdamW(np.zeros(4_000_000, np.float32)), np.ones(4_000_000, np.float32)
    ran = []
    for _ in range(8):
        opt.step(grad)
        ran.append(runtime.last_step())
    most = max((last for last in ran if last), key=lambda last: last.threads, default=None)
    if most is None:
        return "NumPy"
    return f"{most.isa}, " + (f"{most.threads} threads, {most.pool}" if most.pool else "1 thread")


def main() -> None:
    build = runtime.build_info()
    facts = {
        "gradstep": gradstep.__version__,
        "python": f"{platform.python_version()} ({platform.machine()})",
        "numpy": np.__version__,
        "backend": runtime.backend(),
        "isas": ", ".join(runtime.available_isas()) or "none",
        "isa in use": runtime.isa() or "none",
        "threads": runtime.num_threads(),
        "denormals": "flushed" if runtime.flush_denormals() else "kept",
        "pool": runtime.pool(),
        "openmp": runtime.openmp_library() or "none is loaded",
        "large step": large_step(),
        "compiler": build.get("compiler", "none"),
        "flags": build.get("flags", "none"),
    }
    for name, fact in facts.items():
        print(f"{name:<12}{fact}")


if __name__ == "__main__":
    main()
