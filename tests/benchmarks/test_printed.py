"""What a report prints is read back as it was, as far as it was printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.printed import main, read
from benchmarks.report import report

from tests.benchmarks.benchmark_results import entry, loop_entry, results

ROOT = Path(__file__).parents[2]
LOOP = "NumPy 256-256-256-10, batch 64, float32"
PRINTED = ("optimizer", "tensor_set", "dtype", "threads", "resident")


def curve(test: str, ours: float, **counts: int) -> dict[str, Any]:
    made = entry("AdamW, some", ours, torch_fused=3 * ours, roofline=ours / 2)
    moved = 28 * counts["elements"] / 1e3
    speeds = {name: moved / us for name, us in made["extra_info"]["median_us"].items()}
    made["extra_info"] |= {**counts, "gigabytes_per_second": speeds}
    return {**made, "name": f"{test}[{counts['elements']}]"}


def assert_as_printed(info: dict[str, Any], expected: dict[str, Any]) -> None:
    for key in ("ratio", "ratio_quartiles"):
        assert info[key].keys() == expected[key].keys()
        for name, value in expected[key].items():
            assert info[key][name] == pytest.approx(value, abs=0.011)
    for name, value in info["median_us"].items():
        assert value == pytest.approx(expected["median_us"][name], abs=0.051)


def test_steps_curves_and_loops() -> None:
    step = entry("AdamW, tiny MLP", 1234.5, torch_fused=4000.0, roofline=700.0)
    step["extra_info"]["ratio_quartiles"]["gradstep"] = [1.0, 1.0]
    size = curve("test_over_sizes", 100.0, elements=4096, tensors=1)
    count = curve("test_over_tensor_counts", 100.0, elements=30_000, tensors=30)
    loop = loop_entry(LOOP, 100.0, numpy=200.0)
    made = [step, size, count, loop]
    for each in made:
        each["extra_info"]["ratio_quartiles"]["gradstep"] = [1.0, 1.0]
    found = read(report(results(*made)))
    assert found.keys() == {"test_step", "test_over_sizes", "test_over_tensor_counts", "test_loop"}
    for each in made:
        (info,), expected = found[each["name"].split("[")[0]], each["extra_info"]
        assert_as_printed(info, expected)
        for key in ("loop", "peer") if each is loop else PRINTED:
            assert info[key] == expected[key] or key == "tensor_set"
        for key in ("elements", "tensors") if each in (size, count) else ():
            assert info[key] == expected[key]
            for name, speed in expected["gigabytes_per_second"].items():
                assert info["gigabytes_per_second"][name] == pytest.approx(speed, rel=0.02)
    assert found["test_step"][0]["tensor_set"] == "tiny MLP"


def test_what_stands_last_of_a_loop_counts() -> None:
    first, again = (report(results(loop_entry(LOOP, us, numpy=200.0))) for us in (100.0, 50.0))
    (info,) = read(f"{first}\n\n{again}\n")["test_loop"]
    assert info["median_us"]["gradstep"] == 50.0


@pytest.mark.parametrize("name", ["loops", "report"])
def test_the_documents_can_be_drawn(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    given = str(ROOT / "docs" / f"{name}.md")
    monkeypatch.setattr(sys, "argv", ["printed", given, "--pictures", str(tmp_path)])
    main()
    pictures = {"loops": {"loops"}, "report": {"speed-up", "bandwidth", "tensors"}}[name]
    assert {path.stem for path in tmp_path.iterdir()} == pictures
    for path in tmp_path.iterdir():
        text = path.read_text("utf-8")
        assert "#fcfcfa" in text
        assert ">gradstep<" in text
        assert len(text) < 150_000


def test_every_contestant_has_a_look_of_its_own() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    from benchmarks.contestants import NAMES
    from benchmarks.pictures import ALSO, LOOKS

    assert LOOKS.keys() >= {*NAMES, *ALSO, "scikit-learn", "torch default"}
    assert len(set(LOOKS.values())) == len(LOOKS)
    colors = [color for color, _ in LOOKS.values()]
    assert len(set(colors)) >= len(colors) - 2  # of a library's two forms that never meet
