"""Run the whole test suite once on each instruction set that this machine has.

What a wheel is tested with: ``python tests/per_isa.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gradstep import runtime


def main() -> int:
    isas = runtime.available_isas()
    if not isas:
        print("this installation has no compiled kernels", file=sys.stderr)
        return 1
    for isa in isas:
        print(f"== {isa}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", str(Path(__file__).parent)],
            env={**os.environ, "GRADSTEP_ISA": isa},
        )
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
