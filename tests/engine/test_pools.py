"""Whose threads steps run on: awake within steps, asleep between them, in nobody's way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gradstep as gs
from tests.engine.test_runtime import run_python

pytestmark = pytest.mark.usefixtures("native")
LINUX = sys.platform.startswith("linux")
LARGE = 4_000_000  # elements of AdamW, enough to wake a thread for whoever wants its core
SOURCE = Path(__file__).parents[2] / "csrc"


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("beside", ["", "import torch"])
def test_no_core_is_busy_after_a_step(burst: int, beside: str) -> None:
    """OpenMP's waiting threads would spin through most of each pause of 5 ms."""
    if beside:
        pytest.importorskip("torch")
    done = run_python(f"""
import time
{beside}
import numpy as np, gradstep as gs
w, grad = np.zeros({LARGE}, np.float32), np.ones({LARGE}, np.float32)
opt = gs.AdamW(w, lr=0.1)
gs.runtime.set_num_threads(2)
opt.step(grad)
in_steps, rounds = 0.0, 60
own, everyone = time.thread_time(), time.process_time()
for _ in range(rounds):
    for _ in range({burst}):
        started = time.perf_counter()
        opt.step(grad)
        in_steps += time.perf_counter() - started
    time.sleep(0.005)
others = (time.process_time() - everyone) - (time.thread_time() - own)
print((others - in_steps) / rounds)
""")
    assert float(done.stdout) < 0.0005, done.stderr


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="reads schedstat")
def test_threads_sleep_after_a_thousand_steps() -> None:
    done = run_python(f"""
import os, time
import numpy as np, gradstep as gs
before = set(os.listdir("/proc/self/task"))
gs.runtime.set_num_threads(3)
w, grad = np.zeros({LARGE}, np.float32), np.ones({LARGE}, np.float32)
opt = gs.AdamW(w)
for _ in range(1000):
    opt.step(grad)
own = set(os.listdir("/proc/self/task")) - before
assert len(own) == 2, own
def ran():
    return sum(int(open(f"/proc/self/task/{{t}}/schedstat").read().split()[0]) for t in own)
assert ran() > 0
time.sleep(0.01)
asleep = ran()
time.sleep(0.05)
print(ran() - asleep)
""")
    assert float(done.stdout) < 1e6, done.stderr  # nanoseconds


@pytest.mark.skipif(not (LINUX and shutil.which("c++")), reason="needs Linux and a compiler")
@pytest.mark.parametrize("gate", ["late_worker", "stress_signal", "stress_pool"])
def test_the_pool_alone(gate: str, tmp_path: Path) -> None:
    """A caller waits for no worker that has not begun; no wake-up is lost; each chunk runs once."""
    if not SOURCE.exists():
        pytest.skip("the gates are part of the source tree")
    program = str(tmp_path / gate)
    files = [str(SOURCE / "engine" / "pool.cpp"), str(SOURCE / "gates" / f"{gate}.cpp")]
    subprocess.run(
        ["c++", "-std=c++17", "-O1", "-pthread", f"-I{SOURCE}", *files, "-o", program], check=True
    )
    done = subprocess.run([program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def on_two_threads(opt: gs.AdamW, grad: NDArray[Any]) -> bool:
    """Whether a step is, sooner or later: other programs may need the cores."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        opt.step(grad)
        last = gs.runtime.last_step()
        assert last is not None
        assert last[1:] in ((None, 1), ("parking", 2))
        if last.threads == 2:
            return True
    return False


def test_what_the_last_step_ran_on() -> None:
    grad = np.ones(8 * LARGE, np.float32)
    opt = gs.AdamW(np.zeros_like(grad), lr=0.1, clip_norm=1.0)
    with gs.runtime.set_num_threads(2):
        assert on_two_threads(opt, grad)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(gs.runtime.last_step()))
        thread.start()
        thread.join()
        assert seen == [None]  # of a thread that has taken none
    before = gs.runtime.last_step()
    with gs.runtime.set_num_threads(1):
        gs.global_norm([grad])
        skipping = gs.AdamW(np.zeros(3), skip_nonfinite=True)
        skipping.step(np.full(3, np.nan))
        with gs.runtime.set_backend("numpy"):
            gs.SGD(np.zeros(3), lr=0.1).step(np.ones(3))
        assert gs.runtime.last_step() == before
        opt.step(grad)
    assert gs.runtime.last_step() == (gs.runtime.isa(), None, 1)


def test_pools_can_be_chosen() -> None:
    assert gs.runtime.pool() == "auto"
    with gs.runtime.set_pool("parking"):
        assert gs.runtime.pool() == "parking"
    assert gs.runtime.pool() == "auto"
    with pytest.raises(ValueError, match=r"pool must be one of \['auto', 'parking', 'openmp'\]"):
        gs.runtime.set_pool("tbb")
    done = run_python("import gradstep.__main__ as m; m.main()", GRADSTEP_POOL="parking")
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert shown["pool"] == "parking"
    assert shown["large"].startswith(f"step  {gs.runtime.isa()}, ")
    refused = run_python("import gradstep", GRADSTEP_POOL="tbb")
    assert "the environment variable GRADSTEP_POOL: pool must be one of" in refused.stderr


def test_without_an_openmp_library_its_pool_is_our_own() -> None:
    done = run_python(f"""
import numpy as np, gradstep as gs
from gradstep import _native
assert gs.runtime.openmp_library() is None
gs.runtime.set_num_threads(2)
gs.runtime.set_pool("openmp")
w = np.zeros({LARGE}, np.float32)
gs.AdamW(w).step(w + 1)
print(_native.parked_workers())
""")
    assert done.stdout.strip() == "1", done.stderr


@pytest.mark.skipif(not LINUX, reason="knows the name of GNU's OpenMP library on Linux")
@pytest.mark.parametrize("first", ["torch", "gradstep"])
def test_pytorchs_tensors_are_stepped_on_pytorchs_threads(first: str) -> None:
    pytest.importorskip("torch")
    done = run_python(f"""
import {first}
import numpy as np, torch, gradstep as gs
from gradstep import _native
gs.runtime.set_num_threads(2)
def train(w):
    opt = gs.AdamW(w, lr=0.1)
    for t in range(3):
        opt.step(np.cos(w * (t + 1)))
    return w.tobytes()
start = np.linspace(-1, 1, {LARGE}, dtype=np.float32)
tensor = torch.nn.Parameter(torch.tensor(start))
shared = train(tensor.detach().numpy()[:])
assert gs.runtime.last_step()[1:] == ("openmp", 2) or torch.get_num_threads() == 1
train(tensor.detach().half().numpy())
assert gs.runtime.last_step()[1:] == ("openmp", 2) or torch.get_num_threads() == 1
assert "libgomp" in gs.runtime.openmp_library()
assert _native.parked_workers() == 0
own = train(start.copy())
assert _native.parked_workers() == 1
print(shared == own)
""")
    assert done.stdout.strip() == "True", done.stderr
