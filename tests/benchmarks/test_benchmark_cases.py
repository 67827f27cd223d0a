"""What the benchmarks measure, how they take turns, and what they report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import machine
from benchmarks.cases import default_cases, every_case
from benchmarks.contestants import ALL, chosen, tracked_of
from benchmarks.contestants.contestant import Array, Racer
from benchmarks.contestants.ours import Native, Reference
from benchmarks.contestants.plain_numpy import UPDATES, PlainNumpy
from benchmarks.interleave import STEP_CLOCK, interleaved, ratios, rounds_of, rounds_within
from benchmarks.race import heats, same_results
from benchmarks.report import main, report
from benchmarks.tensor_sets import TENSOR_SETS, elements, make
from benchmarks.works import ADAMW, CLIPPED, SGD, WORKS, Work

from tests.benchmarks.benchmark_results import entry, results

# Machine, cases, timing.


def test_totals_of_real_models() -> None:
    counted = {name: (len(shapes), elements(shapes)) for name, shapes in TENSOR_SETS.items()}
    assert counted["ResNet-50"] == (161, 25_557_032)
    assert counted["GPT-2 small"] == (148, 124_439_808)
    assert counted["MNIST MLP"] == (6, 235_146)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_are_reproducible_and_of_their_dtype(dtype: str) -> None:
    shapes = [(3, 5), (100_000,)]
    first, again = make(shapes, 0, dtype), make(shapes, 0, dtype)
    assert [a.shape for a in first] == shapes
    assert {str(a.dtype) for a in first} == {dtype}
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[1] != make(shapes, 1, dtype)[1]).any()


def test_bytes_of_works() -> None:
    assert SGD.bytes_per_element() == 20
    assert ADAMW.bytes_per_element() == 28
    assert ADAMW.bytes_per_element(8) == 56
    assert CLIPPED.bytes_per_element() == 32
    assert ADAMW.working_set(10) == 160


def test_the_default_selection_is_part_of_everything() -> None:
    default = [str(case) for case in default_cases()]
    everything = [str(case) for case in every_case()]
    assert len(set(default)) == len(default)
    assert len(set(everything)) == len(everything)
    assert set(default) < set(everything)


@pytest.mark.parametrize(
    ("touched", "threads", "level"),
    [
        (32, 1, "L1"),
        (33, 1, "L2"),
        (64, 2, "L1"),
        (300, 2, "L3"),
        (900, 2, "L3"),
        (901, 2, "memory"),
    ],
)
def test_residency(touched: int, threads: int, level: str) -> None:
    assert machine.residency(touched, threads, {"L1": 32, "L2": 128, "L3": 900}) == level
    assert machine.residency(touched, threads, {}) == ""


def test_sizes_as_the_kernel_prints_them() -> None:
    assert [machine.size(text) for text in ("48K\n", "2M", "512")] == [49_152, 2_097_152, 512]


def test_heats_fit_into_memory_and_each_has_gradstep_and_the_roofline() -> None:
    field = [contestant for contestant in ALL if contestant.offers(ADAMW)]
    params, slots = 100, 2
    assert heats(field, params, slots, 10**9) == [
        [field[0], field[-1], *(c for c in field[1:-1])],
    ]
    budget = 100 + 300 + 400 + 1000  # gradients, gradstep, the roofline, and some peers
    groups = heats(field, params, slots, budget)
    assert len(groups) > 1
    for group in groups:
        assert [contestant.name for contestant in group[:2]] == ["gradstep", "roofline"]
        needed = sum(params * (1 + slots + contestant.extra_arrays) for contestant in group)
        assert params + needed <= budget
    assert [c for group in groups for c in group[2:]] == field[1:-1]
    assert heats(field[:1], params, slots, 0) == [field[:1]]


def test_who_takes_part_and_who_is_left_out_with_a_reason() -> None:
    names = ("gradstep", "torch compiled", "deepspeed", "numpy")
    field, left_out = chosen(ADAMW, [(1,)] * 1000, "float64", 1, names=names)
    assert [contestant.name for contestant in field] == ["gradstep", "numpy"]
    assert left_out == {
        "torch compiled": "it takes long: see --everything",
        "deepspeed": "it has no float64",
    }


def test_tracked_are_gradstep_the_roofline_and_one_peer() -> None:
    field = {contestant.name: contestant for contestant in ALL}

    def tracked(*names: str) -> list[str]:
        return [contestant.name for contestant in tracked_of([field[name] for name in names])]

    assert tracked(*field) == ["gradstep", "torch fused", "roofline"]
    assert tracked("gradstep", "optax", "numpy", "roofline") == ["gradstep", "numpy", "roofline"]
    assert tracked("gradstep", "thinc") == ["gradstep"]


def test_quartiles_of_ratios() -> None:
    times = {"gradstep": [1.0, 2.0, 1.0, 1.0, 1.0], "numpy": [2.0, 8.0, 1.0, 3.0, 5.0]}
    spread = ratios(times, over="gradstep")
    assert spread == {"gradstep": [1.0, 1.0, 1.0], "numpy": [2.0, 3.0, 4.0]}
    assert ratios({"a": [3.0], "b": [6.0]}, over="a")["b"] == [2.0, 2.0, 2.0]


def test_rounds_interleave_and_are_limited() -> None:
    calls: list[str] = []
    steps = {name: lambda name=name: calls.append(name) for name in ("ours", "theirs")}
    times = interleaved(steps, "ours", seconds=1.0, rounds=3)
    assert {name: len(of_one) for name, of_one in times.items()} == {"ours": 3, "theirs": 3}
    assert set(calls) == {"ours", "theirs"}
    assert rounds_within(6.0, [1e-6]) == 25
    assert rounds_within(6.0, [10.0]) == 3
    assert rounds_within(6.0, [0.2, 0.03]) == 12


def test_pytest_benchmark_times_a_step_and_not_a_round() -> None:
    took: list[float] = []

    class Benchmark:
        def pedantic(self, target: Any, setup: Any, rounds: int, iterations: int) -> None:
            for _ in range(rounds):
                setup()
                before = STEP_CLOCK()
                target()
                took.append(STEP_CLOCK() - before)

    seconds = iter([0.5, 0.25])
    rounds_of(Benchmark())(lambda: next(seconds), lambda: None, 2)
    assert took == [0.5, 0.25]


# The same work.

STAND_IN = [(20, 30), (7,)]


class Other(Native):
    """gradstep with other options, in the place of a peer."""

    tolerance = PlainNumpy.tolerance

    def __init__(self, **options: Any) -> None:
        self.name, self.options = repr(options), options

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        options = {**work.options, "clip_norm": work.clip_norm, **self.options}
        opt = work.cls(params, **options)
        return Racer(lambda: opt.step(grads), lambda: params)


class WritesGradients(Other):
    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        honest = super().prepare(work, params, grads)

        def step() -> None:
            honest.step()
            grads[0][0] = 0.0

        return Racer(step, honest.params)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("work", [*WORKS.values(), CLIPPED], ids=lambda work: work.name)
def test_those_who_do_the_same_work_pass(work: Work, dtype: str) -> None:
    field = [c for c in (Native(), Reference(), PlainNumpy(), Other()) if c.offers(work)]
    same_results(work, STAND_IN, dtype, field)


class Watched(np.ndarray[Any, Any]):
    """An array whose arithmetic must stay in float32."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, Watched) else x for x in inputs]
        given = [np.asarray(x) for x in options.pop("out", ())]
        result = getattr(ufunc, method)(*plain, **options)
        assert result.dtype == np.float32, f"{ufunc.__name__} of {inputs}"
        if not given:
            return result.view(Watched)
        given[0][...] = result
        return given[0].view(Watched)


