"""Whole training steps with gradstep's optimizer and with others, and two such loops at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.loops import wheel as wheels
from benchmarks.loops.cases import default_loops, every_loop, two_at_once
from benchmarks.loops.loop import Loop
from benchmarks.loops.measure import NothingToMeasure, measure, two_processes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    option = metafunc.config.getoption
    if metafunc.function is test_two_at_once:
        loops = [] if option("--tracked") else two_at_once()
    else:
        loops = every_loop() if option("--everything") else default_loops()
    metafunc.parametrize("loop", loops, ids=str)


@pytest.fixture(scope="session")
def wheel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path | str | None:
    """Where one was asked for, the folder that a repaired wheel was installed into, or why not."""
    if not request.config.getoption("--wheel"):
        return None
    return wheels.why_not() or wheels.install(tmp_path_factory.mktemp("wheel"))


def test_loop(
    benchmark: Any, loop: Loop, race_options: dict[str, Any], wheel: Path | str | None
) -> None:
    try:
        measure(benchmark, loop, **race_options, wheel=wheel)
    except NothingToMeasure as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("one_blas_thread", [False, True], ids=["by default", "one BLAS thread"])
def test_two_at_once(
    benchmark: Any, loop: Loop, one_blas_thread: bool, race_options: dict[str, Any]
) -> None:
    try:
        two_processes(benchmark, loop, one_blas_thread, rounds=race_options["rounds"])
    except NothingToMeasure as reason:
        pytest.skip(str(reason))
