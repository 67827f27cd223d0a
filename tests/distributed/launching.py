"""Runs :mod:`tests.distributed.program` on ranks that are processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT = 120  # seconds; ranks that are still there then have hung
AS_ROOT = {  # Open MPI in a container, with fewer cores than ranks
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def mpiexec() -> str | None:
    """That of this environment, or the first on the path."""
    beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    return beside or shutil.which("mpiexec")


def run(ranks: int, *args: str, kind: str = "mpi") -> subprocess.CompletedProcess[str]:
    """The program on so many ranks of MPI; a TimeoutExpired where they hang."""
    command = [str(mpiexec()), "-n", str(ranks), sys.executable, "-m", "tests.distributed.program"]
    return finished([*command, kind, *args])


def finished(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | AS_ROOT | {"PYTHONPATH": python_path()} | more
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace",
        timeout=LIMIT, check=False,
    )  # fmt: skip


def python_path() -> str:
    before = os.environ.get("PYTHONPATH")
    return f"{ROOT}{os.pathsep}{before}" if before else str(ROOT)


def results(done: subprocess.CompletedProcess[str]) -> list[Any]:
    """What the ranks have printed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