@pytest.mark.parametrize("name", UPDATES)
def test_numpys_peer_stays_in_float32(name: str) -> None:
    work = {**WORKS, CLIPPED.name: CLIPPED}[name]
    params, grads = ([array.view(Watched) for array in make(STAND_IN, seed)] for seed in (0, 1))
    racer = PlainNumpy().prepare(work, params, grads)
    before = params[0].copy()
    for _ in range(2):
        racer.step()
    assert (np.asarray(params[0]) != np.asarray(before)).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("work", "options"),
    [
        (ADAMW, {"weight_decay": 0.0}),
        (ADAMW, {"betas": (0.9, 0.95)}),
        (ADAMW, {"betas": (0.8, 0.999)}),
        (ADAMW, {"eps": 1e-5}),
        (CLIPPED, {"clip_norm": None}),
        (SGD, {"nesterov": True}),
        (SGD, {"momentum": 0.89}),
        (WORKS["Lion"], {"betas": (0.9, 0.95)}),
    ],
    ids=lambda value: value.name if isinstance(value, Work) else str(value),
)
def test_other_work_is_noticed(work: Work, options: dict[str, Any], dtype: str) -> None:
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        same_results(work, STAND_IN, dtype, [Native(), Other(**options)])


def test_who_writes_gradients_is_noticed() -> None:
    with pytest.raises(AssertionError, match="wrote gradients"):
        same_results(SGD, STAND_IN, "float32", [Native(), WritesGradients()])


