"""The build's gate counts vectorised loops in what objdump says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

GATE = Path(__file__).parents[2] / "csrc" / "gates" / "check_kernels.py"
YMM, NEON = r"%ymm", r"\bv\d+\.(4s|2d)"

VECTORS = ["vmulps (%rsi),%ymm0,%ymm1", "vmovups %ymm1,(%rdi)"]
NARROWER = ["vmulps (%rsi),%xmm0,%xmm1", "vmovups %xmm1,(%rdi)"]
SCALARS = ["vmulss (%rsi),%xmm0,%xmm1", "vmovss %xmm1,(%rdi)"]
ARM_VECTORS = ["ldr q0, [x1]", "fmul v0.4s, v0.4s, v1.4s"]
ARM_SCALARS = ["ldr s0, [x1]", "fmul s0, s0, s1"]


@pytest.fixture(scope="module")
def gate() -> dict[str, Any]:
    if not GATE.exists():
        pytest.skip("the gate is part of the source tree")
    return runpy.run_path(str(GATE))


def looped(*bodies: list[str], jump: str = "jne    {start:x} <update+0x{start:x}>") -> list[str]:
    """Loops one after another, each with a jump back to where it begins."""
    code: list[str] = []
    for body in bodies:
        start = len(code)
        code += [*body, jump.format(start=start)]
    return code


def listing(code: list[str], name: str = "update") -> str:
    return "\n".join([f"0000 <{name}>:", *(f"  {at:x}:\t{c}" for at, c in enumerate(code))])


def count(gate: dict[str, Any], code: list[str], registers: str = YMM) -> int:
    (body,) = gate["functions"](listing(code)).values()
    loops: int = gate["wide_loops"](body, registers)
    return loops


@pytest.mark.parametrize(
    ("code", "loops"),
    [
        ([], 0),
        (VECTORS, 0),  # not in a loop
        (looped(SCALARS), 0),
        (looped(NARROWER, SCALARS), 0),
        (looped(VECTORS, SCALARS), 1),
        (looped(VECTORS, NARROWER, SCALARS), 1),
        (looped(looped(VECTORS, VECTORS), VECTORS, SCALARS), 3),
        (looped(looped(SCALARS, VECTORS), VECTORS, SCALARS), 2),
        (looped(looped(SCALARS, SCALARS), VECTORS), 1),
    ],
)
def test_innermost_loops_in_the_widest_registers_count(
    gate: dict[str, Any], code: list[str], loops: int
) -> None:
    assert count(gate, code) == loops


@pytest.mark.parametrize("jump", ["b.ne", "b", "cbnz x2,", "tbz w1, #3,"])
def test_loops_of_arm(gate: dict[str, Any], jump: str) -> None:
    back = jump + " {start:x} <update+0x{start:x}>"
    code = looped(ARM_VECTORS, ARM_SCALARS, ARM_VECTORS, jump=back)
    assert count(gate, code, NEON) == 2


def test_jumps_forwards_and_into_others_are_no_loops(gate: dict[str, Any]) -> None:
    assert count(gate, ["jne    3 <update+0x3>", *VECTORS, "jmp    90 <other>"]) == 0


def test_what_llvm_prints_reads_the_same(gate: dict[str, Any]) -> None:
    printed = (
        "0000 <update>:\n       0: \tvmulps\t%ymm0, %ymm0, %ymm1\n       4: \tjne\t0x0 <update>"
    )
    (body,) = gate["functions"](printed).values()
    assert gate["wide_loops"](body, YMM) == 1


@pytest.mark.parametrize("jump", ["jmp", "call", "callq", "b", "bl"])
def test_what_the_compiler_has_put_elsewhere_is_followed(gate: dict[str, Any], jump: str) -> None:
    elsewhere = "slots<Adam>(int)"
    text = listing([f"{jump}    0 <{elsewhere}>"]) + "\n" + listing(VECTORS, elsewhere)
    assert len(gate["with_callees"]("update", gate["functions"](text))) == 2


@pytest.mark.parametrize(("name", "loops"), [("update", 1), ("update_in_blocks", 3)])
def test_an_update_has_so_many(gate: dict[str, Any], name: str, loops: int) -> None:
    name = f"void gradstep::(anonymous namespace)::{name}<gradstep::Adam, false>(void const*)"
    for have, failures in [(loops, 0), (loops - 1, 1)]:
        bodies = gate["functions"](listing(looped(*[VECTORS] * have, SCALARS), name))
        assert len(gate["unvectorised"]("avx2", bodies, YMM)) == failures


def test_no_update_at_all_fails(gate: dict[str, Any]) -> None:
    assert "no update was found" in gate["unvectorised"]("avx2", {}, YMM)[0]
