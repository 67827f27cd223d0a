"""How loops are measured, and what is reported of them, on made-up results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import regress
from benchmarks.loops import measure
from benchmarks.loops.loop import Loop
from benchmarks.report import report

from tests.benchmarks.benchmark_results import at_once_entry, entry, loop_entry, results

TINY = Loop("NumPy", (6, 7, 5, 3), 4, "float64")

# Measuring.


class Made:
    """A process with made-up times."""

    times: Mapping[str, list[float]]
    begun: list[tuple[str, int]]

    def __init__(self, loop: Loop, name: str, folder: Path | None = None, added: Any = ()) -> None:
        self.name, self.added = name, added
        self.left_out = None if name in self.times else "it is not made up"
        self.loss = 1.0
        self._turns = cycle(self.times.get(name, []))
        self.begun.append((name, len(self.added)))

    def __enter__(self) -> Made:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def begin(self, seconds: float) -> None:
        pass

    def seconds_per_step(self) -> float:
        return 3 * self.turn(0.0)

    def turn(self, seconds: float) -> float:
        return next(self._turns)


class Benchmark:
    """What stands in for pytest-benchmark's fixture."""

    def __init__(self) -> None:
        self.extra_info: dict[str, Any] = {}

    def pedantic(self, target: Callable[[], object], setup: Any, rounds: int, **_: Any) -> None:
        for _i in range(rounds):
            setup()
            target()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> type[Made]:
    monkeypatch.setattr(measure, "Process", Made)
    Made.begun = []
    Made.times = {"no optimizer": [1e-3], "numpy": [4e-3, 3e-3, 5e-3], "gradstep": [2e-3, 1e-3]}
    return Made


def test_ratios_and_shares_are_formed_within_rounds(made: type[Made]) -> None:
    benchmark = Benchmark()
    moods = np.array([1.0, 2.5, 1.0])
    each = {"no optimizer": 1.0, "numpy": 4.0, "gradstep": 2.0}
    made.times = {name: list(seconds * moods) for name, seconds in each.items()}
    measure.measure(benchmark, TINY, rounds=9, wheel="no auditwheel")
    info = benchmark.extra_info
    assert info["median_us"] == {"no optimizer": 1e6, "numpy": 4e6, "gradstep": 2e6}
    assert info["ratio"] == {"no optimizer": 0.5, "numpy": 2.0, "gradstep": 1.0}
    assert info["ratio_quartiles"]["numpy"] == [2.0, 2.0]
    assert info["share"] == {"numpy": 0.75, "gradstep": 0.5}
    assert info["share_quartiles"]["numpy"] == [0.75, 0.75]
    assert info["left_out"] == {
        "gradstep wheel": "no auditwheel",
        **dict.fromkeys(("numpy out=", "gradstep, 1 thread"), "it is not made up"),
    }


def test_processes_are_started_anew_by_another_first(made: type[Made]) -> None:
    measure.measure(Benchmark(), TINY, tracked=True, rounds=5)
    assert [name for name, _ in made.begun] == [
        *("numpy", "gradstep", "gradstep, 1 thread"),
        *("gradstep", "gradstep, 1 thread", "numpy"),
        *("gradstep, 1 thread", "numpy", "gradstep"),
    ]


def test_without_gradstep_there_is_nothing_to_measure(made: type[Made]) -> None:
    made.times = {"numpy": [1.0]}
    with pytest.raises(measure.NothingToMeasure, match="it is not made up"):
        measure.measure(Benchmark(), TINY, rounds=1)
    with pytest.raises(measure.NothingToMeasure, match="it is not made up"):
        measure.two_processes(Benchmark(), TINY, True, rounds=1)


