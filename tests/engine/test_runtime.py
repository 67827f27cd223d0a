"""Backends, instruction sets, threads, processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import THRESHOLD


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_setters_take_effect_and_are_undone() -> None:
    before = gs.runtime.backend()
    with gs.runtime.set_backend("numpy"):
        assert gs.runtime.backend() == "numpy"
    assert gs.runtime.backend() == before
    with pytest.raises(ValueError, match=r"backend must be one of \[.*'numpy'\], got 'cuda'"):
        gs.runtime.set_backend("cuda")


@pytest.mark.usefixtures("native")
def test_isas() -> None:
    available = gs.runtime.available_isas()
    assert available
    widest = gs.runtime.isa()
    for name in available:
        with gs.runtime.set_isa(name):
            assert gs.runtime.isa() == name
        assert gs.runtime.isa() == widest
    for name in ("avx1024", "", "AVX2"):
        with pytest.raises(ValueError, match="isa must be one that this build has"):
            gs.runtime.set_isa(name)
    assert gs.runtime.isa() == widest


@pytest.mark.usefixtures("native")
def test_threads() -> None:
    before = gs.runtime.num_threads()
    with gs.runtime.set_num_threads(3):
        assert gs.runtime.num_threads() == 3
    assert gs.runtime.num_threads() == before
    for bad in (0, -1, 10**6):
        with pytest.raises(ValueError, match="count must be from 1 to 1024 threads"):
            gs.runtime.set_num_threads(bad)
    with pytest.raises(TypeError, match="count must be an integer"):
        gs.runtime.set_num_threads(1.5)  # type: ignore[arg-type]


@pytest.mark.usefixtures("native")
def test_a_number_of_threads_that_is_undone_leaves_the_choice_to_the_machine() -> None:
    from gradstep import _native

    before = _native.set_num_threads(0)
    with gs.runtime.set_num_threads(3):
        pass
    assert _native.set_num_threads(before) == 0


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", gs.runtime.available_isas())
def test_the_environment_forces_an_instruction_set(name: str) -> None:
    code = "import gradstep as gs; print(gs.runtime.isa())"
    done = run_python(code, GRADSTEP_ISA=name)
    assert done.stdout.strip() == name


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", gs.runtime.available_isas())
def test_the_forced_instruction_set_is_the_one_that_ran(name: str) -> None:
    opt = gs.SGD(np.zeros(100), lr=0.1)
    with gs.runtime.set_isa(name):
        opt.step(np.ones(100))
        assert gs.runtime.last_step() == (name, None, 1)
    opt.step(np.ones(100))
    assert gs.runtime.last_step() == (gs.runtime.isa(), None, 1)


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("GRADSTEP_ISA", "avx1024", "avx1024"),
        ("GRADSTEP_BACKEND", "cuda", "backend must be one of"),
    ],
)
def test_a_wrong_environment_is_an_error_at_import(variable: str, value: str, text: str) -> None:
    done = run_python("import gradstep", **{variable: value})
    assert done.returncode != 0
    assert text in done.stderr


def test_the_environment_forces_the_numpy_backend_silently() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import gradstep as gs; print(gs.runtime.backend())"
    )
    done = run_python(code, GRADSTEP_BACKEND="numpy")
    assert done.stdout.strip() == "numpy", done.stderr


def test_without_the_extension_the_package_works_and_says_so_once() -> None:
    code = """
import sys, warnings
sys.modules["gradstep._native"] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import gradstep as gs
    import numpy as np
    w = np.zeros(2)
    gs.Adam(w, lr=0.5).step(np.ones(2))
assert [c.category for c in caught] == [gs.BackendWarning], caught
assert "GRADSTEP_BACKEND=numpy" in str(caught[0].message)
assert gs.runtime.backend() == "numpy" and gs.runtime.isa() is None
with gs.runtime.set_num_threads(2), gs.runtime.set_flush_denormals(True):
    assert gs.runtime.num_threads() == 1 and not gs.runtime.flush_denormals()
for bad in (lambda: gs.runtime.set_backend("native"), lambda: gs.runtime.set_isa("avx2")):
    try:
        bad()
    except ValueError as error:
        assert "could not be imported" in str(error)
    else:
        raise AssertionError
print(w)
"""
    done = run_python(code, GRADSTEP_BACKEND="", GRADSTEP_ISA="")
    assert done.stdout.strip() == "[-0.5 -0.5]", done.stderr


def test_an_existing_optimizer_follows_the_backend() -> None:
    w = np.zeros(3)
    opt = gs.SGD(w, lr=1.0, momentum=0.5)
    opt.step(np.ones(3))
    with gs.runtime.set_backend("numpy"):
        opt.step(np.ones(3))
    opt.step(np.ones(3))
    np.testing.assert_array_equal(w, np.full(3, -(1 + 1.5 + 1.75)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.usefixtures("native")
def test_a_forked_child_steps_after_its_parent_used_threads() -> None:
    code = f"""
