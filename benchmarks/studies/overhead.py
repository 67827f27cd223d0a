"""What a step costs beside its arithmetic: ``python -m benchmarks.studies.overhead``

Tensors of 8 elements on one thread; steps follow one another, and take other gradient arrays than
the step before. A further tensor is the difference of 101 tensors and one; a schedule, that of an
lr which is one and a number.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import gradstep as gs
from gradstep import schedules

ELEMENTS = 8
FURTHER = 100
SETS = 16  # of gradient arrays, in turn
PASSES = 60  # over all sets
ROUNDS = 9
OPTIMIZERS = {"SGD": gs.SGD, "SGD, momentum": gs.SGD, "AdamW": gs.AdamW}
OPTIONS: dict[str, dict[str, Any]] = {"SGD, momentum": {"momentum": 0.9}}
SCHEDULES: dict[str, schedules.Schedule] = {
    "cosine": schedules.cosine_annealing(100_000),
    "warm-up × number": schedules.linear_warmup(100_000) * 1e-3,
    "cosine × number": schedules.cosine_annealing(100_000) * 1e-3,
    "warm-up × cosine × number": schedules.linear_warmup(100_000)
    * schedules.cosine_annealing(100_000)
    * 1e-3,
}
Structure = Callable[[], Any]


def one() -> Any:
    return np.ones(ELEMENTS, np.float32)


def in_list() -> Any:
    return [one() for _ in range(1 + FURTHER)]


def in_dict() -> Any:
    return {f"layer{i}.weight": one() for i in range(1 + FURTHER)}


def microseconds(opt: gs.Optimizer, structure: Structure) -> float:
    """Of one step."""
    sets = [structure() for _ in range(SETS)]
    took = []
    for _ in range(PASSES):
        start = time.perf_counter()
        for grads in sets:
            opt.step(grads)
        took.append(time.perf_counter() - start)
    return 1e6 * median(took) / SETS


def study(name: str) -> dict[str, float]:
    """Microseconds of one tensor, and what is added to it by others and by schedules."""

    def optimizer(structure: Structure, lr: Any = 1e-3) -> gs.Optimizer:
        return OPTIMIZERS[name](structure(), lr=lr, **OPTIONS.get(name, {}))

    def one_tensor(lr: Any = 1e-3) -> float:
        return microseconds(optimizer(one, lr), one)

    def further(structure: Structure) -> float:
        return (microseconds(optimizer(structure), structure) - alone) / FURTHER

    alone = one_tensor()
    found = {"one tensor": alone}
    found["each further in a list"] = further(in_list)
    found["each further in a dict"] = further(in_dict)
    for title, lr in SCHEDULES.items():
        found[f"lr = {title}"] = one_tensor(lr) - alone
    return found


def main() -> None:
    with gs.runtime.set_num_threads(1):
        rounds = [{name: study(name) for name in OPTIMIZERS} for _ in range(ROUNDS)]
    print(f"{'µs per step':<32}" + "".join(f"{name:>15}" for name in OPTIMIZERS))
    for what in rounds[0]["SGD"]:
        cells = [median(found[name][what] for found in rounds) for name in OPTIMIZERS]
        print(f"{what:<32}" + "".join(f"{cell:>15.3f}" for cell in cells))


if __name__ == "__main__":
    main()
