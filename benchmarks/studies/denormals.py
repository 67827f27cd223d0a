"""How slow are denormal numbers? ``python -m benchmarks.studies.denormals``

Steps in cache on state that has decayed to denormal numbers, as they are and flushed to zero, over
the same steps on normal numbers. One thread.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np

import gradstep as gs

SIZE = 8192
ROUNDS, REPEATS = 31, 100
ALMOST_ONE = 1.0 - 1e-7
DENORMAL = {"float32": 1e-41, "float64": 1e-310}
STEPS: dict[str, tuple[type[gs.Optimizer], dict[str, Any]]] = {
    "SGD, momentum": (gs.SGD, {"momentum": ALMOST_ONE}),
    "Lion": (gs.Lion, {"betas": (ALMOST_ONE, ALMOST_ONE)}),
    "Adagrad": (gs.Adagrad, {}),
    "RMSprop": (gs.RMSprop, {"alpha": ALMOST_ONE}),
    "Adam": (gs.Adam, {"betas": (ALMOST_ONE, ALMOST_ONE)}),
}


def seconds(opt: gs.Optimizer, state: float, dtype: str) -> float:
    grad = np.zeros(SIZE, dtype)
    opt.step(grad)
    for slot in opt.state["0"].values():
        slot[...] = state
    start = time.perf_counter()
    for _ in range(REPEATS):
        opt.step(grad)
    return (time.perf_counter() - start) / REPEATS


def main() -> None:
    with gs.runtime.set_num_threads(1):
        for isa in gs.runtime.available_isas():
            for dtype, denormal in DENORMAL.items():
                print(f"{isa}, {dtype}: times a step on normal numbers")
                print(f"  {'':<16}{'denormal':>10}{'flushed':>10}")
                with gs.runtime.set_isa(isa):
                    for name in STEPS:
                        study(name, dtype, denormal)


def study(name: str, dtype: str, denormal: float) -> None:
    cls, options = STEPS[name]
    times: list[list[float]] = [[], [], []]
    for _ in range(ROUNDS):
        for of_one, state, flushed in zip(
            times, (1e-3, denormal, denormal), (False, False, True), strict=True
        ):
            with gs.runtime.set_flush_denormals(flushed):
                of_one.append(seconds(cls(np.ones(SIZE, dtype), lr=1e-3, **options), state, dtype))
    normal, kept, flushed_time = map(median, times)
    print(f"  {name:<16}{kept / normal:>10.2f}{flushed_time / normal:>10.2f}")


if __name__ == "__main__":
    main()
