"""How long a wheel takes to build, and how large it is: ``python -m benchmarks.studies.wheel``

The time is that of ``pip wheel`` on a source tree without anything built, in an environment of its
own, so that fetching scikit-build-core, pybind11 and CMake counts. Fails where the wheel is larger
than it may be.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

SOURCE = Path(__file__).parents[2]
MOST_BYTES = 5_000_000


def main() -> int:
    with TemporaryDirectory() as folder:
        build = [f"--wheel-dir={folder}", f"-Cbuild-dir={folder}/build", str(SOURCE)]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", *build], check=True
        )
        seconds = time.perf_counter() - start
        (wheel,) = Path(folder).glob("*.whl")
        size = wheel.stat().st_size
    print(f"{wheel.name}: {seconds:.0f} s on {os.cpu_count()} cores, {size / 1e6:.2f} MB")
    if size > MOST_BYTES:
        print(f"expected at most {MOST_BYTES / 1e6:.0f} MB")
    return int(size > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
