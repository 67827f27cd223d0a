"""What the benchmarks of whole tensors, wrappers and L-BFGS run, in small, and their report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import quasi_newton, whole, wrapped
from benchmarks.contestants import ROOFLINE, whole_tensors
from benchmarks.contestants.torch_eager import tensors_on
from benchmarks.contestants.whole_tensors import ARRAYS, FIELD, Library, differs
from benchmarks.race import same_results
from benchmarks.report import report
from benchmarks.tensor_sets import elements, make
from benchmarks.whole_peers import Entry, Peer
from benchmarks.works import OF_WHOLE_TENSORS, WORKS

import gradstep as gs
from tests.benchmarks.benchmark_results import entry, results

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # peers warn of their own concerns

ROOT = Path(__file__).parents[2]
MLP = "MNIST MLP"
LIBRARIES = [contestant for contestant in FIELD if isinstance(contestant, Library)]


def small(name: str) -> whole.WholeCase:
    return next(case for case in whole.cases() if case.name == name and MLP in case.tensor_set)


# The same work.


def test_every_optimizer_is_measured_somewhere() -> None:
    found = {work.cls.__name__ for work in WORKS.values()} | {*OF_WHOLE_TENSORS}
    classes = [getattr(gs, name) for name in gs.__all__]
    optimizers = {c for c in classes if isinstance(c, type) and issubclass(c, gs.Optimizer)}
    assert found == {cls.__name__ for cls in optimizers} - {"Optimizer"}


@pytest.mark.parametrize("name", OF_WHOLE_TENSORS)
def test_all_do_the_same_work_or_say_in_what_they_differ(name: str) -> None:
    case = small(name)
    field, left_out = whole.taking_part(case)
    assert [why for why in left_out.values() if "cannot be imported" not in why] == []
    same_results(case.work, case.shapes, "float32", whole.agreeing(case, field))
    for contestant in field:
        if isinstance(contestant, Library) and differs(contestant, case.work):
            with pytest.raises(AssertionError, match="Not equal to tolerance"):
                same_results(case.work, case.shapes, "float32", [ARRAYS, contestant])


def test_another_way_is_noticed() -> None:
    other = Library(
        Peer("another", "torch.optim", {"Adafactor": Entry("Adafactor", {"lr": 0.009})})
    )
    case = small("Adafactor")
    with pytest.raises(AssertionError, match="another, Adafactor"):
        same_results(case.work, case.shapes, "float32", [ARRAYS, other])


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_gradients_that_are_written_into_stay_ordinary_numbers(
    monkeypatch: pytest.MonkeyPatch, library: Library
) -> None:
    pytest.importorskip(library.requires[0])
    shapes = [(8, 6), (6, 8)]
    for name in library.peer.entries:
        made: list[Any] = []

        def kept(*given: Any, to: list[Any] = made) -> list[Any]:
            to += tensors_on(*given)
            return to

        monkeypatch.setattr(whole_tensors, "tensors_on", kept)
        racer = library.prepare(small(name).work, make(shapes, 0), make(shapes, 1))
        for _ in range(50):
            racer.step()
        assert len(made) == 2
        for tensor in made:
            assert 1e-6 < float(tensor.grad.abs().max()) < 1e6, name


# Bounds.


def test_bytes_are_those_of_the_documents() -> None:
    text = (ROOT / "docs/optimizers/whole-tensors.md").read_text("utf-8")
    rows = re.findall(r"^\| ([A-Za-z, ]+) \| ([\d, ]+) \| [\d]+ \|$", text, re.MULTILINE)
    found: dict[str, int] = {}
    for names, numbers in rows:
        who = [n for n in names.split(", ") if n in whole.MOVED]
        moved = numbers.split(", ")
        found |= {n: int(moved[min(i, len(moved) - 1)]) for i, n in enumerate(who)}
    assert found == whole.MOVED


def test_sets_and_their_products() -> None:
    shapes = whole.SETS["transformer"]
    assert (len(shapes), elements(shapes)) == (50, 28_331_520)
    one_by_one, two_and_three = 5 * (3 * 16 * 5 + 64), 2 * 3 * 4 * 3 + (2 + 3 + 3 + 2 * 3) * 8
    assert whole.muon_products(5, 4) == whole.muon_products(4, 5) == one_by_one
    assert whole.muon_products(3, 2) == whole.muon_products(2, 3) == two_and_three
    assert whole.soap_products(2, 3) == pytest.approx(5.4 * 2 * 3 * 5)
    step, flops = whole.multiplication([(3, 2), (4, 5), (7,)])
    assert flops == 2 * 4 * 4 * 5
    assert step().shape == (4, 5)  # type: ignore[attr-defined]


def test_one_case_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(whole.SETS, MLP, [(6, 4), (4,)])
    info = whole.compete(whole.WholeCase("LAMB", MLP), 1, whole.plain_rounds)
    assert {"gradstep", "gradstep on tensors", ROOFLINE} <= info["median_us"].keys()
    assert all(took > 0 for took in info["median_us"].values())
    assert (info["elements"], info["bytes_per_element"]) == (28, 44)


# Wrappers and L-BFGS.


@pytest.mark.parametrize("kind", wrapped.MOVED)
def test_pairs_of_steps(kind: str) -> None:
    steps, left_out = wrapped.steps(kind, [(6, 4), (4,)])
    for step in steps.values():
        step()
    assert {"gradstep", "gradstep on tensors", wrapped.BOUND} <= steps.keys()
    failed = {name for name, why in left_out.items() if "No module" not in why}
    assert failed == ({"optax"} if kind == "SAM" else set()), left_out


def test_overheads_are_of_each_round() -> None:
    times = {
        "gradstep": [10.0, 21.0, 10.0],
        "gradstep, within": [5.0, 16.0, 5.0],
        "bound": [28.0, 28.0, 28.0],
    }
    found = wrapped.overheads("Lookahead", times)
    assert found["median_us"] == pytest.approx({"bound": 16e6 / 5, "gradstep": 1e6})
    assert found["units"]["gradstep"] == pytest.approx([5 / 16] * 3)
    assert found["units_read"]["gradstep"] == pytest.approx([5 / 14] * 3)


def test_all_descend_alike_and_evaluate_as_often() -> None:
    ours, tensors, theirs = (
        quasi_newton.FIELD[name](1000) for name in ("gradstep", "gradstep on tensors", "torch")
    )
    h = quasi_newton.curvatures(1000)
    start = make([(1000,)], 0)[0]
    for solver in (ours, tensors, theirs):
        solver.step()
        p = solver.params()
        assert 0 < (h * p) @ p < 0.1 * (h * start) @ start
    np.testing.assert_array_equal(ours.params(), tensors.params())


def test_what_closures_take_is_subtracted() -> None:
    times = {
        "gradstep": [40.0, 80.0],
        "gradstep, closure": [20.0, 60.0],
        "torch": [60.0, 100.0],
        "torch, closure": [20.0, 60.0],
        ROOFLINE: [280.0, 280.0],  # of ten times as many elements
    }
    found = quasi_newton.beside_closures(times)
    assert found["median_us"]["gradstep"] == pytest.approx(1e6)
    assert found["ratio"]["torch"] == pytest.approx(2.0)
    assert found["ratio"][ROOFLINE] == pytest.approx(quasi_newton.MOVED)


# The report.


def made(name: str, case: str, **more: Any) -> dict[str, Any]:
    info = entry(case, 10.0, torch=20.0, roofline=5.0)["extra_info"]
    return {"name": f"{name}[{case}]", "extra_info": {**info, "front": "whole", **more}}


def test_the_report_has_tables_of_sets_of_matrices_of_wrappers_and_of_lbfgs() -> None:
    both = {"differs": {"torch": "products in bfloat16"}, "left_out": {"optax": "it fails"}}
    lamb = made("test_whole", "LAMB, MNIST MLP", products=None, **{**both, "differs": {}})
    muon = made("test_whole", "Muon, two", products=2.5e9, **both)
    units = {"gradstep": [1.0, 1.5, 2.0]}
    read = {"gradstep": [0.75, 1.0, 1.25]}
    sam = made("test_wrapper", "SAM, two", units=units, units_read=read, bytes_per_element=28)
    sam["extra_info"]["median_us"] = {"bound": 4.0, "gradstep": 6.0}
    lbfgs = made("test_lbfgs", "LBFGS, 1000")
    text = report(results(lamb, muon, sam, lbfgs))
    assert "| MNIST MLP, 1,000 elements, 1 tensors, float32, 2 threads, µs per step | byt" in text
    assert "| LAMB | 28 | 10.0 | 20.0 (2.00 ± 0.04) | 5.0 (0.50 ± 0.01) |" in text
    assert "| Muon, two | 2.5 | 10.0 | 20.0 (2.00 ± 0.04) ≠ | 5.0 (0.50 ± 0.01) |" in text
    assert "- Muon, torch: products in bfloat16" in text
    assert "| SAM, two | 28 | 4.0 | 6.0 (1.50 ± 0.50, 1.00 ± 0.25) |" in text
    assert "| 1,000 | 28 | 10.0 | 20.0 (2.00 ± 0.04) | 5.0 (0.50 ± 0.01) |" in text
    assert "- optax: it fails" in text
