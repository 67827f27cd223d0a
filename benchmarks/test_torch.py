"""Steps of gradstep.torch beside torch.optim's on the same tensors, whose gradients stay.

pytest benchmarks/test_torch.py --benchmark-json=torch.json
python -m benchmarks.report torch.json
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.cases import LARGE, Case, thread_counts
from benchmarks.contestants import MEASURED
from benchmarks.interleave import compared, interleaved, rounds_of
from benchmarks.race import race, set_threads
from benchmarks.torch_front import (
    COUNTS,
    EACH,
    FIELD,
    HALF_ELEMENTS,
    HALVES,
    SETS,
    cases,
    given,
    of,
    overhead,
    same_halves,
    tiny_steps,
)

pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

SECONDS = 15.0  # of timing; all contestants take turns


@pytest.mark.parametrize("case", cases(), ids=str)
def test_torch_step(benchmark: Any, case: Case, race_options: dict[str, Any]) -> None:
    race(benchmark, case, SETS[case.tensor_set], **race_options, among=FIELD)
    benchmark.extra_info["front"] = "torch"


@pytest.mark.parametrize("name", HALVES)
def test_torch_half(benchmark: Any, name: str, race_options: dict[str, Any]) -> None:
    field, threads = HALVES[name], thread_counts()[-1]
    set_threads(threads)
    same_halves(field)
    steps = {who: start(*given(HALF_ELEMENTS)).step for who, start in field.items()}
    times = interleaved(steps, MEASURED, SECONDS, race_options["rounds"], rounds_of(benchmark))
    benchmark.extra_info.update(
        front="torch",
        optimizer=name,
        tensor_set=LARGE,
        dtype="bfloat16",
        threads=threads,
        elements=HALF_ELEMENTS,
        left_out={},
        **compared(times, over=MEASURED),
    )


def test_torch_overhead(benchmark: Any, race_options: dict[str, Any]) -> None:
    threads = thread_counts()[-1]
    set_threads(threads)
    steps = {of(who, n): step for n in COUNTS for who, step in tiny_steps(n).items()}
    measured = of(MEASURED, COUNTS[0])
    times = interleaved(steps, measured, SECONDS, race_options["rounds"], rounds_of(benchmark))
    benchmark.extra_info.update(
        front="torch", counts=COUNTS, elements=EACH, threads=threads, left_out={}, **overhead(times)
    )
