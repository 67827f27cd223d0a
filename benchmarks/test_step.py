"""One step of every optimizer on models and single tensors, beside peers and the roofline."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.cases import Case, default_cases, every_case
from benchmarks.race import race
from benchmarks.tensor_sets import TENSOR_SETS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    everything = metafunc.config.getoption("--everything")
    metafunc.parametrize("case", every_case() if everything else default_cases(), ids=str)


def test_step(benchmark: Any, case: Case, race_options: dict[str, Any]) -> None:
    race(benchmark, case, TENSOR_SETS[case.tensor_set], **race_options)
