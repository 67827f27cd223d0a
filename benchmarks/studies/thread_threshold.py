"""From which size on do two threads pay? ``python -m benchmarks.studies.thread_threshold``

Steps follow one another at once, so waiting threads are still spinning; with ``--pause`` there is
time in between, as there is for a backward pass. What waking costs is what two threads take
beyond half the work of one; the work is what a step takes beyond one of a single element.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

import gradstep as gs
from gradstep import _native

SIZES = (4096, 8192, 16384, 32768, 65536, 131072, 1048576)
# By how many roots and quotients an element takes: none, 2, 3 and 5.
OPTIMIZERS = (gs.SGD, gs.AdamW, gs.Adadelta, gs.FTRL)
ROUNDS = 15


def study(cls: type[gs.Optimizer], size: int, pause: float) -> dict[int, float]:
    """Microseconds per step, with one thread and with two, in turn."""
    opt, grad = cls(np.ones(size, np.float32), lr=0.1), np.ones(size, np.float32)
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for threads, of_one in times.items():
            with gs.runtime.set_num_threads(threads):
                opt.step(grad)
                for _ in range(4 if pause else 40):
                    time.sleep(pause)
                    start = time.perf_counter()
                    opt.step(grad)
                    of_one.append(time.perf_counter() - start)
    return {threads: 1e6 * median(of_one) for threads, of_one in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between steps")
    pause = parser.parse_args().pause
    _native.set_elements_per_thread(1)
    print(f"{'':<8}{'elements':>10}{'1 thread':>12}{'2 threads':>12}{'waking':>12}{'gain':>8}")
    for cls in OPTIMIZERS:
        took = {size: study(cls, size, pause) for size in (1, *SIZES)}
        for size in SIZES:
            one, two = took[size].values()
            waking = two - one + (one - took[1][1]) / 2
            print(
                f"{cls.__name__:<8}{size:>10,}{one:>9.1f} µs{two:>9.1f} µs{waking:>9.1f} µs"
                f"{one / two:>8.2f}"
            )


if __name__ == "__main__":
    main()
