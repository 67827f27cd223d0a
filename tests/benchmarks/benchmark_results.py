"""Benchmark results, made up."""

from __future__ import annotations

from typing import Any


def entry(case: str, ours: float, spread: float = 0.02, **others: float) -> dict[str, Any]:
    """What one benchmark writes down; times in µs, `spread` that of the ratios."""
    times = {"gradstep": ours} | {name.replace("_", " "): t for name, t in others.items()}
    ratio = {name: t / ours for name, t in times.items()}
    optimizer, tensor_set = case.rsplit(", ", 1)
    return {
        "name": f"test_step[{case}]",
        "extra_info": {
            "optimizer": optimizer,
            "tensor_set": tensor_set,
            "dtype": "float32",
            "threads": 2,
            "elements": 1000,
            "tensors": 1,
            "bytes_per_element": 28,
            "bytes_per_parameter": 12.0,
            "working_set": 16_000,
            "resident": "L1",
            "gigabytes_per_second": {name: 28_000 / t / 1e3 for name, t in times.items()},
            "median_us": times,
            "ratio": ratio,
            "ratio_quartiles": {
                name: [r * (1 - spread), r * (1 + spread)] for name, r in ratio.items()
            },
            "left_out": {"thinc": "it is not installed"},
        },
    }


def loop_entry(loop: str, ours: float, spread: float = 0.02, **others: float) -> dict[str, Any]:
    """The same of a loop of NumPy; times in µs, that without an optimizer half of gradstep's."""
    times = {"no optimizer": ours / 2}
    times |= {name.replace("_", " "): t for name, t in others.items()} | {"gradstep": ours}
    ratio = {name: t / ours for name, t in times.items()}
    share = {name: 1 - ours / 2 / t for name, t in times.items() if name != "no optimizer"}
    return {
        "name": f"test_loop[{loop}]",
        "extra_info": {
            "loop": loop,
            "kind": loop.split()[0],
            "unit": "training step",
            "batch": 64,
            "dtype": "float32",
            "peer": "numpy",
            "median_us": times,
            "ratio": ratio,
            "ratio_quartiles": {
                name: [r * (1 - spread), r * (1 + spread)] for name, r in ratio.items()
            },
            "share": share,
            "share_quartiles": {name: [s - spread, s + spread] for name, s in share.items()},
            "left_out": {"gradstep wheel": "auditwheel is not installed"},
        },
    }


def at_once_entry(loop: str, one_blas_thread: bool, **slowdown: float) -> dict[str, Any]:
    return {
        "name": f"test_two_at_once[{loop}]",
        "extra_info": {
            "loop": loop,
            "one_blas_thread": one_blas_thread,
            "unit": "training step",
            "bounds": ["no optimizer"],
            "alone_us": dict.fromkeys(slowdown, 10.0),
            "slowdown": slowdown,
            "slowdown_quartiles": {name: [s - 0.1, s + 0.1] for name, s in slowdown.items()},
            "left_out": {},
        },
    }


def results(*entries: dict[str, Any], cpu: str = "Z80") -> dict[str, Any]:
    own = {
        "cores": 2,
        "isa": "avx2",
        "compiler": "GNU 12",
        "caches": {"L1": 32_768},
        "versions": {"torch": "2.13.0+cpu", "numpy": "2.4.6"},
        "command": "pytest benchmarks",
    }
    info = {"cpu": {"brand_raw": cpu}, "machine": "x86_64", "gradstep": own}
    return {"machine_info": info, "benchmarks": list(entries)}
