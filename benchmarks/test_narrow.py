"""Steps on bfloat16 and on state in few bits, beside float32's and beside other libraries'.

pytest benchmarks/test_narrow.py --benchmark-json=narrow.json
python -m benchmarks.report narrow.json
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import gradstep as gs
from benchmarks.cases import LARGE, thread_counts
from benchmarks.interleave import compared, interleaved, rounds_of
from benchmarks.narrow import FIELDS, MEASURED
from benchmarks.tensor_sets import TENSOR_SETS, elements

SECONDS = 40.0  # of timing; all contestants take turns


# In the second level of caches no step waits for memory: what its arithmetic takes is left.
SIZES = {"in memory": elements(TENSOR_SETS[LARGE]), "in cache": 65_536}


@pytest.mark.parametrize("place", SIZES)
@pytest.mark.parametrize("optimizer", FIELDS)
def test_narrow(benchmark: Any, optimizer: str, place: str, race_options: dict[str, Any]) -> None:
    pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed: pip install '.[bench]'")
    field, size = FIELDS[optimizer], SIZES[place]
    threads = thread_counts()[-1] if place == "in memory" else 1
    gs.runtime.set_num_threads(threads)
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(threads)
    racing, left_out = {}, {}
    for name, entry in field.items():
        try:
            racing[name] = entry.start(size)
        except (ImportError, RuntimeError) as error:
            left_out[name] = str(error).splitlines()[0]
    steps = {name: stepping.step for name, stepping in racing.items()}
    times = interleaved(steps, MEASURED, SECONDS, race_options["rounds"], rounds_of(benchmark))
    benchmark.extra_info.update(
        optimizer=optimizer,
        elements=size,
        threads=threads,
        isa=gs.runtime.isa(),
        bytes_moved={name: field[name].bytes_moved for name in racing},
        bytes_per_parameter={name: s.bytes_held / size for name, s in racing.items()},
        left_out=left_out,
        **compared(times, over=MEASURED),
    )
