"""Which cases are measured: a selection, or everything."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import machine
from benchmarks.tensor_sets import TENSOR_SETS
from benchmarks.works import ADAMW, CLIPPED, SGD, WORKS, Work

LARGE = "33.5 M"
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Case:
    """One work on one set of tensors."""

    work: Work
    tensor_set: str
    dtype: str
    threads: int

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.work.name}, {self.tensor_set}, {self.dtype}, {threads}"


def thread_counts() -> tuple[int, ...]:
    """One, and two where the machine has them."""
    return (1, 2)[: machine.cores()]


def default_cases() -> list[Case]:
    """Models, every optimizer where memory decides, and a look at one thread and at float64."""
    most = thread_counts()[-1]
    cases = [Case(work, name, "float32", most) for work in (ADAMW, SGD) for name in TENSOR_SETS]
    cases += [Case(work, LARGE, "float32", most) for work in (CLIPPED, *WORKS.values())]
    for name in ("1000 x 1000", "MNIST MLP", LARGE):
        cases += [Case(ADAMW, name, "float32", 1), Case(ADAMW, name, "float64", most)]
    return list(dict.fromkeys(cases))


def every_case() -> list[Case]:
    """All works, sets, dtypes and numbers of threads."""
    return [
        Case(work, name, dtype, threads)
        for work in (*WORKS.values(), CLIPPED)
        for name in TENSOR_SETS
        for dtype in DTYPES
        for threads in thread_counts()
    ]
