"""Timing contestants in turn, so that a machine's moods strike all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any

Step = Callable[[], object]
Round = Callable[[], object]
# Repeats the others and then the measured one, which gives its seconds per step, so many times.
Run = Callable[[Callable[[], float], Round, int], None]

ROUND_SECONDS = 0.02
SETTLE_SECONDS = 0.01  # until the last contestant's waiting threads have stopped spinning
BLAS_SETTLES = 0.1  # OpenBLAS' do so for longer
FEWEST_ROUNDS, MOST_ROUNDS = 3, 25


def warm_up(step: Step) -> float:
    """Seconds that a step takes once it has been warmed up."""
    step()
    took = []
    for _ in range(2):
        start = time.perf_counter()
        step()
        took.append(time.perf_counter() - start)
    return max(min(took), 1e-7)


def steps_per_round(seconds: float) -> int:
    """How many steps of so many seconds fill a round."""
    return max(1, int(ROUND_SECONDS / seconds))


def rounds_within(seconds: float, each: Sequence[float], settling: float = SETTLE_SECONDS) -> int:
    """How many rounds fit into `seconds`, given what a step of every contestant takes."""
    of_one_round = sum(settling + (1 + steps_per_round(took)) * took for took in each)
    return min(MOST_ROUNDS, max(FEWEST_ROUNDS, int(seconds / of_one_round)))


def timed(step: Step, count: int, settling: float = SETTLE_SECONDS) -> float:
    """Seconds per step over `count` steps, after the last contestant's threads went to sleep and
    this one's woke up."""
    time.sleep(settling)
    step()
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count


class StepClock:
    """pytest-benchmark's timer. In every round it goes on by the seconds of one measured step, so
    that what pytest-benchmark shows, stores and compares is steps, not rounds."""

    __name__ = "seconds of a step"

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


STEP_CLOCK = StepClock()


def rounds_of(benchmark: Any) -> Run:
    """Rounds that pytest-benchmark counts and times, too."""

    def run(ours: Callable[[], float], others: Round, rounds: int) -> None:
        def measured() -> None:
            STEP_CLOCK.now += ours()

        benchmark.pedantic(measured, setup=others, rounds=rounds, iterations=1)

    return run


def plain_rounds(ours: Callable[[], float], others: Round, rounds: int) -> None:
    for _ in range(rounds):
        others()
        ours()


def interleaved(
    steps: Mapping[str, Step],
    measured: str,
    seconds: float,
    rounds: int | None = None,
    run: Run = plain_rounds,
    settling: float = SETTLE_SECONDS,
) -> dict[str, list[float]]:
    """Seconds per step of every contestant in every round.

    `run` repeats the others and then the measured one: as many `rounds` as given, or as fit into
    `seconds`.
    """
    took = {name: warm_up(step) for name, step in steps.items()}
    counts = {name: steps_per_round(of_one) for name, of_one in took.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}

    def others() -> None:
        for name, step in steps.items():
            if name != measured:
                times[name].append(timed(step, counts[name], settling))

    def ours() -> float:
        times[measured].append(timed(steps[measured], counts[measured], settling))
        return times[measured][-1]

    run(ours, others, rounds or rounds_within(seconds, list(took.values()), settling))
    return times


def spread(values: Sequence[float]) -> list[float]:
    """First quartile, median and third quartile."""
    first, _, third = (
        quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    )
    return [first, median(values), third]


def compared(times: Mapping[str, list[float]], over: str) -> dict[str, Any]:
    """Medians in µs, and how many times as long as `over` each takes, as reports have them."""
    found = ratios(times, over)
    return {
        "median_us": {name: 1e6 * median(of_one) for name, of_one in times.items()},
        "ratio": {name: three[1] for name, three in found.items()},
        "ratio_quartiles": {name: [three[0], three[2]] for name, three in found.items()},
    }


def ratios(times: Mapping[str, list[float]], over: str) -> dict[str, list[float]]:
    """How many times as long as `over` each contestant takes: first quartile, median and third
    quartile of the rounds' ratios."""
    return {
        name: spread([a / b for a, b in zip(of_one, times[over], strict=True)])
        for name, of_one in times.items()
    }
