"""Whole training steps with optimizers that depend on whole tensors, wrappers and L-BFGS.

pytest benchmarks/test_whole_loops.py -k LAMB --benchmark-json=lamb.json
python -m benchmarks.report lamb.json
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.loops.cases import whole_loops
from benchmarks.loops.loop import Loop
from benchmarks.loops.measure import NothingToMeasure, measure


@pytest.mark.parametrize("loop", whole_loops(), ids=str)
def test_whole_loop(benchmark: Any, loop: Loop, race_options: dict[str, Any]) -> None:
    if race_options["tracked"]:
        pytest.skip("these loops are not tracked")
    try:
        measure(benchmark, loop, **race_options)
    except NothingToMeasure as reason:
        pytest.skip(str(reason))
