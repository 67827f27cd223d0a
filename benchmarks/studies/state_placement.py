"""Does it matter where state lies? ``python -m benchmarks.studies.state_placement``

A gradient read and three arrays written, as in an AdamW step without its arithmetic, in cache and
in memory. Gradient and parameter begin at the same place within a page, as NumPy's large arrays do;
the two state arrays begin a few bytes and some pages further on.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from gradstep import _native

SIZES = {2**13: 4000, 235_146: 400, 2**25: 1}  # elements, and how often a round repeats the pass
PAGE = 4096
SHIFTS = ((0, 0), (64, 128), (128, 256), (512, 1024), (1024, 2048), (2048, 3072), (3072, 1024))
ROUNDS = 15


def measure(size: int, repeats: int) -> dict[tuple[int, int], float]:
    """Seconds of a pass for every placement of the state arrays."""
    apart = (4 * size // PAGE + 2) * PAGE
    memory = np.ones(4 * apart + 8 * PAGE, np.uint8)

    def at(place: int, shift: int) -> np.ndarray:
        start = -memory.ctypes.data % PAGE + 16 + place * (apart + PAGE) + shift
        return memory[start : start + 4 * size].view(np.float32)

    grad, param = at(0, 0), at(1, 0)
    times: dict[tuple[int, int], list[float]] = {shifts: [] for shifts in SHIFTS}
    for _ in range(ROUNDS):
        for shifts in SHIFTS:
            written = [param, at(2, shifts[0]), at(3, shifts[1])]
            _native.stream(grad, written, "adam")
            start = time.perf_counter()
            for _ in range(repeats):
                _native.stream(grad, written, "adam")
            times[shifts].append((time.perf_counter() - start) / repeats)
    return {shifts: median(of_one) for shifts, of_one in times.items()}


def main() -> None:
    for size, repeats in SIZES.items():
        print(f"{size:,} elements; state from the parameter's place (bytes), µs, relative")
        measured = measure(size, repeats)
        least = min(measured.values())
        for (first, second), took in measured.items():
            print(f"{first:>8} {second:>8} {1e6 * took:>12.1f} {took / least:>8.2f}")


if __name__ == "__main__":
    main()
