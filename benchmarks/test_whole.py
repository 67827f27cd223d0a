"""Steps that depend on whole tensors, wrappers and L-BFGS, beside other libraries' and bounds.

pytest benchmarks/test_whole.py --benchmark-json=whole.json
python -m benchmarks.report whole.json
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import quasi_newton, wrapped
from benchmarks.cases import thread_counts
from benchmarks.contestants import MEASURED
from benchmarks.interleave import interleaved, rounds_of
from benchmarks.race import set_threads
from benchmarks.tensor_sets import elements
from benchmarks.whole import SECONDS, SETS, WholeCase, cases, compete


@pytest.mark.parametrize("case", cases(), ids=str)
def test_whole(benchmark: Any, case: WholeCase, race_options: dict[str, Any]) -> None:
    benchmark.extra_info.update(compete(case, race_options["rounds"], rounds_of(benchmark)))


@pytest.mark.parametrize("tensor_set", ["transformer", "MNIST MLP"])
@pytest.mark.parametrize("kind", wrapped.MOVED)
def test_wrapper(benchmark: Any, kind: str, tensor_set: str, race_options: dict[str, Any]) -> None:
    shapes, threads = SETS[tensor_set], thread_counts()[-1]
    set_threads(threads)
    steps, left_out = wrapped.steps(kind, shapes)
    times = interleaved(steps, MEASURED, SECONDS, race_options["rounds"], rounds_of(benchmark))
    benchmark.extra_info.update(
        front="whole",
        optimizer=kind,
        tensor_set=tensor_set,
        threads=threads,
        elements=elements(shapes),
        bytes_per_element=wrapped.MOVED[kind] / wrapped.EACH[kind],
        left_out=left_out,
        **wrapped.overheads(kind, times),
    )


@pytest.mark.parametrize("count", quasi_newton.SIZES)
def test_lbfgs(benchmark: Any, count: int, race_options: dict[str, Any]) -> None:
    threads = thread_counts()[-1]
    set_threads(threads)
    steps, left_out = quasi_newton.steps(count)
    times = interleaved(steps, MEASURED, SECONDS, race_options["rounds"], rounds_of(benchmark))
    benchmark.extra_info.update(
        front="whole",
        optimizer="LBFGS",
        threads=threads,
        elements=count,
        bytes_per_element=quasi_newton.MOVED,
        left_out=left_out,
        **quasi_newton.beside_closures(times),
    )
