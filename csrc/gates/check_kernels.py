"""Stop the build when a kernel object could break a CPU older than it was built for.

Each instruction set's object must export its kernel table and nothing else, use no register wider
than its instruction set has, and have every update loop vectorised to its full width.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from typing import NamedTuple

# Of each instruction set: the registers its loops must use, and those it must not.
REGISTERS = {
    "sse2": (r"%xmm", r"%[yz]mm"),
    "avx2": (r"%ymm", r"%zmm"),
    "avx512": (r"%zmm", None),
    "neon": (r"\bv\d+\.(4s|2d)", None),
}


class Instruction(NamedTuple):
    at: int
    code: str


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exported_symbols(nm: str, path: str) -> list[str]:
    listing = output_of(nm, "--defined-only", "--extern-only", "--demangle", path)
    return [line.split(maxsplit=2)[2] for line in listing.splitlines() if len(line.split()) >= 3]


def functions(objdump: str, path: str) -> dict[str, list[Instruction]]:
    """The instructions of every function, by demangled name."""
    bodies: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in output_of(objdump, "-d", "-C", "--no-show-raw-insn", path).splitlines():
        if header := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            current = bodies.setdefault(header[1], [])
        elif match := re.match(r"\s*([0-9a-f]+):\t(.*)", line):
            current.append(Instruction(int(match[1], 16), match[2]))
    return bodies


def loops(body: list[Instruction]) -> list[tuple[int, int]]:
    """Where each jump backwards goes, and where it is."""
    found = []
    for at, code in body:
        jump = re.match(r"(?:j\w+|b\.\w+|cbn?z\s+\w+,|tbn?z\s.*,)\s+([0-9a-f]+) <", code)
        if jump and body[0].at <= int(jump[1], 16) <= at:
            found.append((int(jump[1], 16), at))
    return sorted(found)


def with_callees(name: str, bodies: dict[str, list[Instruction]]) -> list[list[Instruction]]:
    """A function's body, and those that the compiler has put elsewhere for it to jump to."""
    seen = [name]
    for caller in seen:
        for _, code in bodies[caller]:
            target = re.match(r"(?:jmp|call|bl?)\s+[0-9a-f]+ <(.*)>$", code)
            if target and target[1] in bodies and target[1] not in seen:
                seen.append(target[1])
    return [bodies[each] for each in seen]


def is_vectorised(bodies: list[list[Instruction]], registers: str) -> bool:
    """Whether all loops are, but for the one over what is left of the last vector."""
    wide = scalar = 0
    for body in bodies:
        scalar_until = -1
        for start, end in loops(body):
            code = "\n".join(code for at, code in body if start <= at <= end)
            wide += bool(re.search(rf"(mulp|fmul).*{registers}", code))
            if not re.search(r"mulp[sd]|fmul\s+v", code):
                scalar += start > scalar_until  # branches of one loop may jump back into it
                scalar_until = max(scalar_until, end)
    return wide > 0 and scalar <= 1


def failures(isa: str, path: str, nm: str, objdump: str) -> list[str]:
    found = []
    table = f"gradstep::gradstep_kernels_{isa}"
    extra = [symbol for symbol in exported_symbols(nm, path) if symbol != table]
    if extra:
        found.append(
            f"the {isa} object exports {', '.join(extra)}. The linker may hand these to code for "
            "older CPUs: put them into an anonymous namespace, or do without the std:: function "
            "that brought them in."
        )
    if isa not in REGISTERS:
        return found
    wanted, forbidden = REGISTERS[isa]
    bodies = functions(objdump, path)
    for name, body in bodies.items():
        if forbidden and re.search(forbidden, "\n".join(code for _, code in body)):
            found.append(
                f"{name} in the {isa} object uses registers wider than {isa} has. Check that no "
                "wider -m flag or target attribute reaches this file."
            )
        if "::update<" in name and not is_vectorised(with_callees(name, bodies), wanted):
            found.append(
                f"{name} in the {isa} object is not vectorised. Compile kernels.cpp with "
                "-fopt-info-vec-missed (gcc) or -Rpass-missed=loop-vectorize (clang) to see why."
            )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", required=True)
    parser.add_argument("--objdump", required=True)
    parser.add_argument("--isas", nargs="+", required=True)
    parser.add_argument("--objects", nargs="+", required=True)
    args = parser.parse_args()
    found = []
    for isa, path in zip(args.isas, args.objects, strict=True):
        found += failures(isa, path, args.nm, args.objdump)
    for failure in found:
        print(f"kernel gate: {failure}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
