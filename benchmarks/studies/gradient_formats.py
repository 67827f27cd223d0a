"""What does a gradient of another dtype or layout cost?

``python -m benchmarks.studies.gradient_formats``

AdamW steps, interleaved, on gradients in many forms, beside the same step on a gradient that is
stored as its float32 parameter; "converted" is NumPy's conversion of it before such a step. The
median of the rounds' ratios. Large tensors are read from memory, small ones from cache.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

import gradstep as gs

Array = np.ndarray[Any, Any]

SETS: dict[str, list[tuple[int, ...]]] = {
    "100 tensors of 10 × 10": [(10, 10)] * 100,
    "4 of 1,000 × 1,000": [(1000, 1000)] * 4,
    "4,096 × 2,048": [(4096, 2048)],
}
ROUNDS = 15
ROUND_SECONDS = 0.03


def forms() -> dict[str, Callable[[Array], Array]]:
    made: dict[str, Callable[[Array], Array]] = {
        "float32": lambda g: g,
        "float64": lambda g: g.astype(np.float64),
        "float16": lambda g: g.astype(np.float16),
    }
    if find_spec("ml_dtypes"):
        from ml_dtypes import bfloat16

        made["bfloat16"] = lambda g: g.astype(bfloat16)
    if find_spec("torch"):
        import torch

        made["PyTorch's"] = lambda g: torch.from_numpy(g.copy())
    if find_spec("jax"):
        import jax

        made["JAX's"] = lambda g: jax.numpy.asarray(g)
    return made | {
        "every other column": lambda g: np.repeat(g, 2, axis=-1)[..., ::2],
        "backwards": lambda g: g[::-1, ::-1].copy()[::-1, ::-1],
        "transposed": lambda g: g.T.copy().T,
        "transposed float64": lambda g: g.T.astype(np.float64, order="C").T,
        "row broadcast": lambda g: np.broadcast_to(g[:1], g.shape),
    }


def as_float32(grads: list[Array]) -> list[Array]:
    arrays = (g.numpy() if hasattr(g, "numpy") else g for g in grads)
    return [np.ascontiguousarray(g, np.float32) for g in arrays]


def seconds(step: Callable[[], object], count: int) -> float:
    step()
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def study(shapes: list[tuple[int, ...]], options: dict[str, Any]) -> list[str]:
    rng = np.random.default_rng(0)
    plain = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    opt = gs.AdamW([g.copy() for g in plain], lr=1e-3, **options)
    runs: dict[str, Callable[[], object]] = {}
    for name, form in forms().items():
        grads = [form(g) for g in plain]
        runs[name] = lambda grads=grads: opt.step(grads)
        runs[f"{name}, converted"] = lambda grads=grads: opt.step(as_float32(grads))
    count = max(1, int(ROUND_SECONDS / seconds(runs["float32"], 3)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            times[name].append(seconds(run, count))
    lines = ["| gradient | µs | × | converted before, × |", "|---|---|---|---|"]
    for name in forms():
        ratios = [
            median(a / b for a, b in zip(times[which], times["float32"], strict=True))
            for which in (name, f"{name}, converted")
        ]
        lines.append(
            f"| {name} | {1e6 * median(times[name]):,.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--norm", action="store_true", help="with clip_norm, so read twice")
    options: dict[str, Any] = {"clip_norm": 1.0} if parser.parse_args().norm else {}
    for title, shapes in SETS.items():
        print(f"{title}, {gs.runtime.num_threads()} threads, {gs.runtime.isa()}\n")
        print("\n".join(study(shapes, options)), end="\n\n")


if __name__ == "__main__":
    main()
