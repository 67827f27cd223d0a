"""Threads: how many, and the same bits with any number of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.engine.test_runtime import run_python

pytestmark = pytest.mark.usefixtures("native")
LINUX = sys.platform.startswith("linux")
LARGE = 4_000_000  # elements of AdamW, enough to wake a thread for whoever wants its core


def trained(size: int = LARGE, steps: int = 3) -> bytes:
    w = np.linspace(-1, 1, size, dtype=np.float32)
    opt = gs.AdamW(w, lr=0.1, clip_norm=1.0)
    for t in range(steps):
        opt.step(np.cos(w * (t + 1)))
    return w.tobytes()


@pytest.fixture
def alone() -> bytes:
    with gs.runtime.set_num_threads(1):
        return trained()


@pytest.mark.parametrize("threads", [2, 3, 7, 64])
def test_more_threads_than_cores_give_the_same_bits(alone: bytes, threads: int) -> None:
    with gs.runtime.set_num_threads(threads):
        assert trained() == alone


@pytest.mark.usefixtures("low_threshold")
def test_optimizers_in_many_python_threads_share_the_pool() -> None:
    with gs.runtime.set_num_threads(1):
        expected = trained(5000, steps=50)
    wrong = []

    def run() -> None:
        for _ in range(10):
            if trained(5000, steps=50) != expected:
                wrong.append(threading.current_thread().name)

    with gs.runtime.set_num_threads(4):
        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_signals_go_to_the_threads_of_the_program() -> None:
    code = f"""
import os
import numpy as np, gradstep as gs
before = set(os.listdir("/proc/self/task"))
gs.runtime.set_num_threads(3)
w = np.ones({2 * LARGE}, np.float32)
gs.AdamW(w).step(w.copy())
new = set(os.listdir("/proc/self/task")) - before
assert len(new) == 2, new
for thread in new:
    status = open(f"/proc/self/task/{{thread}}/status").read()
    blocked = int(status.split("SigBlk:")[1].split()[0], 16)
    assert blocked >> 1 & 1 and blocked >> 13 & 1, hex(blocked)  # SIGINT, SIGALRM
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not LINUX, reason="limits memory by RLIMIT_AS")
def test_where_threads_cannot_be_had_fewer_do_the_work() -> None:
    code = """
import resource
import numpy as np, gradstep as gs
from gradstep import _native
w, g = np.ones(4_000_000, np.float32), np.ones(4_000_000, np.float32)
opt = gs.AdamW(w)
_native.set_least_work(1000, 1000, 0)
gs.runtime.set_num_threads(400)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20,) * 2)
opt.step(g)
opt.step(g)
assert _native.parked_workers() < 399, _native.parked_workers()
print(float(w[0]), float(w[-1]))
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.split()
    assert first == last != "1.0"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_in_the_middle_of_a_step_has_threads_of_its_own() -> None:
    code = f"""
import os, signal, threading, time, warnings
import numpy as np, gradstep as gs
from gradstep import _native
warnings.simplefilter("ignore", DeprecationWarning)
gs.runtime.set_num_threads(2)
def train():
    w = np.linspace(-1, 1, {LARGE}, dtype=np.float32)
    opt = gs.AdamW(w, lr=0.1)
    for _ in range(3):
        opt.step(w * w)
    return w.tobytes()
expected = train()
big = np.zeros(30_000_000, np.float32)
other = gs.AdamW(big)
stop = threading.Event()
def steps():
    while not stop.is_set():
        other.step(big.copy())
thread = threading.Thread(target=steps)
thread.start()
statuses = []
for _ in range(5):
    time.sleep(0.02)
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)  # a hanging child is killed, and so found
        os._exit(0 if train() == expected and _native.parked_workers() == 1 else 1)
    statuses.append(os.waitpid(pid, 0)[1])
stop.set()
thread.join()
print(statuses)
"""
    assert run_python(code).stdout.strip() == "[0, 0, 0, 0, 0]"


def test_a_process_ends_while_threads_sleep() -> None:
    done = run_python(f"""
import numpy as np, gradstep as gs
w = np.zeros({LARGE}, np.float32)
gs.runtime.set_num_threads(2)
gs.AdamW(w).step(w + 1)
print("done")
""")
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_process_ends_while_daemon_threads_step(size: int) -> None:
    """Before Python 3.14 they are ended when they come back for the global lock."""
    for _ in range(3):
        done = run_python(f"""
import threading, time
import numpy as np, gradstep as gs
def steps():
    w = np.zeros({size}, np.float32)
    opt = gs.SGD(w, lr=0.1)
    while True:
        opt.step(w + 1)
