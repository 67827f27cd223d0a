"""The loops that steps are measured against do what they are said to."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import gradstep as gs

_native = pytest.importorskip("gradstep._native", reason="the loops are compiled kernels")

BY_ISA = pytest.mark.parametrize("isa", gs.runtime.available_isas())
BY_DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])


@BY_ISA
@BY_DTYPE
@pytest.mark.parametrize("roots", range(3))
@pytest.mark.parametrize("quotients", range(4))
def test_divide_takes_so_many_roots_and_quotients(
    isa: str, dtype: str, roots: int, quotients: int
) -> None:
    of, by = np.linspace(0.5, 1.5, 37).astype(dtype), np.linspace(0.1, 9.0, 37).astype(dtype)
    to = np.zeros_like(of)
    with gs.runtime.set_isa(isa):
        _native.divide(roots, quotients, of, by, to)
    expected = by
    for _ in range(roots):
        expected = np.sqrt(expected)
    for _ in range(quotients):
        expected = of / expected
    np.testing.assert_array_equal(to, expected)


@BY_ISA
@BY_DTYPE
@pytest.mark.parametrize("size", [37, 100_003])
def test_stream_adds_one_array_to_the_others(isa: str, dtype: str, size: int) -> None:
    read = np.arange(size, dtype=dtype)
    written = [np.full(size, k, dtype) for k in range(3)]
    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(2):
        _native.stream(read, written, "adam")
    for k, array in enumerate(written):
        np.testing.assert_array_equal(array, read + k)


def test_what_the_loops_refuse() -> None:
    array = np.ones(3)
    with pytest.raises(ValueError, match="no rule is named 'adamw'"):
        _native.stream(array, [array.copy()], "adamw")
    with pytest.raises(ValueError, match="at most 2, quotients at most 3"):
        _native.divide(3, 0, array, array, array.copy())
    with pytest.raises(ValueError, match="of one size and dtype"):
        _native.divide(1, 1, array, np.ones(4), array.copy())


def test_the_study_takes_as_many_roots_and_quotients_as_the_rules_say() -> None:
    from benchmarks.studies.in_cache import STEPS  # which needs the compiled kernels

    rules = Path(__file__).parents[2] / "csrc" / "rules"
    said: dict[str, int] = {}
    for header in rules.glob("*.hpp"):
        for struct in header.read_text().split("\nstruct ")[1:]:
            name = re.search(r'name = "(\w+)"', struct)
            count = re.search(r"roots_and_quotients = (\d+)", struct)
            if name and count:
                said[name[1]] = int(count[1])
    for cls, roots, quotients in STEPS.values():
        rule = cls([np.ones(1)], lr=0.1).groups[0].plan.rule
        assert roots + quotients == said[rule], rule
