"""Whether the benchmarks tell a regression from noise, on made-up results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import instructions, regress
from benchmarks.compare import Measured, compare, merged, passes, summary, table

from tests.benchmarks.benchmark_results import entry, results

# Comparing.


def test_equal_measurements_pass() -> None:
    before = {"a": Measured(2.0, 0.1), "b": Measured(3.0)}
    rows = compare(before, before)
    assert [row.verdict for row in rows] == ["same", "same"]
    assert passes(rows)


@pytest.mark.parametrize(
    ("now", "verdict"), [(1.29, "same"), (1.31, "worse"), (0.71, "same"), (0.69, "better")]
)
def test_a_change_counts_beyond_both_noises(now: float, verdict: str) -> None:
    rows = compare({"a": Measured(1.0, 0.1)}, {"a": Measured(now, 0.2)})
    assert [row.verdict for row in rows] == [verdict]
    assert passes(rows) is (verdict != "worse")


def test_a_change_below_the_least_never_counts() -> None:
    assert passes(compare({"a": Measured(1.0)}, {"a": Measured(1.04)}, least=0.05))
    assert not passes(compare({"a": Measured(1.0)}, {"a": Measured(1.06)}, least=0.05))


def test_new_and_missing_rows_are_told_and_do_not_fail() -> None:
    there = {"there": Measured(1.0)}
    rows = compare({"gone": Measured(1.0), **there}, {"come": Measured(1.0), **there})
    verdicts = {"gone": "missing", "come": "new", "there": "same"}
    assert {row.name: row.verdict for row in rows} == verdicts
    assert passes(rows)
    assert summary(rows) == "1 same, 1 new, 1 missing"


def test_a_comparison_of_nothing_fails() -> None:
    assert not passes(compare({"gone": Measured(1.0)}, {"come": Measured(1.0)}))


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (Measured(1.0, 0.02), Measured(1.5, 0.6), "unclear"),
        (Measured(1.0, 0.02), Measured(1.5, 0.1), "worse"),
        (Measured(1.0, 0.02), Measured(1.04, 0.6), "same"),
        (Measured(1.0, 0.6), Measured(1.5, 0.6), "same"),
        (Measured(1.0, 0.02), Measured(0.6, 0.6), "same"),
    ],
)
def test_a_noisy_run_does_not_excuse_itself(before: Measured, now: Measured, verdict: str) -> None:
    rows = compare({"a": before}, {"a": now}, least=0.05, noisy=0.15)
    assert [row.verdict for row in rows] == [verdict]
    assert passes(rows) is (verdict == "same")


def test_the_table_names_the_worst_row_first() -> None:
    before = {"fine": Measured(1.0), "slow": Measured(1.0)}
    lines = table(compare(before, {"fine": Measured(1.0), "slow": Measured(1.5)})).splitlines()
    assert lines[1].split() == ["worse", "1.000", "1.500", "+50.00", "%", "0.00", "%", "slow"]
    assert lines[2].endswith("fine")


def test_several_runs_are_as_noisy_as_they_differ() -> None:
    runs = [Measured(1.0, 0.01), Measured(1.1, 0.02), Measured(1.4, 0.01)]
    assert merged(runs) == Measured(1.1, pytest.approx(0.2 / 1.1))
    assert merged([Measured(2.0, 0.3)]) == Measured(2.0, 0.3)


# The regression's command.


def run(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *runs: dict[str, Any], update: bool = False
) -> int:
    paths = [folder / f"run{i}.json" for i in range(len(runs))]
    for path, of_one in zip(paths, runs, strict=True):
        path.write_text(json.dumps(of_one), "utf-8")
    options = ["--baseline", str(folder / "baseline.json"), *(["--update"] if update else [])]
    monkeypatch.setattr(sys, "argv", ["regress", *map(str, paths), *options])
    return regress.main()


def test_tracked_are_the_roofline_and_the_pinned_peer() -> None:
    fused = entry("AdamW, tiny MLP", 10.0, torch_fused=40.0, numpy=80.0, roofline=5.0)
    plain = entry("RMSprop, 33.5 M", 10.0, numpy=80.0)
    rows = regress.tracked(results(fused, plain))
    assert {name: row.value for name, row in rows.items()} == {
        "test_step[AdamW, tiny MLP] / roofline": 2.0,
        "test_step[AdamW, tiny MLP] / torch fused 2.13.0": 0.25,
        "test_step[RMSprop, 33.5 M] / numpy 2.4.6": 0.125,
    }
    assert [row.noise for row in rows.values()] == pytest.approx([0.02] * 3)


def test_regress_passes_at_equal_and_fails_at_worse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = results(entry("AdamW, tiny MLP", 10.0, roofline=5.0))
    assert run(monkeypatch, tmp_path, good, update=True) == 0
    assert run(monkeypatch, tmp_path, good) == 0
    assert "1 same" in capsys.readouterr().out
    slower = results(entry("AdamW, tiny MLP", 12.0, roofline=5.0))
    assert run(monkeypatch, tmp_path, slower) == 1
    table = capsys.readouterr().out
    assert "before: pytest" in table
    assert "worse     2.000  2.400  +20.00 %   5.00 %  test_step[AdamW, tiny MLP] / roof" in table


def test_regress_knows_nothing_of_another_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = results(entry("AdamW, tiny MLP", 99.0, roofline=5.0), cpu="6502")
    assert run(monkeypatch, tmp_path, slow) == 1
    good = results(entry("AdamW, tiny MLP", 10.0, roofline=5.0))
    run(monkeypatch, tmp_path, good, update=True)
    assert run(monkeypatch, tmp_path, slow) == 1
    assert "has nothing of 6502, 2 cores, avx2" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path, slow, good)
    assert "of different machines" in capsys.readouterr().err


def test_an_update_keeps_other_rows_and_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tiny = entry("AdamW, tiny MLP", 10.0, roofline=5.0)
    run(monkeypatch, tmp_path, results(tiny), update=True)
    run(monkeypatch, tmp_path, results(tiny, cpu="6502"), update=True)
    large = entry("AdamW, 33.5 M", 10.0, roofline=10.0)
    run(monkeypatch, tmp_path, results(large), results(large), update=True)
    written = json.loads((tmp_path / "baseline.json").read_text("utf-8"))["machines"]
    assert {name: list(of_one["ratios"]) for name, of_one in written.items()} == {
        "6502, 2 cores, avx2": ["test_step[AdamW, tiny MLP] / roofline"],
        "Z80, 2 cores, avx2": [
            "test_step[AdamW, 33.5 M] / roofline",
            "test_step[AdamW, tiny MLP] / roofline",
        ],
    }
    assert written["Z80, 2 cores, avx2"]["runs"] == 2


# Counting instructions.


def test_what_a_step_costs_is_the_difference_of_two_runs() -> None:
    runs = "12 250 AdamW, 1 tensor\n11 50 AdamW, 1 tensor\n13 50 SGD\n14 250 SGD\n"
    counted = instructions.per_step(runs, {11: 1_000, 12: 5_000, 13: 700, 14: 900})
    assert counted == {"AdamW, 1 tensor": 20.0, "SGD": 1.0}


def test_instructions_fail_only_where_they_grew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = {"AdamW": 10_000.0}
    monkeypatch.setattr(instructions, "unavailable", lambda: None)
    monkeypatch.setattr(instructions, "key", lambda: "here")
    monkeypatch.setattr(instructions, "count", lambda: dict(counts))
    path = tmp_path / "counts.json"

    def main(*options: str) -> int:
        monkeypatch.setattr(sys, "argv", ["instructions", "--counts", str(path), *options])
        return instructions.main()

    assert main() == 0
    assert "nothing of here" in capsys.readouterr().out
    assert main("--require") == 1
    assert main("--update") == 0
    assert main() == 0
    counts["AdamW"] *= 1 + 2 * instructions.TOLERANCE
    assert main() == 1
    assert "worse" in capsys.readouterr().out
    counts["AdamW"] = 9_000.0
    assert main() == 0
