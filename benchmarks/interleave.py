"""Timing contestants in turn, so that a machine's moods strike all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

Step = Callable[[], object]

ROUND_SECONDS = 0.02
SETTLE_SECONDS = 0.01  # until the last contestant's waiting threads have stopped spinning


def steps_per_round(step: Step, seconds: float = ROUND_SECONDS) -> int:
    """How many steps fill a round; run after warming up."""
    for _ in range(3):
        step()
    start = time.perf_counter()
    step()
    return max(1, int(seconds / max(time.perf_counter() - start, 1e-7)))


def timed(step: Step, count: int) -> float:
    """Seconds per step over `count` steps, after the last contestant's threads went to sleep and
    this one's woke up."""
    time.sleep(SETTLE_SECONDS)
    step()
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


def interleaved(
    benchmark: Any, steps: Mapping[str, Step], measured: str, rounds: int
) -> dict[str, list[float]]:
    """Seconds per step of every contestant in every round.

    pytest-benchmark times `measured`; the others run in its set-up, once before each round.
    """
    counts = {name: steps_per_round(step) for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}

    def others() -> None:
        for name, step in steps.items():
            if name != measured:
                times[name].append(timed(step, counts[name]))

    def ours() -> None:
        times[measured].append(timed(steps[measured], counts[measured]))

    benchmark.pedantic(ours, setup=others, rounds=rounds, iterations=1)
    return times


def ratios(times: Mapping[str, list[float]], over: str) -> dict[str, float]:
    """How many times as long as `over` each contestant takes: medians of the rounds' ratios."""
    return {
        name: median(a / b for a, b in zip(of_one, times[over], strict=True))
        for name, of_one in times.items()
    }
