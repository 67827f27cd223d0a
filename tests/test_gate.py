"""The build's gate tells vectorised loops from others."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

GATE = Path(__file__).parents[1] / "csrc" / "gates" / "check_kernels.py"

VECTORS = ["vmulps (%rsi),%ymm0,%ymm1", "vmovups %ymm1,(%rdi)"]
NARROWER = ["vmulps (%rsi),%xmm0,%xmm1", "vmovups %xmm1,(%rdi)"]
SCALARS = ["vmulss (%rsi),%xmm0,%xmm1", "vmovss %xmm1,(%rdi)"]


@pytest.fixture(scope="module")
def gate() -> dict[str, Any]:
    if not GATE.exists():
        pytest.skip("the gate is part of the source tree")
    return runpy.run_path(str(GATE))


def function(gate: dict[str, Any], *loops: list[str]) -> list[Any]:
    """Loops one after another, each with a jump back to where it begins."""
    body = []
    for loop in loops:
        start = len(body)
        body += [gate["Instruction"](start + k, code) for k, code in enumerate(loop)]
        body.append(gate["Instruction"](len(body), f"jne    {start:x} <update+0x{start:x}>"))
    return body


@pytest.mark.parametrize(
    ("loops", "vectorised"),
    [
        ([VECTORS], True),
        ([VECTORS, SCALARS], True),  # what is left of the last vector
        ([VECTORS, NARROWER, SCALARS], True),  # the same in two goes
        ([VECTORS, VECTORS, VECTORS, SCALARS], True),
        ([SCALARS], False),
        ([NARROWER, SCALARS], False),
        ([VECTORS, SCALARS, VECTORS, SCALARS], False),
        ([], False),
    ],
)
def test_one_scalar_loop_is_what_is_left(
    gate: dict[str, Any], loops: list[list[str]], vectorised: bool
) -> None:
    assert gate["is_vectorised"]([function(gate, *loops)], "%ymm") is vectorised


def test_branches_that_jump_back_into_a_loop_are_part_of_it(gate: dict[str, Any]) -> None:
    body = function(gate, VECTORS, SCALARS)
    into = len(body) - 2
    body.append(gate["Instruction"](len(body), "vxorps %xmm1,%xmm1,%xmm1"))
    body.append(gate["Instruction"](len(body), f"jmp    {into:x} <update+0x{into:x}>"))
    assert gate["is_vectorised"]([body], "%ymm")


def test_what_the_compiler_has_put_elsewhere_is_followed(gate: dict[str, Any]) -> None:
    elsewhere = function(gate, VECTORS)
    forward = [gate["Instruction"](100, "jmp    0 <slots<Adam>(int)>")]
    bodies = {"update<Adam>(int)": forward, "slots<Adam>(int)": elsewhere}
    assert gate["with_callees"]("update<Adam>(int)", bodies) == [forward, elsewhere]