import os, signal, warnings
import numpy as np, gradstep as gs
warnings.simplefilter("ignore", DeprecationWarning)
gs.runtime.set_num_threads(2)
def train():
    w = np.ones({16 * THRESHOLD}, np.float32)
    opt = gs.AdamW(w, lr=0.1)
    for _ in range(3):
        opt.step(np.ones_like(w))
    return w.tobytes()
parent = train()
pid = os.fork()
if pid == 0:
    signal.alarm(60)  # a hanging child is killed, and so found
    os._exit(0 if train() == parent and gs.runtime.num_threads() == 2 else 1)
status = os.waitpid(pid, 0)[1]
assert train() == parent and gs.runtime.num_threads() == 2
print(status)
"""
    assert run_python(code).stdout.strip() == "0"


class SlowGradient:
    """A gradient whose conversion waits, so that a step can be caught in the middle."""

    def __init__(self) -> None:
        self.entered, self.release = threading.Event(), threading.Event()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        self.entered.set()
        assert self.release.wait(60)
        return np.ones(3)


@pytest.mark.usefixtures("backend")
def test_a_second_step_at_the_same_time_is_an_error() -> None:
    w = np.zeros(3)
    opt = gs.SGD(w, lr=1.0)
    slow = SlowGradient()
    thread = threading.Thread(target=opt.step, args=(slow,))
    thread.start()
    assert slow.entered.wait(60)
    with pytest.raises(RuntimeError, match="this optimizer is busy with another step"):
        opt.step(np.ones(3))
    with pytest.raises(RuntimeError, match=r"busy with another step; call state_dict\(\) after"):
        opt.state_dict()
    slow.release.set()
    thread.join()
    np.testing.assert_array_equal(w, -np.ones(3))
    opt.step(np.ones(3))


@pytest.mark.usefixtures("native")
def test_other_threads_run_while_kernels_do() -> None:
    """The GIL is released: this thread wakes up before the other one's long step is over."""
    w = np.zeros(30_000_000, np.float32)
    grad = np.ones_like(w)
    opt = gs.SGD(w, lr=0.1)
    started, finished = threading.Event(), threading.Event()

    def step() -> None:
        started.set()
        opt.step(grad)
        finished.set()

    thread = threading.Thread(target=step)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)  # nothing but the kernel lets go of the GIL
    try:
        with gs.runtime.set_num_threads(1):
            thread.start()
            assert started.wait(60)
            woke_up_during_the_step = not finished.is_set()
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert woke_up_during_the_step


def test_module_main_reports_the_installation() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gradstep"], capture_output=True, text=True, check=True
    )
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert shown["gradstep"].strip() == gs.__version__
    assert shown["backend"] == gs.runtime.backend()


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("isa", gs.runtime.available_isas())
@pytest.mark.parametrize("threads", [1, 2])
def test_denormals_are_flushed_in_steps_where_asked_for(isa: str, threads: int) -> None:
    from gradstep import _native

    smallest = np.float32(1e-45)

    def after_a_step() -> gs.SGD:
        opt = gs.SGD(np.zeros(500_000, np.float32), lr=1.0, momentum=0.9)
        opt.step(np.full(500_000, 1e-38, np.float32))
        return opt

    with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
        with gs.runtime.set_flush_denormals(True):
            assert gs.runtime.flush_denormals()
            assert not after_a_step().state["0"]["momentum_buffer"].any()
            assert smallest * np.float32(3.0) > 0  # NumPy's arithmetic is as it was
        assert not gs.runtime.flush_denormals()
        assert after_a_step().state["0"]["momentum_buffer"].all()
    assert threads == 1 or _native.parked_workers() >= 1


@pytest.mark.usefixtures("native")
def test_cautious_steps_are_counted_with_denormals_flushed_too() -> None:
    w = np.zeros(2, np.float32)
    opt = gs.SGD(w, lr=1.0, momentum=0.9, cautious=True)
    with gs.runtime.set_flush_denormals(True):
        opt.step(np.array([1.0, 1e-40], np.float32))  # one agrees: size/(count + 1) is 1
    np.testing.assert_array_equal(w, np.array([-1.0, 0.0], np.float32))


def test_flushing_takes_a_bool() -> None:
    with pytest.raises(TypeError, match="on must be True or False, got 1"):
        gs.runtime.set_flush_denormals(1)  # type: ignore[arg-type]
