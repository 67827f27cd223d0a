"""What the benchmarks of PyTorch's tensors run, in small, and what is reported of them."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks import torch_front
from benchmarks.cases import Case
from benchmarks.race import same_results
from benchmarks.report import report
from benchmarks.tensor_sets import elements

from tests.benchmarks.benchmark_results import entry, results

torch = pytest.importorskip("torch", reason="torch is not installed")

# The same work.


@pytest.mark.parametrize("case", torch_front.cases(), ids=str)
def test_all_do_the_same_work(case: Case) -> None:
    field = [c for c in torch_front.FIELD if c.offers(case.work)]
    same_results(case.work, torch_front.SETS[case.tensor_set][:2], case.dtype, field)


@pytest.mark.parametrize("name", torch_front.HALVES)
def test_those_with_bfloat16_go_the_same_way(name: str) -> None:
    torch_front.same_halves(torch_front.HALVES[name])


@pytest.mark.parametrize("name", torch_front.HALVES)
@pytest.mark.parametrize(
    ("option", "value"), [("lr", 0.9e-3), ("betas", (0.8, 0.999)), ("eps", 0.01)]
)
def test_another_way_with_bfloat16_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, option: str, value: Any
) -> None:
    class Another(torch.optim.AdamW):
        def __init__(self, params: Any, **options: Any) -> None:
            super().__init__(params, **{**options, option: value})

    monkeypatch.setattr(torch.optim, "AdamW", Another)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        torch_front.same_halves(torch_front.HALVES[name])


def test_the_set_of_reinforcement_learning() -> None:
    shapes = torch_front.SETS["actor and critic"]
    assert (len(shapes), elements(shapes)) == (12, 9155)


# What a step costs beside its arithmetic.


def test_steps_of_tiny_tensors_have_their_gradients() -> None:
    steps = torch_front.tiny_steps(3)
    for step in steps.values():
        step()
    assert len(steps["p.grad of all, read in Python"]()) == 3  # type: ignore[arg-type]


def seconds(call: float, each: float) -> list[float]:
    return [call + count * each for count in torch_front.COUNTS]


def test_a_call_and_a_tensor_are_told_apart() -> None:
    assert torch_front.call_and_tensor(seconds(2e-6, 3e-8)) == pytest.approx((2e-6, 3e-8))


def test_both_are_fitted_within_rounds() -> None:
    rounds = [seconds(2e-6 * mood, 3e-8 * mood) for mood in (1, 2, 1, 1, 1)]
    times = {
        torch_front.of("gradstep", count): [of_one[i] for of_one in rounds]
        for i, count in enumerate(torch_front.COUNTS)
    }
    found = torch_front.overhead(times)
    assert found["call_us"]["gradstep"] == pytest.approx([2.0, 2.0, 2.0])
    assert found["tensor_us"]["gradstep"] == pytest.approx([0.03, 0.03, 0.03])
    assert found["median_us"]["gradstep"] == pytest.approx([2.03, 2.3, 5.0, 32.0])


# The report.


def on_tensors(function: str, case: str, ours: float, **others: float) -> dict[str, Any]:
    made = entry(case, ours, **others)
    info = {
        **made["extra_info"],
        "front": "torch",
        "left_out": {"torch fused": "it is not made up"},
    }
    return {"name": f"{function}[{case}]", "extra_info": info}


def test_the_report_has_one_table_of_all_steps_on_tensors() -> None:
    tiny = on_tensors("test_torch_step", "AdamW, tiny MLP", 10.0, torch_fused=60.0)
    half = on_tensors("test_torch_half", "AdamW, all bfloat16, 33.5 M", 20.0, torch_default=19.0)
    text = report(results(half, tiny, entry("AdamW, tiny MLP", 10.0, roofline=5.0)))
    assert (
        "| on PyTorch's tensors, µs per step, 2 threads | gradstep | torch fused | torch def"
        in text
    )
    assert "| AdamW, tiny MLP | 10.0 | 60.0 (6.00 ± 0.12) |  |" in text
    assert "| AdamW, all bfloat16, 33.5 M | 20.0 |  | 19.0 (0.95 ± 0.02) |" in text
    assert (
        "gradstep is slower than\n\n- AdamW, all bfloat16 on tensors, 33.5 M, 1,000 elements, "
        "float32, 2 threads: torch default 19.0 (0.95 ± 0.02)\n\n" in text
    )
    assert "- torch fused: it is not made up" in text


def test_the_report_has_what_a_step_costs_beside_its_arithmetic() -> None:
    info = {
        "front": "torch",
        "counts": [1, 1000],
        "elements": 8,
        "threads": 2,
        "left_out": {},
        "median_us": {"gradstep": [2.03, 32.0]},
        "call_us": {"gradstep": [1.9, 2.0, 2.1]},
        "tensor_us": {"gradstep": [0.03, 0.03, 0.034]},
    }
    text = report(results({"name": "test_torch_overhead", "extra_info": info}))
    assert (
        "| AdamW, tensors of 8 elements, 2 threads, µs | per call | per tensor | 1 | 1,000 |"
        in text
    )
    assert "| gradstep | 2.000 ± 0.100 | 0.030 ± 0.002 | 2.03 | 32.00 |" in text
