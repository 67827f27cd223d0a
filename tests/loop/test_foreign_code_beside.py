"""Foreign code, and arrays changed meanwhile, in what a loop calls beside the step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything
from tests.optimizer.test_foreign_code import SIZE, ByArray, Stage, ones, read_only, resize

pytestmark = pytest.mark.usefixtures("backend")


def momentum(params: Any) -> gs.SGD:
    opt = gs.SGD(params, lr=0.1, momentum=0.9, ema_decay=0.5)
    opt.step(ones())
    return opt


@pytest.mark.parametrize("moved", [gs.SGD.swap_averages, gs.SGD.lookahead])
def test_nothing_moves_where_a_parameter_was_resized(moved: Any) -> None:
    params = ones()
    opt = momentum(params)
    resize(params["b"], 10)
    before = everything(opt)
    with pytest.raises(ValueError, match="parameter 'b' is no longer"), moved(opt):
        pass
    assert_same_bits(everything(opt), before)


@pytest.mark.parametrize("moved", [gs.SGD.swap_averages, gs.SGD.lookahead])
def test_what_was_moved_for_a_while_cannot_be_resized_and_comes_back(moved: Any) -> None:
    params = ones()
    opt = momentum(params)
    before = everything(opt)
    with moved(opt):
        for name in "bc":
            with pytest.raises(ValueError, match="resize"):
                resize(params[name], 100 * SIZE)
            read_only(params[name])
    assert_same_bits(everything(opt), before)


def test_a_schedule_that_spoils_arrays_keeps_a_state_from_being_loaded() -> None:
    params = ones()
    opt = momentum(params)
    saved = opt.state_dict()

    def lr(step: int) -> float:
        if spoiling:
            read_only(opt.state["c"]["momentum_buffer"])
        return 0.1

    spoiling = False
    opt.lr = lr
    opt.step(ones())
    saved["groups"][0].pop("lr")
    before = everything(opt)
    spoiling = True
    with pytest.raises(ValueError, match=r"state\['c'\]\['momentum_buffer'\] has become read-only"):
        opt.load_state_dict(saved)
    assert_same_bits(everything(opt), before)
    assert opt.steps == 2


def test_a_file_is_not_loaded_into_parameters_that_a_schedule_spoils(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    params = ones()
    spoilt: list[bool] = []

    def lr(step: int) -> float:
        if spoilt:
            read_only(params["c"])
        return 0.1

    opt = gs.SGD(params, lr=lr)
    gs.save(tmp_path / "file", opt)
    opt.step(ones())
    before = everything(opt)
    spoilt.append(True)
    with pytest.raises(ValueError, match="parameter 'c' of opt has become read-only"):
        gs.load(tmp_path / "file", opt)
    assert_same_bits(everything(opt), before)
    assert opt.steps == 1


class Changing(dict[str, Any]):
    """A mapping whose arrays are others each time it is read."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, np.ndarray):
            self[name] = np.ones(value.size + 1, value.dtype)
        return value


def test_a_state_is_read_once() -> None:
    stage = Stage()
    saved = stage.opt.state_dict()
    expected = everything(stage.opt)
    stage.opt.step(stage.grads)
    for name, param in stage.params.items():
        param[...] = expected[name]
    saved["state"] = {name: Changing(of_one) for name, of_one in saved["state"].items()}
    saved["ema"] = Changing(saved["ema"])
    stage.opt.load_state_dict(saved)
    assert_same_bits(everything(stage.opt), expected)


def test_a_sum_with_a_read_only_part_adds_nothing() -> None:
    total = gs.GradientSum()
    total.add(ones())
    read_only(total.grads["b"])
    with pytest.raises(ValueError, match="the sum of gradient 'b' has become read-only"):
        total.add(ones())
    assert total.count == 1
    np.testing.assert_array_equal(total.grads["a"], 1.0)
    total.clear()
    total.add({**ones(), "b": 2 * ones()["b"]})
    np.testing.assert_array_equal(total.grads["b"], 2.0)


@pytest.mark.parametrize("cleared", [False, True])
def test_a_sum_changed_while_it_reads_adds_to_what_it_is_then(cleared: bool) -> None:
    total = gs.GradientSum()
    total.add([np.ones(2), np.ones(2)])
    other = [np.ones(3)] if cleared else [np.ones(2), np.ones(2)]

    def act() -> None:
        if cleared:
            total.clear()
        total.add(other)

    hostile = [ByArray(np.ones(2), act), np.ones(2)]
    if cleared:
        with pytest.raises(ValueError, match="grads must have the structure of those before"):
            total.add(hostile)
        assert total.count == 1
        np.testing.assert_array_equal(total.grads[0], np.ones(3))
    else:
        total.add(hostile)
        assert total.count == 3
        np.testing.assert_array_equal(total.grads[0], [3.0, 3.0])


def test_clipping_reads_each_gradient_once() -> None:
    calls: list[None] = []
    grad = np.array([3.0, 4.0])

    def act() -> None:
        calls.append(None)
        grad[:] = grad * 2

    clipped, norm = gs.clip_grads([ByArray(grad, act)], norm=1.0)
    assert norm == np.linalg.norm(grad)
    np.testing.assert_allclose(np.linalg.norm(clipped[0]), 1.0, rtol=1e-6)
    assert len(calls) == 1


def test_the_best_parameters_come_back_though_they_are_forgotten_meanwhile() -> None:
    stopping = gs.EarlyStopping()
    stopping.update(1.0, {"w": np.zeros(2)})

    class Params(dict[str, Any]):
        def values(self) -> Any:
            stopping.load_state_dict({"best": 1.0, "bad": 0, "kept": None})
            return super().values()

    w = np.ones(2)
    stopping.restore(Params(w=w))
    np.testing.assert_array_equal(w, 0.0)


def test_the_loops_write_no_read_only_array() -> None:
    _native = pytest.importorskip("gradstep._native", reason="the loops are compiled kernels")
    to = np.zeros(3)
    read_only(to)
    with pytest.raises(ValueError, match="writeable"):
        _native.divide(1, 1, np.ones(3), np.ones(3), to)
    with pytest.raises(ValueError, match="writeable"):
        _native.stream(np.ones(3), [to], "sgd")
    np.testing.assert_array_equal(to, 0.0)
