"""The cost of the import over NumPy's: ``python -m benchmarks.studies.import_time``"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

CODE = """
import time, numpy
start = time.perf_counter()
import gradstep
print(time.perf_counter() - start)
"""


def main() -> None:
    times = []
    for _ in range(20):
        done = subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True
        )
        times.append(float(done.stdout))
    print(f"import gradstep, numpy being there: median {1e3 * median(times):.1f} ms of 20")


if __name__ == "__main__":
    main()
