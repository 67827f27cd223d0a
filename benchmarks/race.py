"""A race: the contestants' results compared, then their steps timed in turn."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.cases import Case
from benchmarks.contestants import ALL, MEASURED, ROOFLINE, chosen, tracked_of
from benchmarks.contestants.contestant import Contestant, why_missing
from benchmarks.interleave import Run, interleaved, plain_rounds, ratios, rounds_of
from benchmarks.stored import bytes_per_parameter
from benchmarks.tensor_sets import Shapes, elements, make
from benchmarks.works import Work

SECONDS = 5.0  # of timing per heat, and no fewer than three rounds per allocation
CHECKED_STEPS = 8
# Where arrays happen to lie makes a loop over few of them faster or slower; many average it out.
PLACES, FEW_TENSORS = 3, 200


def set_threads(count: int) -> None:
    for contestant in ALL:
        if why_missing(contestant) is None:
            contestant.set_threads(count)


def same_results(work: Work, shapes: Shapes, dtype: str, field: Sequence[Contestant]) -> None:
    """All contestants agree on a few steps of a small stand-in, or the race means nothing.

    Gradients differ from step to step: with equal ones any betas give Adam's step. None is nearly
    zero: there the place of eps decides. What is allowed is a share of the longest way that a
    parameter went, not of the parameter, beside which a step is small; and, unless bits are to be
    equal, that each step rounded the parameter.
    """
    shapes = [tuple(min(n, 100) for n in shape) for shape in shapes[:10]]
    start = make(shapes, 0, dtype)
    results = {}
    for contestant in field:
        if contestant.name == ROOFLINE:
            continue
        grads = make(shapes, 1, dtype)
        racer = contestant.prepare(work, make(shapes, 0, dtype), grads)
        for t in range(CHECKED_STEPS):
            given = [grad + np.copysign(1e-3, grad) for grad in make(shapes, 1 + t, dtype)]
            for grad, new in zip(grads, given, strict=True):
                grad[...] = new
            racer.renew()
            racer.step()
            for grad, new in zip(grads, given, strict=True):
                np.testing.assert_array_equal(grad, new, f"{contestant.name} wrote gradients")
        results[contestant] = racer.params()
    ours = next(params for contestant, params in results.items() if contestant.name == MEASURED)
    way = max(float(abs(p - s).max()) for p, s in zip(ours, start, strict=True))
    for contestant, params in results.items():
        share = contestant.tolerance[dtype]
        rounding = CHECKED_STEPS * float(np.finfo(dtype).eps) if share else 0.0
        for expected, got in zip(ours, params, strict=True):
            np.testing.assert_allclose(
                got,
                expected,
                rtol=rounding,
                atol=share * way,
                err_msg=f"{contestant.name}, {work.name}",
            )


def heats(
    field: Sequence[Contestant], bytes_of_params: int, slots: int, budget: int
) -> list[list[Contestant]]:
    """The field in groups whose arrays fit into `budget` bytes together.

    gradstep and the roofline are in every one, for ratios count within a heat only.
    """

    def needed(contestant: Contestant) -> int:
        return bytes_of_params * (2 + slots + contestant.extra_arrays)

    always = [contestant for contestant in field if contestant.name in (MEASURED, ROOFLINE)]
    room = budget - sum(map(needed, always))
    groups: list[list[Contestant]] = [[]]
    left = room
    for contestant in field:
        if contestant in always:
            continue
        if groups[-1] and needed(contestant) > left:
            groups.append([])
            left = room
        groups[-1].append(contestant)
        left -= needed(contestant)
    return [[*always, *group] for group in groups]


def timings(
    heat: Sequence[Contestant],
    case: Case,
    shapes: Shapes,
    seconds: float,
    rounds: int | None,
    run: Run,
) -> dict[str, list[float]]:
    """Seconds per step of every contestant in every round.

    Few tensors are allocated several times, by another contestant first each time.
    """
    places = PLACES if len(shapes) <= FEW_TENSORS else 1
    times: dict[str, list[float]] = {contestant.name: [] for contestant in heat}
    for place in range(places):
        first = place * len(heat) // places
        racers = {
            contestant.name: contestant.prepare(
                case.work, make(shapes, 0, case.dtype), make(shapes, 1, case.dtype)
            )
            for contestant in (*heat[first:], *heat[:first])
        }
        steps = {name: racer.step for name, racer in racers.items()}
        share = rounds and -(-rounds // places)
        for name, of_one in interleaved(steps, MEASURED, seconds / places, share, run).items():
            times[name] += of_one
        run = plain_rounds
        del racers, steps
        gc.collect()
    return times


def race(
    benchmark: Any,
    case: Case,
    shapes: Shapes,
    *,
    everything: bool = False,
    tracked: bool = False,
    rounds: int | None = None,
    seconds: float = SECONDS,
    names: Sequence[str] | None = None,
    among: Sequence[Contestant] = ALL,
) -> None:
    """Run all heats of a case; everything that a report needs goes into ``extra_info``."""
    work, dtype, threads = case.work, case.dtype, case.threads
    set_threads(threads)
    field, left_out = chosen(work, shapes, dtype, threads, everything, names, among)
    if tracked:
        field = tracked_of(field)
    same_results(work, shapes, dtype, field)
    itemsize, count = np.dtype(dtype).itemsize, elements(shapes)

    medians: dict[str, float] = {}
    spreads: dict[str, list[float]] = {}
    run = rounds_of(benchmark)
    for heat in heats(field, count * itemsize, work.slots, machine.memory_budget()):
        times = timings(heat, case, shapes, seconds, rounds, run)
        medians = {name: median(of_one) for name, of_one in times.items()} | medians
        spreads = ratios(times, over=MEASURED) | spreads
        run = plain_rounds

    sizes, touched = machine.caches(), work.working_set(count, itemsize)
    moved = work.bytes_per_element(itemsize)
    benchmark.extra_info.update(
        optimizer=work.name,
        tensor_set=case.tensor_set,
        dtype=dtype,
        threads=threads,
        elements=count,
        tensors=len(shapes),
        bytes_per_element=moved,
        bytes_per_parameter=bytes_per_parameter(work.cls, work.options, dtype),
        working_set=touched,
        resident=machine.residency(touched, threads, sizes),
        gigabytes_per_second={
            name: count * moved / seconds / 1e9 for name, seconds in medians.items()
        },
        median_us={name: 1e6 * seconds for name, seconds in medians.items()},
        ratio={name: spread[1] for name, spread in spreads.items()},
        ratio_quartiles={name: [spread[0], spread[2]] for name, spread in spreads.items()},
        left_out=left_out,
    )