# Reports.


def test_the_report_has_ratios_spreads_and_what_was_left_out() -> None:
    tiny = entry("AdamW, tiny MLP", 10.0, torch_fused=40.0, roofline=5.0)
    other = entry("Lion, 33.5 M", 20.0, optax=30.0)
    text = report(results(tiny, other))
    assert "Z80, 2 cores, avx2; L1 32 KiB; GNU 12; torch 2.13.0+cpu, numpy 2.4.6" in text
    assert "| AdamW, tiny MLP | L1 | 12 | 10.0 | 40.0 (4.00 ± 0.08) | 0.50 ± 0.01 |" in text
    assert "| Lion, 28 bytes | L1 | 12 | 20.0 | 30.0 (1.50 ± 0.03) |  |" in text
    assert text.count("- thinc: it is not installed") == 1


def test_the_report_says_where_gradstep_is_slower() -> None:
    fast = entry("AdamW, tiny MLP", 10.0, torch_fused=40.0, roofline=5.0)
    assert "gradstep is slower than nobody." in report(results(fast))
    slow = entry("Lion, 33.5 M", 20.0, optax=18.0, numpy=21.0)
    text = report(results(fast, slow))
    assert (
        "gradstep is slower than\n\n"
        "- Lion, 33.5 M, 1,000 elements, float32, 2 threads: optax 18.0 (0.90 ± 0.02)\n\n" in text
    )


def test_pictures_depend_on_results_only(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    from benchmarks.pictures import draw

    info = entry("AdamW, tiny MLP", 10.0, torch_fused=40.0, roofline=5.0)["extra_info"]
    tests = {
        "test_step": [info],
        "test_over_sizes": [info, {**info, "elements": 2000}],
        "test_over_tensor_counts": [info, {**info, "tensors": 2}],
    }
    first = draw(tests, "Z80", tmp_path / "first")
    assert [path.name for path in first] == ["speed-up.svg", "bandwidth.svg", "tensors.svg"]
    for path, again in zip(first, draw(tests, "Z80", tmp_path / "again"), strict=True):
        assert path.read_bytes() == again.read_bytes()
    assert draw({}, "Z80", tmp_path / "none") == []


def test_a_report_in_a_file_links_its_pictures_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    given, output = tmp_path / "results.json", tmp_path / "docs" / "report.md"
    given.write_text(json.dumps(results(entry("AdamW, tiny MLP", 10.0, torch_fused=40.0))))
    where = ["--output", str(output), "--pictures", str(output.parent / "pictures")]
    monkeypatch.setattr(sys, "argv", ["report", str(given), *where])
    main()
    text = output.read_text("utf-8")
    assert text.startswith("# How fast a step is\n\nZ80")
    assert text.endswith("\n\n![speed-up](pictures/speed-up.svg)\n")
    assert (output.parent / "pictures" / "speed-up.svg").is_file()
