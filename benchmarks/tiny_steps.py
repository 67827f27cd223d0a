"""Steps of tiny models, for callgrind to count: each in a process of its own, forked from this.

Prints ``pid steps case``. See :mod:`benchmarks.instructions`.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import gradstep as gs

FEW, MANY = 50, 250  # steps; by the fewer everything has been met once
ELEMENTS = 8  # of each tensor

Structure = Callable[[], Any]


def one() -> Any:
    return np.ones(ELEMENTS, np.float32)


def many_in_list() -> Any:
    return [one() for _ in range(100)]


def many_in_dict() -> Any:
    return {f"layer{i}.weight": one() for i in range(100)}


STRUCTURES: dict[str, Structure] = {
    "1 tensor": one,
    "100 tensors in a list": many_in_list,
    "100 tensors in a dict": many_in_dict,
}


def cases() -> dict[str, Callable[[], Callable[[], object]]]:
    """By name, what builds an optimizer and returns its step."""
    made = {}
    for cls, options in ((gs.SGD, {"momentum": 0.9}), (gs.AdamW, {})):
        for title, structure in STRUCTURES.items():
            made[f"{cls.__name__}, {title}"] = builder(cls, structure, lr=1e-3, **options)
        schedule = gs.schedules.cosine_annealing(10_000) * 1e-3
        made[f"{cls.__name__}, 1 tensor, lr schedule"] = builder(cls, one, lr=schedule, **options)
    return made


def builder(
    cls: type[gs.Optimizer], structure: Structure, **options: Any
) -> Callable[[], Callable[[], object]]:
    def build() -> Callable[[], object]:
        opt, grads = cls(structure(), **options), structure()
        return lambda: opt.step(grads)

    return build


def run(build: Callable[[], Callable[[], object]], steps: int) -> None:
    step = build()
    for _ in range(steps):
        step()


def main() -> None:
    gc.disable()  # when it strikes depends on all that was allocated before
    for case, build in cases().items():
        for steps in (FEW, MANY):
            pid = os.fork()
            if pid == 0:
                run(build, steps)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            if status:
                raise SystemExit(f"{case}: a process failed with status {status}")
            print(pid, steps, case)


if __name__ == "__main__":
    main()
