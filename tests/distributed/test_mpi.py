"""Ranks that are processes, over a real MPI."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distributed.launching import LIMIT, ROOT, finished, mpiexec, results, run
from tests.distributed.program import FULL, OPTIONS, TRAININGS, digest
from tests.distributed.training import Training

pytest.importorskip("mpi4py", reason="mpi4py is not installed: no test of real processes")

pytestmark = pytest.mark.skipif(mpiexec() is None, reason="there is no mpiexec")


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize("ranks", [2, 3, 4, 7] if FULL else [2, 4])
def test_every_optimizer_has_the_bits_of_one_process(ranks: int) -> None:
    expected = {name: digest(of.in_one_process()[0]) for name, of in TRAININGS.items()}
    came = results(run(ranks, "trained"))
    assert len(came) == ranks
    for of_rank in came:
        assert of_rank == expected


def test_comm_self_and_one_rank_need_no_mpiexec() -> None:
    expected = {name: digest(of.in_one_process()[0]) for name, of in TRAININGS.items()}
    for kind in ("self", "mpi"):
        command = [sys.executable, "-m", "tests.distributed.program", kind, "trained"]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        assert results(done) == [expected]


def test_a_run_goes_on_on_another_number_of_ranks(tmp_path: Path) -> None:
    from gradstep import AdamW

    expected, _ = Training(AdamW, OPTIONS).in_one_process()
    params = {name: array for name, array in expected.items() if "/" not in name}
    path = str(tmp_path / "run.safetensors")
    for steps, ranks in ((1, 2), (2, 4), (3, 1)):
        came = results(run(ranks, "saved", path))
        assert [of_rank["steps"] for of_rank in came] == [steps] * ranks
    assert came == [{"steps": 3, "digest": digest(params)}]


def test_errors_come_on_all_ranks_that_go_on_and_they_share_the_cores() -> None:
    first, second = results(run(2, "refused"))
    of_shape = "ValueError: gradient 'large' has shape (3,); expected (5000,)"
    assert second["shape"].startswith(of_shape)
    assert first["shape"].startswith(f"OtherRankError: rank 1 raised {of_shape}")
    for of_rank in (first, second):
        assert of_rank["none"].startswith("Disagreement: the ranks disagree. rank 0: gradient")
        assert of_rank["steps"] == "2"
        if "OMP_NUM_THREADS" not in os.environ:
            assert int(of_rank["threads"]) <= max(1, cores() // 2)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("raising", "rank 1: an error that nobody caught: KeyError: 'mine'; ending all 2 ranks"),
        ("leaving", "Lost: rank 1 has ended, and this one would wait for it for ever"),
    ],
)
def test_a_rank_that_ends_ends_all(what: str, text: str) -> None:
    done = run(2, what)
    assert done.returncode != 0
    assert text in done.stderr


def test_a_rank_that_is_killed_ends_all() -> None:
    done = run(2, "killed")
    assert done.returncode != 0
    assert "signal 9" in (done.stdout + done.stderr).lower()


def test_a_rank_that_is_killed_while_it_saves_leaves_the_old_file(tmp_path: Path) -> None:
    import gradstep as gs
    from tests.distributed.training import params_of

    path = tmp_path / "run.safetensors"
    done = run(2, "killed_while_saving", str(path))
    assert done.returncode != 0
    assert [file for file in os.listdir(tmp_path) if ".tmp" in file]  # it was killed in time
    opt = gs.AdamW(params_of(), lr=0.1)
    gs.load(path, opt)
    assert opt.steps == 1


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="it needs scikit-learn")
def test_the_example_ends_with_the_same_weights_on_one_and_four_ranks() -> None:
    pytest.importorskip("tqdm")
    example = ["examples/mpi_digits.py", "--epochs", "8"]
    alone = finished([sys.executable, *example])
    four = finished([str(mpiexec()), "-n", "4", sys.executable, *example])
    said = [
        re.fullmatch(
            r"(\d) ranks: test accuracy ([\d.]+)%, sha256 .* (\w{16}), .* s\n", done.stdout
        )
        for done in (alone, four)
    ]
    assert said[0] is not None, alone.stdout + alone.stderr
    assert said[1] is not None, four.stdout + four.stderr
    assert [one[1] for one in said if one] == ["1", "4"]
    assert said[0][2] == said[1][2]
    assert said[0][3] == said[1][3]
    assert float(said[0][2]) > 96.0
