"""Steps of gradstep.thinc beside Thinc's own, and whole training steps of Thinc and spaCy.

pytest benchmarks/test_thinc.py --benchmark-json=thinc.json
python -m benchmarks.report thinc.json
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.contestants import MEASURED
from benchmarks.interleave import compared, interleaved, rounds_of
from benchmarks.loops.measure import shares
from benchmarks.thinc_front import (
    LOOPS,
    MODELS,
    NOTHING,
    OPTIONS,
    THINC,
    copies_alone,
    step_alone,
)

pytest.importorskip("thinc", reason="thinc is not installed: pip install '.[thinc]'")

SECONDS = 8.0  # of timing; all take turns
CHECKED_STEPS = 5


@pytest.mark.parametrize("size", MODELS)
@pytest.mark.parametrize("work", OPTIONS)
def test_thinc_step(benchmark: Any, work: str, size: str, race_options: dict[str, Any]) -> None:
    steps = {who: step_alone(who, work, size) for who in (THINC, MEASURED)}
    copies = "copies"
    steps[copies] = copies_alone(size)
    times = interleaved(steps, MEASURED, SECONDS, race_options["rounds"], rounds_of(benchmark))
    bare = times.pop(copies)
    without = {
        who: [whole - copying for whole, copying in zip(of_one, bare, strict=True)]
        for who, of_one in times.items()
    }
    benchmark.extra_info.update(
        front="thinc", work=f"{work}, {size}", left_out={}, **compared(without, over=MEASURED)
    )


@pytest.mark.parametrize("loop", LOOPS)
def test_thinc_loop(benchmark: Any, loop: str, race_options: dict[str, Any]) -> None:
    if loop.startswith("spaCy"):
        pytest.importorskip("spacy", reason="spacy is not installed: pip install '.[spacy]'")
    steps = {who: LOOPS[loop](who) for who in (THINC, MEASURED, NOTHING)}
    losses = {who: [step() for _ in range(CHECKED_STEPS)] for who, step in steps.items()}
    assert losses[MEASURED] == pytest.approx(losses[THINC], rel=1e-3)
    times = interleaved(steps, MEASURED, SECONDS, race_options["rounds"], rounds_of(benchmark))
    benchmark.extra_info.update(
        front="thinc",
        work=f"training step, {loop}",
        left_out={},
        share_of_loop={who: three[1] for who, three in shares(times).items()},
        **compared(times, over=MEASURED),
    )
