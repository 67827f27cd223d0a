"""Instructions of a step outside its arithmetic: ``python -m benchmarks.instructions``

Callgrind counts them, so that they do not depend on what else the machine does. Models are tiny,
so that nearly all is the Python and the binding layer. One process imports everything and then
forks for every case and number of steps; the difference between two numbers is the steps alone.
Fails where a count is higher than the one in ``instructions.json``; ``--update`` writes it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.compare import Measured, compare, passes, summary, table
from gradstep import runtime

COUNTS = Path(__file__).with_name("instructions.json")
# The same command in the same place repeats to within 0.01 %. Other paths and environments, or
# bytecode that is compiled in the same run, place objects differently: up to 0.2 % was seen.
TOLERANCE = 0.005
ENVIRONMENT = {
    "GRADSTEP_ISA": "sse2",  # every x86-64 has it, and Valgrind no AVX-512
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


def key() -> str:
    """What counts depend on beside gradstep."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"NumPy {np.__version__}, {runtime.build_info()['compiler']}, {platform.machine()}"
    )


def unavailable() -> str | None:
    """Why nothing can be counted here; None where it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    if "sse2" not in runtime.available_isas():
        return "it needs the compiled kernels for x86-64"
    return None


def totals(folder: Path) -> dict[int, int]:
    """Of every process id that callgrind wrote a file for, the instructions."""
    found = {}
    for path in folder.glob("counts.*"):
        match = re.search(r"^totals: (\d+)", path.read_text("utf-8", "replace"), re.MULTILINE)
        if match:
            found[int(path.suffix[1:])] = int(match[1])
    return found


def count() -> dict[str, float]:
    """Instructions per step of every case."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={folder}/counts.%p",
            sys.executable,
            "-m",
            "benchmarks.tiny_steps",
        ]
        done = subprocess.run(
            command,
            env=kept | ENVIRONMENT,
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
        return per_step(done.stdout, totals(Path(folder)))


def per_step(runs: str, instructions: Mapping[int, int]) -> dict[str, float]:
    """From lines of ``pid steps case``, two for every case, and what each process executed."""
    of_case: dict[str, list[tuple[int, int]]] = {}
    for line in runs.splitlines():
        pid, steps, case = line.split(maxsplit=2)
        of_case.setdefault(case, []).append((int(steps), instructions[int(pid)]))
    counts = {}
    for case, pairs in of_case.items():
        (few, less), (many, more) = sorted(pairs)
        counts[case] = (more - less) / (many - few)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=Path, default=COUNTS, help="the file to compare with")
    parser.add_argument(
        "--require", action="store_true", help="fail, too, where nothing can be counted or compared"
    )
    parser.add_argument("--update", action="store_true", help="write the counts into the file")
    options = parser.parse_args()
    reason = unavailable()
    if reason is not None:
        print(f"instructions not counted: {reason}")
        return int(options.require)
    known = json.loads(options.counts.read_text("utf-8")) if options.counts.exists() else {}
    environment = key()
    if environment not in known and not options.update:
        print(f"instructions not counted: {options.counts} has nothing of {environment}, only of")
        print("\n".join(known))
        return int(options.require)
    counts = count()
    if options.update:
        known[environment] = {case: round(n, 1) for case, n in counts.items()}
        text = json.dumps(dict(sorted(known.items())), indent=1, ensure_ascii=False)
        options.counts.write_text(text + "\n", "utf-8")
    before = {case: Measured(n) for case, n in known[environment].items()}
    rows = compare(before, {case: Measured(n) for case, n in counts.items()}, TOLERANCE)
    print(f"instructions per step; {environment}\n")
    print(table(rows, ",.0f"))
    print(f"\n{summary(rows)}")
    return int(not passes(rows))


if __name__ == "__main__":
    sys.exit(main())