for _ in range(2):
    threading.Thread(target=steps, daemon=True).start()
time.sleep(0.1)
print("done")
""")
        assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr


NUMBER = "import gradstep as gs; print(gs.runtime.num_threads())"


@pytest.mark.parametrize(("wanted", "threads"), [("3", "3"), ("5,2", "5")])
def test_the_number_of_threads_obeys_openmps_variable(wanted: str, threads: str) -> None:
    assert run_python(NUMBER, OMP_NUM_THREADS=wanted).stdout.strip() == threads


@pytest.mark.parametrize("nothing", ["", "0", "-1", "many"])
def test_what_is_no_number_of_threads_leaves_the_choice_to_the_machine(nothing: str) -> None:
    without = run_python(NUMBER, OMP_NUM_THREADS="").stdout
    assert run_python(NUMBER, OMP_NUM_THREADS=nothing).stdout == without


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_threads_are_as_many_as_cpus_that_the_process_may_use() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); " + NUMBER
    assert run_python(code, OMP_NUM_THREADS="").stdout.strip() == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_more_threads_on_one_cpu_give_the_same_bits(alone: bytes) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [min(before)])
    try:
        with gs.runtime.set_num_threads(4):
            assert trained() == alone
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare to show a control group")
def test_a_quota_of_cpu_time_limits_threads() -> None:
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line for line in groups if line.startswith("0::")), None)
    if own is None:
        pytest.skip("no unified control group")
    folder = "/sys/fs/cgroup" + own[3:].strip().rstrip("/")
    program = f"OMP_NUM_THREADS= {sys.executable} -c '{NUMBER}'"
    script = (
        "mount -t tmpfs none /sys/fs/cgroup 2>/dev/null || exit 77\n"
        f"mkdir -p {folder}; echo '150000 100000' > {folder}/cpu.max; {program}"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("may not mount a control group of its own")
    assert done.stdout.strip() == "1", done.stderr


def test_norms_outside_of_a_step_have_the_same_bits() -> None:
    grads: list[Any] = [np.full(1_000_000, 0.5, np.float32), np.ones(7)]
    with gs.runtime.set_num_threads(1):
        expected = gs.global_norm(grads)
    with gs.runtime.set_num_threads(3):
        assert gs.global_norm(grads) == expected


@pytest.mark.parametrize("count", [1, 47, 48, 100, 1000])
def test_jobs_larger_than_a_steps_own_work(count: int) -> None:
    """Norms go by whole blocks, so many small tensors are more work for them than for the step."""
    grads = [np.full(8, 0.5, np.float32) for _ in range(count)]
    params = [np.ones(8, np.float32) for _ in range(count)]
    gs.AdamW(params, lr=0.1, clip_norm=1.0).step(grads)
    assert gs.global_norm(grads) == 0.5 * np.sqrt(8 * count)
    assert all((p == params[0]).all() for p in params)


@pytest.mark.usefixtures("low_threshold")
def test_the_number_of_threads_may_change_while_others_step() -> None:
    opt = gs.AdamW(np.ones(20_000, np.float32), lr=0.1)
    grad = np.ones(20_000, np.float32)
    stop = threading.Event()

    def toggle() -> None:
        while not stop.is_set():
            gs.runtime.set_num_threads(1)
            gs.runtime.set_num_threads(2)

    with gs.runtime.set_num_threads(2):
        thread = threading.Thread(target=toggle)
        thread.start()
        for _ in range(3000):
            opt.step(grad)
        stop.set()
        thread.join()
    assert opt.steps == 3000


def test_the_programs_own_flushing_of_denormals_changes_no_bit() -> None:
    torch = pytest.importorskip("torch")
    grads = [np.full(1_000_000, value, np.float32) for value in (1e-38, 1e-39)]

    def run() -> bytes:
        opt = gs.SGD(np.zeros(1_000_000, np.float32), lr=1.0, momentum=0.9)
        for grad in grads:
            opt.step(grad)
        return opt.state["0"]["momentum_buffer"].tobytes()

    expected = run()
    torch.set_flush_denormal(True)
    try:
        assert run() == expected
        with gs.runtime.set_num_threads(1):
            assert run() == expected
    finally:
        torch.set_flush_denormal(False)


def test_units_on_threads_that_the_step_has_not() -> None:
    for rows in (100, 400, 500, 1000, 4000):
        w = np.ones((rows, 100), np.float32)
        gs.SGD(w, lr=0.1, clip_adaptive=0.01).step(np.ones_like(w))
        assert (w == w[0, 0]).all()
        assert w[0, 0] < 1
