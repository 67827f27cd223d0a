"""The contestants of a loop in turn, each in its process; and two processes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.interleave import Run, compared, plain_rounds, ratios, rounds_of, spread
from benchmarks.loops.cases import KINDS
from benchmarks.loops.loop import MEASURED, NO_OPTIMIZER, Loop
from benchmarks.loops.ours import WHEEL
from benchmarks.loops.processes import ONE_BLAS_THREAD, Process

ROUNDS, STARTS = 9, 3  # rounds in all; every process is started anew so many times
SECONDS = 0.3  # of a turn
AT_ONCE_ROUNDS = 5

Times = Mapping[str, list[float]]


class NothingToMeasure(Exception):
    """gradstep cannot take part."""


@contextmanager
def started(
    loop: Loop, names: Sequence[str], wheel: Path | None
) -> Iterator[tuple[dict[str, Process], dict[str, str]]]:
    """The contestants that can take part, and why the others cannot."""
    with ExitStack() as stack:
        processes, left_out = {}, {}
        for name in names:
            process = stack.enter_context(Process(loop, name, wheel))
            if process.left_out is None:
                processes[name] = process
            else:
                left_out[name] = process.left_out
        if MEASURED not in processes:
            raise NothingToMeasure(left_out[MEASURED])
        yield processes, left_out


def same_losses(loop: Loop, losses: Mapping[str, float | None]) -> None:
    """All contestants that have an optimizer train alike, or the race means nothing."""
    kind, expected = KINDS[loop.kind], losses[MEASURED]
    assert expected is not None
    allowed = kind.tolerance[loop.dtype] * abs(expected)
    differ = [
        f"{name} has a loss of {loss!r}"
        for name, loss in losses.items()
        if name not in (NO_OPTIMIZER, *kind.differs)
        and not (loss is not None and abs(loss - expected) <= allowed)
    ]
    assert not differ, (
        f"{loop}, after {kind.checked} times a {kind.unit}: {', '.join(differ)}; "
        f"expected {MEASURED}'s {expected!r} ± {allowed:.1g}"
    )


def in_turn(
    turns: Mapping[str, Callable[[], float]], rounds: int, run: Run = plain_rounds
) -> Times:
    """Seconds per step of every contestant in every round."""
    times: dict[str, list[float]] = {name: [] for name in turns}

    def others() -> None:
        for name, take in turns.items():
            if name != MEASURED:
                times[name].append(take())

    def ours() -> float:
        times[MEASURED].append(turns[MEASURED]())
        return times[MEASURED][-1]

    run(ours, others, rounds)
    return times


def shares(times: Times) -> dict[str, list[float]]:
    """The optimizer's share of the loop, by contestant: what it takes beside the loop without
    one; first quartile, median and third quartile of the rounds."""
    without = times.get(NO_OPTIMIZER)
    if not without:
        return {}
    return {
        name: spread([1 - bare / whole for bare, whole in zip(without, of_one, strict=True)])
        for name, of_one in times.items()
        if name != NO_OPTIMIZER
    }


def facts(loop: Loop, times: Times) -> dict[str, Any]:
    """What a report needs, but for who was left out."""
    kind = KINDS[loop.kind]
    part = shares(times)
    return {
        "loop": str(loop),
        "kind": loop.kind,
        "unit": kind.unit,
        "batch": loop.batch,
        "dtype": loop.dtype,
        "peer": kind.peer,
        "differs": dict(kind.differs),
        **compared(times, over=MEASURED),
        "share": {name: three[1] for name, three in part.items()},
        "share_quartiles": {name: [three[0], three[2]] for name, three in part.items()},
    }


def measure(
    benchmark: Any,
    loop: Loop,
    *,
    everything: bool = False,
    tracked: bool = False,
    rounds: int | None = None,
    wheel: Path | str | None = None,
    seconds: float = SECONDS,
) -> None:
    """All contestants of a loop; everything that a report needs goes into ``extra_info``.

    `wheel` is the folder that one was installed into, or why it could not be.
    """
    folder = wheel if isinstance(wheel, Path) else None
    no_wheel = {f"{MEASURED}{WHEEL}": wheel} if isinstance(wheel, str) else {}
    names = KINDS[loop.kind].contestants(
        everything=everything, tracked=tracked, wheel=folder is not None
    )
    starts = min(STARTS, rounds or ROUNDS)
    each = -(-(rounds or ROUNDS) // starts)
    times: dict[str, list[float]] = {}
    run = rounds_of(benchmark)
    for start in range(starts):
        first = start * len(names) // starts
        with started(loop, [*names[first:], *names[:first]], folder) as (processes, left_out):
            same_losses(loop, {name: process.loss for name, process in processes.items()})
            turns = {
                name: lambda process=process: process.turn(seconds)
                for name, process in processes.items()
            }
            for name, of_one in in_turn(turns, each, run).items():
                times.setdefault(name, []).extend(of_one)
        run = plain_rounds
    ordered = {name: times[name] for name in names if name in times}
    benchmark.extra_info.update(facts(loop, ordered), left_out={**no_wheel, **left_out})


def together(pair: Sequence[Process], seconds: float) -> float:
    """Seconds per step of the slower of two that run at the same time."""
    for process in pair:
        process.begin(seconds)
    return max(process.seconds_per_step() for process in pair)


def two_processes(
    benchmark: Any,
    loop: Loop,
    one_blas_thread: bool,
    *,
    rounds: int | None = None,
    seconds: float = SECONDS,
) -> None:
    """How many times as slow a loop is beside another process that runs the same one.

    By default BLAS takes all cores in both, and that alone can cost more than any optimizer: the
    bounds say how much. Told to keep to one thread it leaves what the optimizer costs.
    """
    kind = KINDS[loop.kind]
    names = [MEASURED, *(n for n in kind.ours if n != MEASURED), kind.peer, *kind.bounds]
    added = ONE_BLAS_THREAD if one_blas_thread else {}
    run = rounds_of(benchmark)
    alone, slowdown, left_out = {}, {}, {}
    for name in names:
        with Process(loop, name, added=added) as first, Process(loop, name, added=added) as second:
            if first.left_out is not None:
                if name == MEASURED:
                    raise NothingToMeasure(first.left_out)
                left_out[name] = first.left_out
                continue
            turns = {
                MEASURED: lambda first=first: first.turn(seconds),
                "together": lambda pair=(first, second): together(pair, seconds),
            }
            times = in_turn(turns, rounds or AT_ONCE_ROUNDS, run)
            run = plain_rounds
        alone[name] = 1e6 * median(times[MEASURED])
        slowdown[name] = ratios(times, over=MEASURED)["together"]
    benchmark.extra_info.update(
        loop=str(loop),
        one_blas_thread=one_blas_thread,
        unit=kind.unit,
        bounds=list(kind.bounds),
        alone_us=alone,
        slowdown={name: three[1] for name, three in slowdown.items()},
        slowdown_quartiles={name: [three[0], three[2]] for name, three in slowdown.items()},
        left_out=left_out,
    )
