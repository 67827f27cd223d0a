"""How near is a step in cache to what its divisions allow?

``python -m benchmarks.studies.in_cache``

Roots and quotients come from one unit of the core, which nothing else can hide: a step of r roots
and q quotients per element cannot take less than r·root + q·quotient. Both are measured on the same
instruction set. A step's time per element is the difference of two sizes that fit in cache, so
that the cost of the call cancels. One thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import gradstep as gs
from gradstep import _native

SMALL, LARGE = 2048, 8192  # elements
ROUNDS = 41
REPEATS = 200
# Optimizers with their roots and quotients per element, as in csrc/rules.
STEPS: dict[str, tuple[type[gs.Optimizer], dict[str, Any], int, int]] = {
    "SGD, momentum": (gs.SGD, {"momentum": 0.9}, 0, 0),
    "Adagrad": (gs.Adagrad, {}, 1, 1),
    "RMSprop": (gs.RMSprop, {}, 1, 1),
    "Adadelta": (gs.Adadelta, {}, 2, 1),
    "Adam": (gs.Adam, {}, 1, 1),
    "AdamW": (gs.AdamW, {}, 1, 1),
    "Adamax": (gs.Adamax, {}, 0, 1),
    "NAdam": (gs.NAdam, {}, 1, 1),
    "AdaBelief": (gs.AdaBelief, {}, 1, 1),
    "ADOPT": (gs.ADOPT, {}, 1, 1),
    "FTRL": (gs.FTRL, {}, 2, 3),
}


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(REPEATS):
        run()
    return (time.perf_counter() - start) / REPEATS


def per_element(make: Callable[[int], Callable[[], object]]) -> float:
    """Nanoseconds; `make` gives what to run on so many elements."""
    small, large = make(SMALL), make(LARGE)
    rounds = [seconds(large) - seconds(small) for _ in range(ROUNDS)]
    return 1e9 * median(rounds) / (LARGE - SMALL)


def main() -> None:
    with gs.runtime.set_num_threads(1):
        for isa in gs.runtime.available_isas():
            for dtype in ("float32", "float64"):
                with gs.runtime.set_isa(isa):
                    study(isa, dtype)


def study(isa: str, dtype: str) -> None:
    def values(size: int) -> np.ndarray:
        return np.linspace(0.5, 1.5, size).astype(dtype)

    def root(size: int) -> Callable[[], object]:
        x, y = values(size), values(size)
        return lambda: _native.roots(x, y)

    def quotient(size: int) -> Callable[[], object]:
        x, d, y = values(size), values(size), values(size)
        return lambda: _native.quotients(x, d, y)

    of_root, of_quotient = per_element(root), per_element(quotient)
    print(f"{isa}, {dtype}: root {of_root:.3f} ns, quotient {of_quotient:.3f} ns per element")
    for name, (cls, options, roots, quotients) in STEPS.items():

        def step(
            size: int, cls: type[gs.Optimizer] = cls, options: dict[str, Any] = options
        ) -> Callable[[], object]:
            opt, grad = cls(values(size), lr=1e-3, **options), values(size)
            return lambda: opt.step(grad)

        took = per_element(step)
        bound = roots * of_root + quotients * of_quotient
        share = f"{bound / took:>8.2f}" if bound else f"{'-':>8}"
        print(f"  {name:<16}{took:>8.3f} ns, at least {bound:.3f}{share}")


if __name__ == "__main__":
    main()
