"""Does it matter where state lies? ``python -m benchmarks.studies.state_placement``

Four arrays of 33.5 M float32, a gradient read and three written, as in an AdamW step without its
arithmetic. Gradient and parameter lie as NumPy allocates them one after the other; the two state
arrays are moved on from there by a few bytes.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from gradstep import _native

SIZE = 2**25
BYTES = 4 * SIZE
APART = BYTES + 4096  # what malloc puts between two arrays of this size
KIB = 1024
SHIFTS = ((0, 0), (0, 128 * KIB), (64, 128), (KIB, 2 * KIB), (5 * KIB, 10 * KIB), (64 * KIB,) * 2)


def main() -> None:
    memory = np.ones(4 * BYTES + 2**22, np.uint8)

    def at(offset: int) -> np.ndarray:
        start = -memory.ctypes.data % 4096 + 16 + offset
        return memory[start : start + BYTES].view(np.float32)

    grad, param = at(0), at(APART)
    times: dict[tuple[int, int], list[float]] = {shift: [] for shift in SHIFTS}
    for _ in range(15):
        for first, second in SHIFTS:
            written = [param, at(2 * APART + first), at(3 * APART + second)]
            start = time.perf_counter()
            _native.stream(grad, written)
            times[first, second].append(time.perf_counter() - start)
    print("state moved by (bytes)      ms    relative")
    least = min(median(of_one) for of_one in times.values())
    for (first, second), of_one in times.items():
        took = median(of_one)
        print(f"{first:>9} {second:>9} {1e3 * took:>10.2f} {took / least:>10.2f}")


if __name__ == "__main__":
    main()
