"""``python -m gradstep``: what is installed, and what it uses here."""

from __future__ import annotations

import platform

import numpy as np

import gradstep
from gradstep import runtime


def pool() -> str:
    """Whose threads steps run on, and what that means here."""
    library = runtime.openmp_library() or "none is loaded"
    return {
        "auto": f"auto: parking; for PyTorch's memory openmp ({library})",
        "parking": "parking",
        "openmp": f"openmp ({library})",
    }[runtime.pool()]


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
        "pool": pool(),
        "compiler": build.get("compiler", "none"),
        "flags": build.get("flags", "none"),
    }
    for name, fact in facts.items():
        print(f"{name:<12}{fact}")


if __name__ == "__main__":
    main()
