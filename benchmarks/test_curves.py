"""AdamW over the size of one tensor, and over the number of tensors."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.cases import Case, thread_counts
from benchmarks.race import race
from benchmarks.works import ADAMW

SIZES = [2**power for power in range(10, 27)]
COUNTS = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000]
ELEMENTS = 1000  # of each tensor, where there are many
# Those that need no compilation for every number of tensors, and the ones that it takes to compare.
OVER_SIZES = ("gradstep", "torch fused", "optax", "deepspeed", "numba", "numpy", "roofline")
OVER_COUNTS = (
    "gradstep",
    "torch fused",
    "torch foreach",
    "deepspeed",
    "thinc",
    "numba",
    "numpy",
    "roofline",
)
SECONDS = 1.5


def over(axis: str) -> Case:
    return Case(ADAMW, axis, "float32", thread_counts()[-1])


@pytest.mark.parametrize("size", SIZES)
def test_over_sizes(benchmark: Any, size: int, race_options: dict[str, Any]) -> None:
    race(benchmark, over("sizes"), [(size,)], **race_options, seconds=SECONDS, names=OVER_SIZES)


@pytest.mark.parametrize("count", COUNTS)
def test_over_tensor_counts(benchmark: Any, count: int, race_options: dict[str, Any]) -> None:
    race(
        benchmark,
        over("tensor counts"),
        [(ELEMENTS,)] * count,
        **race_options,
        seconds=SECONDS,
        names=OVER_COUNTS,
    )
