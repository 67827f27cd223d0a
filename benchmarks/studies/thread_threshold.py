"""How large are steps that gain by two threads? ``python -m benchmarks.studies.thread_threshold``

What a second thread adds to the time of a round (negative: what it saves) beside the round on one
thread, for steps of rising size with different work between them: nothing, so that threads are
awake; NumPy on one thread, so that the second core has gone to sleep; matrix products, so that
NumPy's BLAS keeps the second core for itself. With ``--defaults`` gradstep decides whether to use
the second thread; without, it always does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np

import gradstep as gs
from gradstep import _native

SIZES = (8192, 16384, 32768, 65536, 98304, 131072, 196608, 262144, 524288, 1048576)
OPTIMIZERS = (gs.SGD, gs.AdamW, gs.FTRL)  # of no root or quotient per element, of 2 and of 5
ROUNDS = 15
ROUND = 0.005  # seconds, about

_values = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
_x, _w = np.ones((64, 256), np.float32), _values[: 256 * 256].reshape(256, 256)


def products() -> None:
    for _ in range(3):
        _x.T @ (_x @ _w)


WORKS: dict[str, tuple[float, Callable[[], object]]] = {  # with their seconds, about
    "nothing": (0.0, lambda: None),
    "one thread": (1e-4, lambda: np.tanh(_values)),
    "products": (5e-4, products),
}


def study(
    cls: type[gs.Optimizer], size: int, work: Callable[[], object], steps: int
) -> list[float]:
    """Microseconds per round with one thread, and how many more with two."""
    opt, grad = cls(np.ones(size, np.float32), lr=1e-3), np.ones(size, np.float32)
    pairs = []
    for _ in range(ROUNDS):
        pair = []
        for threads in (1, 2):
            with gs.runtime.set_num_threads(threads):
                for _ in range(3):
                    work()
                    opt.step(grad)
                start = time.perf_counter()
                for _ in range(steps):
                    work()
                    opt.step(grad)
                pair.append((time.perf_counter() - start) / steps * 1e6)
        pairs.append(pair)
    return [median(one for one, _ in pairs), median(two - one for one, two in pairs)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--defaults", action="store_true", help="gradstep decides")
    if not parser.parse_args().defaults:
        _native.set_least_work(1, 1, 0)
    print(f"{'µs':<8}{'elements':>10}" + "".join(f"{name:>22}" for name in WORKS))
    for cls in OPTIMIZERS:
        for size in SIZES:
            cells = []
            for seconds, work in WORKS.values():
                steps = max(8, int(ROUND / (seconds + 5e-10 * size)))
                one, more = study(cls, size, work, steps)
                cells.append(f"{one:>14.1f} {more:>+7.1f}")
            print(f"{cls.__name__:<8}{size:>10,}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
