"""A step needs no memory that grows with the parameters."""

from __future__ import annotations

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="this system does not report peak memory")


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("options", ["", "clip_norm=1.0", "ema_decay=0.9, l1=0.1, clip_value=1.0"])
def test_steps_do_not_raise_peak_memory(options: str) -> None:
    code = f"""
import resource, sys
import numpy as np, gradstep as gs
n = 8 * 2**20
w, grad = np.ones((2, n), np.float32)
opt = gs.AdamW(w, {options})
opt.step(grad)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(3):
    opt.step(grad)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * (1 if sys.platform == "darwin" else 1024) / n)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    bytes_per_element = float(done.stdout)
    assert bytes_per_element < 0.05
