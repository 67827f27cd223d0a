"""Stop the build when a kernel object could break a CPU older than it was built for, or is slow.

Each instruction set's object must export its kernel table and nothing else, use no register wider
than its instruction set has, and have the loops of every update vectorised to its full width.
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
# The functions in kernel tables, with how many loops over whole vectors each has.
UPDATES = {"update": 1, "update_in_blocks": 3, "update_coded": 2}


class Instruction(NamedTuple):
    at: int
    code: str


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exported_symbols(nm: str, path: str) -> list[str]:
    listing = output_of(nm, "--defined-only", "--extern-only", "--demangle", path)
    return [line.split(maxsplit=2)[2] for line in listing.splitlines() if len(line.split()) >= 3]


def functions(listing: str) -> dict[str, list[Instruction]]:
    """The instructions of every function, by demangled name, of GNU or LLVM objdump."""
    bodies: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in listing.splitlines():
        if header := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            current = bodies.setdefault(header[1], [])
        elif match := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            current.append(Instruction(int(match[1], 16), match[2]))
    return bodies


def wide_loops(body: list[Instruction], registers: str) -> int:
    """How many innermost loops (what a jump backwards leads over) multiply in these registers."""
    loops = []
    for at, code in body:
        jump = re.match(r"(?:j|b|cbn?z|tbn?z)[^<]*?(?:0x)?([0-9a-f]+) <", code)
        if jump and body[0].at <= (start := int(jump[1], 16)) <= at:
            inside = "\n".join(code for where, code in body if start <= where <= at)
            if re.search(rf"(mulp|fmul).*{registers}", inside):
                loops.append((start, at))
    return sum(
        not any(start <= s and e <= end and (s, e) != (start, end) for s, e in loops)
        for start, end in loops
    )


def with_callees(name: str, bodies: dict[str, list[Instruction]]) -> list[list[Instruction]]:
    """A function's body, and those that the compiler has put elsewhere for it to jump to."""
    seen = [name]
    for caller in seen:
        for _, code in bodies[caller]:
            target = re.match(r"(?:jmpq?|callq?|bl?)\s+(?:0x)?[0-9a-f]+ <(.*)>$", code)
            if target and target[1] in bodies and target[1] not in seen:
                seen.append(target[1])
    return [bodies[each] for each in seen]


def unvectorised(isa: str, bodies: dict[str, list[Instruction]], registers: str) -> list[str]:
    found = []
    updates = 0
    for name in bodies:
        update = re.search(r"::(\w+)<", name.replace("(anonymous namespace)::", ""))
        if not update or update[1] not in UPDATES:
            continue
        updates += 1
        have = sum(wide_loops(body, registers) for body in with_callees(name, bodies))
        if have < UPDATES[update[1]]:
            found.append(
                f"{name} in the {isa} object has {have} vectorised loops instead of "
                f"{UPDATES[update[1]]}. Compile kernels.cpp with -fopt-info-vec-missed (gcc) or "
                "-Rpass-missed=loop-vectorize (clang) to see why."
            )
    if not updates:
        found.append(f"no update was found in what objdump says of the {isa} object.")
    return found


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
    listing = output_of(objdump, "-d", "-C", "--no-show-raw-insn", path)
    if forbidden and re.search(forbidden, listing):
        found.append(
            f"the {isa} object uses registers wider than {isa} has. Check that no wider -m flag or "
            "target attribute reaches this file."
        )
    found += unvectorised(isa, functions(listing), wanted)
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
