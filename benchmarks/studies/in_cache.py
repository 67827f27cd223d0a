"""How near is a step in cache to what its roots and quotients allow?

``python -m benchmarks.studies.in_cache``

Roots and quotients come from one unit of the core, which nothing else can hide: a step of r roots
and q quotients per element is compared with a loop of those alone, or with one that only moves its
bytes, whichever takes longer. They are timed on the same instruction set, one right after the
other, on one thread; a time per element is the difference of two sizes that fit in a second cache
of 1 MiB, so that the cost of the call cancels. Parameter, gradient and state begin at different
places within their pages, as state is placed beside a parameter anyway: docs/decisions/0005.

Whoever has the other half of a shared core slows a step and not its divider, for minutes. Rounds
are therefore spread over the whole run, and both the median of their ratios and the upper quartile
are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import numpy as np

import gradstep as gs
from gradstep import _native
from gradstep.arrays.memory import FROM_PARAM, PAGE

SMALL, LARGE = 4096, 16384  # elements: enough for state to be placed, few enough for the cache
PARAM, GRAD = 0, 3584  # where they begin within a page
ROUNDS = 101
REPEATS = 50
# Optimizers with their roots and quotients per element, as in csrc/rules.
STEPS: dict[str, tuple[type[gs.Optimizer], int, int]] = {
    "Adagrad": (gs.Adagrad, 1, 1),
    "RMSprop": (gs.RMSprop, 1, 1),
    "Adadelta": (gs.Adadelta, 2, 1),
    "Adam": (gs.Adam, 1, 1),
    "AdamW": (gs.AdamW, 1, 1),
    "Adamax": (gs.Adamax, 0, 1),
    "NAdam": (gs.NAdam, 1, 1),
    "RAdam": (gs.RAdam, 1, 1),
    "AdaBelief": (gs.AdaBelief, 1, 1),
    "ADOPT": (gs.ADOPT, 1, 1),
    "FTRL": (gs.FTRL, 2, 3),
}
Run = Callable[[], object]


def seconds(run: Run) -> float:
    run()
    start = time.perf_counter()
    for _ in range(REPEATS):
        run()
    return (time.perf_counter() - start) / REPEATS


def values(size: int, dtype: str, shift: int) -> np.ndarray[Any, Any]:
    """An array that begins so many bytes behind the beginning of a page."""
    nbytes = size * np.dtype(dtype).itemsize
    memory = np.empty(nbytes + PAGE, np.uint8)
    start = (shift - memory.ctypes.data) % PAGE
    array = memory[start : start + nbytes].view(dtype)
    array[:] = np.linspace(0.5, 1.5, size)
    return array


def divide(size: int, dtype: str, roots: int, quotients: int) -> Run:
    of, by, to = (values(size, dtype, shift) for shift in (GRAD, PARAM, FROM_PARAM[0]))
    return lambda: _native.divide(roots, quotients, of, by, to)


def move(size: int, dtype: str, slots: int) -> Run:
    read, *written = (values(size, dtype, s) for s in (GRAD, PARAM, *FROM_PARAM[:slots]))
    return lambda: _native.stream(read, written, "sgd")


def step(size: int, dtype: str, cls: type[gs.Optimizer]) -> Run:
    opt, grad = cls(values(size, dtype, PARAM), lr=1e-3), values(size, dtype, GRAD)
    return lambda: opt.step(grad)


class Case:
    """Nanoseconds per element: an optimizer's step, its roots and quotients, its bytes."""

    def __init__(self, isa: str, dtype: str, name: str) -> None:
        cls, roots, quotients = STEPS[name]
        slots = len(cls([values(1, dtype, PARAM)], lr=1e-3).state["0"])
        self.isa = isa
        self.runs = {
            "step": [step(size, dtype, cls) for size in (SMALL, LARGE)],
            "divide": [divide(size, dtype, roots, quotients) for size in (SMALL, LARGE)],
            "move": [move(size, dtype, slots) for size in (SMALL, LARGE)],
        }
        self.times: dict[str, list[float]] = {what: [] for what in self.runs}

    def round(self) -> None:
        with gs.runtime.set_isa(self.isa):
            for what, (small, large) in self.runs.items():
                took = seconds(large) - seconds(small)
                self.times[what].append(1e9 * took / (LARGE - SMALL))

    def share(self) -> str:
        """Of the slower loop's time in the step's: the median, and the upper quartile."""
        slower = "divide" if median(self.times["divide"]) > median(self.times["move"]) else "move"
        shares = [a / b for a, b in zip(self.times[slower], self.times["step"], strict=True)]
        return f"{median(shares):.2f} to {quantiles(shares, n=4)[2]:.2f}"


def table(columns: list[tuple[str, str]], cases: dict[tuple[str, str, str], Case]) -> list[str]:
    """Markdown: nanoseconds that a root and a quotient take together, then the optimizers."""
    lines = ["| | " + " | ".join(f"{isa} {dtype}" for isa, dtype in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    both = [f"{median(cases[isa, dtype, 'Adam'].times['divide']):.2f}" for isa, dtype in columns]
    lines.append(f"| root and quotient, ns | {' | '.join(both)} |")
    for name in STEPS:
        shares = [cases[isa, dtype, name].share() for isa, dtype in columns]
        lines.append(f"| {name} | {' | '.join(shares)} |")
    return lines


def main() -> None:
    columns = [
        (isa, dtype) for isa in gs.runtime.available_isas() for dtype in ("float32", "float64")
    ]
    cases = {(isa, dtype, name): Case(isa, dtype, name) for isa, dtype in columns for name in STEPS}
    with gs.runtime.set_num_threads(1):
        for _ in range(ROUNDS):
            for case in cases.values():
                case.round()
    print("\n".join(table(columns, cases)))


if __name__ == "__main__":
    main()
