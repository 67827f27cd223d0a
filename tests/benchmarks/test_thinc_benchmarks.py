"""What the benchmarks of Thinc run, in small, and what is reported of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks import thinc_front
from benchmarks.report import report

from tests.benchmarks.benchmark_results import results


def test_models_have_seven_tensors_of_the_size_that_they_are_named_by() -> None:
    pytest.importorskip("thinc", reason="thinc is not installed: pip install '.[thinc]'")
    for size in thinc_front.MODELS:
        arrays = thinc_front.tensors(thinc_front.network(size))
        assert len(arrays) == 7
        assert f"{sum(array.size for array in arrays) / 1000:.0f} k" == size


def test_loops_train_alike_and_the_one_without_an_optimizer_does_not() -> None:
    pytest.importorskip("thinc", reason="thinc is not installed: pip install '.[thinc]'")
    losses = {
        who: [step() for step in [thinc_front.thinc_step(who, "17 k")] for _ in range(40)]
        for who in (thinc_front.THINC, thinc_front.MEASURED, thinc_front.NOTHING)
    }
    assert losses[thinc_front.MEASURED] == pytest.approx(losses[thinc_front.THINC], rel=1e-3)
    untrained = losses[thinc_front.NOTHING]
    assert np.allclose(untrained, untrained[0])
    assert losses[thinc_front.MEASURED][-1] < untrained[-1] - 0.01


def test_the_report_has_a_table_of_steps_and_loops() -> None:
    of_both: dict[str, Any] = {"front": "thinc", "left_out": {}}
    of_both |= {
        "median_us": {"thinc": 50.0, "gradstep": 10.0},
        "ratio": {"thinc": 5.0, "gradstep": 1.0},
        "ratio_quartiles": {"thinc": [4.5, 5.5], "gradstep": [1.0, 1.0]},
    }
    share = {"share_of_loop": {"thinc": 0.5, "gradstep": 0.1}}
    text = report(
        results(
            {"name": "test_thinc_step[…]", "extra_info": {**of_both, "work": "Adam, 17 k"}},
            {"name": "test_thinc_loop[…]", "extra_info": {**of_both, **share, "work": "a loop"}},
        )
    )
    assert "| Adam, 17 k | 10.0 | 50.0 (5.00 ± 0.50) |  |" in text
    assert "| a loop | 10.0 | 50.0 (5.00 ± 0.50) | 50% → 10% |" in text
