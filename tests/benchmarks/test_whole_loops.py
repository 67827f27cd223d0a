"""What the loops around steps of whole tensors, wrappers and L-BFGS run, in small."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.loop_tables import whole_loops as table
from benchmarks.loops import measure, whole
from benchmarks.loops.cases import KINDS, whole_loops
from benchmarks.loops.loop import NO_OPTIMIZER, Loop
from benchmarks.report import merged, report

from tests.benchmarks.benchmark_results import loop_entry, results

pytest.importorskip("torch", reason="torch is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # peers warn of their own concerns

EVERYBODY = {"everything": False, "tracked": False, "wheel": False}


def losses(loop: Loop) -> dict[str, float | None]:
    """Of all who can be imported, where a race compares them."""
    kind, found = KINDS[loop.kind], {}
    for name in kind.contestants(**EVERYBODY):
        try:
            running = kind.start(loop, name, None)
        except ImportError:
            continue
        for _ in range(kind.checked):
            running.step()
        found[name] = running.loss()
    return found


@pytest.mark.parametrize("kind", whole.WHOLE, ids=lambda kind: kind.name)
def test_all_train_alike_or_say_in_what_they_differ(kind: Any) -> None:
    loop = Loop(kind.name, (20, 30, 10), 16)
    found = losses(loop)
    measure.same_losses(loop, found)
    ours, without = found["gradstep"], found[NO_OPTIMIZER]
    assert ours is not None
    assert without is not None
    assert abs(without - ours) > kind.tolerance["float32"] * ours


@pytest.mark.parametrize("kind", ["torch", "NumPy"])
@pytest.mark.parametrize("optimizer", whole.EVALUATIONS)
def test_without_an_optimizer_there_are_as_many_evaluations(kind: str, optimizer: str) -> None:
    of = KINDS[f"{kind} {optimizer}"]
    counts = {}
    for name in of.contestants(**EVERYBODY):
        calls: list[None] = []

        def take(opt: Any, evaluate: Any, calls: list[None] = calls) -> Any:
            def counted() -> Any:
                calls.append(None)
                return evaluate()

            return type(of).take(of, opt, counted)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(of, "take", take, raising=False)
            try:
                running = of.start(Loop(of.name, (20, 30, 10), 16), name, None)
            except ImportError:
                continue
            for _ in range(of.checked):
                running.step()
        counts[name] = len(calls)
    assert set(counts.values()) == {of.checked * whole.EVALUATIONS[optimizer]}, counts


def test_every_optimizer_has_loops_of_both_libraries() -> None:
    assert len({str(loop) for loop in whole_loops()}) == len(whole_loops())
    assert {loop.kind for loop in whole_loops()} == {
        f"{library} {name}" for name in whole.OPTIMIZERS for library in ("torch", "NumPy")
    }


MUON = "torch Muon 784-256-128-10, batch 64, float32"


def made(loop: str, ours: float, differs: dict[str, str], **others: float) -> dict[str, Any]:
    entry = loop_entry(loop, ours, **others)
    entry["extra_info"]["differs"] = differs
    return {**entry, "name": f"test_whole_loop[{loop}]"}


def test_a_row_names_the_fastest_peer_first_and_who_differs() -> None:
    first = made(MUON, 50.0, {})
    again = made(MUON, 100.0, {"torch": "bfloat16"}, other=400.0, torch=200.0)
    numpy = made("NumPy Muon 8-4, batch 2, float32", 10.0, {})
    text = report(merged([results(first, numpy), results(again)]))
    assert (
        f"| {MUON} | 75 ± 2 % → 50 ± 2 % | 100.0 | 50.0 (0.50 ± 0.01) "
        "| torch 200.0 (2.00 ± 0.04) ≠, other 400.0 (4.00 ± 0.08) |"
    ) in text
    assert "| NumPy Muon 8-4, batch 2, float32 | 50 ± 2 % | 10.0 | 5.0 (0.50 ± 0.01) |  |" in text
    assert "No loop is faster with another optimizer or setting." in text
    assert len(table([first["extra_info"]])) == 3


def test_runs_of_two_machines_are_not_merged() -> None:
    with pytest.raises(ValueError, match="expected runs on one machine with the same versions"):
        merged([results(), results(cpu="6502")])