def test_two_at_once_are_compared_with_one_alone(made: type[Made]) -> None:
    benchmark = Benchmark()
    made.times = {"no optimizer": [2.0], "gradstep": [2.0]}
    measure.two_processes(benchmark, TINY, True, rounds=2)
    info = benchmark.extra_info
    assert info["alone_us"] == {"gradstep": 2e6, "no optimizer": 2e6}
    assert info["slowdown"] == {"gradstep": 3.0, "no optimizer": 3.0}
    assert info["slowdown_quartiles"]["gradstep"] == [3.0, 3.0]
    assert set(info["left_out"]) == {"gradstep, 1 thread", "numpy", "products alone"}
    assert info["bounds"] == ["products alone", "no optimizer"]
    assert {added for _, added in made.begun} == {2}


# Reports.

SQUARE = "NumPy 256-256-256-10, batch 64, float32"


def test_the_report_begins_with_loops() -> None:
    step = entry("AdamW, tiny MLP", 10.0, torch_fused=40.0)
    fast = loop_entry(SQUARE, 100.0, numpy=200.0)
    at_once = at_once_entry(SQUARE, True, gradstep=1.5, numpy=2.5, **{"no optimizer": 3.5})
    text = report(results(step, fast, at_once))
    head = "| NumPy loops, µs per training step | optimizer's share, numpy → gradstep | gradstep |"
    row = (
        "| 256-256-256-10, batch 64, float32 | 75 ± 2 % → 50 ± 2 % | 100.0 "
        "| 50.0 (0.50 ± 0.01) | 200.0 (2.00 ± 0.04) |"
    )
    assert f"{head} no optimizer | numpy |" in text
    assert text.index(row) < text.index("| AdamW, tiny MLP")
    assert "No loop is faster with another optimizer or setting." in text
    assert "as slow as one alone | bound: no optimizer | gradstep | numpy |" in text
    assert f"| {SQUARE}, one BLAS thread | 3.50 ± 0.10 | 1.50 ± 0.10 | 2.50 ± 0.10 |" in text
    assert "- gradstep wheel: auditwheel is not installed" in text


def test_the_brief_report_has_loops_first_or_alone() -> None:
    fast = loop_entry(SQUARE, 100.0, numpy=200.0, **{"gradstep, 1 thread": 99.0})
    row = f"| {SQUARE} | 75 ± 2 % → 50 ± 2 % | 100.0 | numpy 200.0 (2.00 ± 0.04) |"
    both = report(results(entry("AdamW, tiny MLP", 10.0, torch_fused=40.0), fast), brief=True)
    assert both.index(row) < both.index("| AdamW, tiny MLP")
    assert report(results(fast), brief=True).endswith(row)


def test_the_report_says_which_loops_are_slower() -> None:
    slow = loop_entry(SQUARE, 100.0, numpy=200.0, **{"gradstep, 1 thread": 80.0})
    assert (
        "Loops are slower with gradstep's defaults than with\n\n"
        f"- {SQUARE}: gradstep, 1 thread 80.0 (0.80 ± 0.02)" in report(results(slow))
    )


def test_tracked_of_a_loop_are_one_thread_and_the_pinned_peer() -> None:
    fast = loop_entry(SQUARE, 100.0, numpy=200.0, **{"gradstep, 1 thread": 80.0})
    assert {name: row.value for name, row in regress.tracked(results(fast)).items()} == {
        f"test_loop[{SQUARE}] / gradstep, 1 thread": 1.25,
        f"test_loop[{SQUARE}] / numpy 2.4.6": 0.5,
    }
    at_once = at_once_entry(SQUARE, True, gradstep=1.5)
    assert regress.tracked(results(at_once)) == {}


def test_loops_have_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    from benchmarks.pictures import draw

    info = loop_entry(SQUARE, 100.0, numpy=200.0)["extra_info"]
    at_once = at_once_entry(SQUARE, True, gradstep=1.5)["extra_info"]
    tests = {"test_loop": [info], "test_two_at_once": [at_once]}
    (path,) = draw(tests, "Z80", tmp_path)
    assert path.name == "loops.svg"
    assert SQUARE in path.read_text("utf-8")
    del info["median_us"]["no optimizer"]
    assert draw(tests, "Z80", tmp_path) == []
