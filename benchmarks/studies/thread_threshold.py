"""From which size on do two threads pay? ``python -m benchmarks.studies.thread_threshold``

Steps follow one another at once, so waiting threads are still spinning; with ``--pause`` there is
time in between, as there is for a backward pass.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

import gradstep as gs
from gradstep import _native

SIZES = (4096, 8192, 16384, 32768, 65536, 131072, 262144, 1048576)


def microseconds(opt: gs.Optimizer, grad: np.ndarray, pause: float) -> float:
    times = []
    for _ in range(60 if pause else 400):
        time.sleep(pause)
        start = time.perf_counter()
        opt.step(grad)
        times.append(time.perf_counter() - start)
    return 1e6 * median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between steps")
    pause = parser.parse_args().pause
    _native.set_elements_per_thread(1)
    print(f"{'':<8}{'elements':>10}{'1 thread':>12}{'2 threads':>12}{'gain':>8}")
    for cls in (gs.SGD, gs.AdamW):
        for size in SIZES:
            grad = np.ones(size, np.float32)
            opt = cls(np.ones(size, np.float32), lr=0.1)
            row = []
            for threads in (1, 2):
                with gs.runtime.set_num_threads(threads):
                    row.append(microseconds(opt, grad, pause))
            print(
                f"{cls.__name__:<8}{size:>10,}{row[0]:>9.1f} µs{row[1]:>9.1f} µs"
                f"{row[0] / row[1]:>8.2f}"
            )


if __name__ == "__main__":
    main()
