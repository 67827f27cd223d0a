"""An interrupt wherever Python looks for signals leaves an object as before or as after."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dis import opname
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array

pytestmark = pytest.mark.usefixtures("backend")

# After these CPython looks for signals, but not after those.
LOOKS, NONE = ("CALL", "RESUME", "JUMP_BACKWARD", "SEND"), "CALL_INTRINSIC"
WITHIN = (str(Path(gs.__file__).parent), "contextlib.py")

Objects = dict[str, Any]


@cache
def looks(code: CodeType) -> frozenset[int]:
    """Where the instructions are after which it does."""
    names = enumerate(opname[op] for op in code.co_code)
    return frozenset(
        at for at, name in names if name.startswith(LOOKS) and not name.startswith(NONE)
    )


class Interrupter:
    """Raises KeyboardInterrupt the `point`-th time that code of gradstep looks for signals.

    Where it passes a place again and again, for each hyperparameter say, the first two times count.
    """

    def __init__(self, point: int) -> None:
        self.left = point
        self._passed: Counter[Any] = Counter()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        code, caller = frame.f_code, frame.f_back
        if not (code.co_filename.startswith(WITHIN[0]) or code.co_filename.endswith(WITHIN[1])):
            return None
        places, origin, last = looks(code), caller and (caller.f_code, caller.f_lasti), -1

        def within(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            if event == "opcode":
                before, last = last, frame.f_lasti
                if before in places:
                    self.passes((code, before, origin))
            return within

        frame.f_trace = within  # before the next line: CPython 3.13 lets go of it otherwise
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return within

    def passes(self, place: Any) -> None:
        self._passed[place] += 1
        if self._passed[place] <= 2:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def interrupted(act: Callable[[Objects], object], objects: Objects, point: int) -> bool:
    """Whether there were so many points while it ran."""
    tracer, before = Interrupter(point), sys.gettrace()
    sys.settrace(tracer)
    try:
        act(objects)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return tracer.left == 0


def params(*names: str) -> dict[str, Array]:
    return {name: np.linspace(-1, 1, 6).reshape(2, 3) for name in names}


def adam(**options: Any) -> gs.Adam:
    groups = [{"params": params("a")}, {"params": params("b"), "weight_decay": 0.5}]
    return gs.Adam(groups, lr=0.1, **options)


def grads(opt: gs.Optimizer) -> dict[str, Array]:
    return {name: np.full((2, 3), 0.1 * len(name)) for name in opt.params}


def ready(**options: Any) -> Objects:
    opt = adam(ema_decay=0.5, **options)
    opt.step(grads(opt))
    opt.step(grads(opt) | {"b": None})
    return {"opt": opt}


def with_new_rule(**options: Any) -> Objects:
    objects = ready(**options)
    objects["opt"].amsgrad = True
    return objects


def with_copies() -> Objects:
    opt = gs.SGD(**halved("a", "b"), lr=0.1, momentum=0.9, ema_decay=0.5)
    objects = {"opt": opt, "state": opt.state_dict(), "group": halved("d")}
    opt.step(grads(opt))
    return objects


def halved(*names: str) -> dict[str, Any]:
    kinds = {"params": "float32", "copies": "float16"}
    return {k: {n: p.astype(t) for n, p in params(*names).items()} for k, t in kinds.items()}


def with_other_backend() -> Objects:
    objects = ready()
    other = {"native": "numpy", "numpy": "native"}[gs.runtime.backend()]
    if other not in gs.runtime.available_backends():
        pytest.skip("there is one backend")
    gs.runtime.set_backend(other)
    return objects


def two_gradients(shift: float = 0.0) -> list[Any]:
    return [np.full(3, 1.0 + shift), {"b": np.full((2, 2), 2.0 + shift)}]


def summed() -> Objects:
    total = gs.GradientSum()
    total.add(two_gradients())
    return {"total": total}


def cleared() -> Objects:
    objects = summed()
    objects["total"].clear()
    return objects


def stopping() -> Objects:
    opt = ready()["opt"]
    kept = gs.EarlyStopping()
    kept.update(1.0, dict(opt.params))
    opt.step(grads(opt))
    return {"opt": opt, "stopping": kept}


def scaling() -> Objects:
    return {"opt": adam(), "scaler": gs.LossScaler(init_scale=4.0, growth_interval=1)}


def kept() -> gs.schedules.ReduceLROnPlateau:
    lr = gs.schedules.ReduceLROnPlateau(0.5, patience=0, cooldown=1)
    lr.update(1.0)
    return lr


@cache
def checkpoint() -> TemporaryDirectory[str]:
    """A folder with one of other states than :func:`with_checkpoint` makes."""
    pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")
    folder = TemporaryDirectory()
    opt = gs.SGD(np.zeros(2), lr=0.5)
    gs.save(Path(folder.name) / "run", opt, scaler=gs.LossScaler(2.0), other=gs.LossScaler(2.0))
    return folder


def with_checkpoint() -> Objects:
    objects = {"scaler": gs.LossScaler(8.0), "other": gs.LossScaler(8.0)}
    return objects | {"opt": gs.SGD(np.ones(2), lr=0.1), "path": f"{checkpoint().name}/run"}


def load(objects: Objects) -> None:
    others = {name: objects[name] for name in ("scaler", "other")}
    gs.load(objects["path"], objects["opt"], hyperparameters=False, **others)


def moved(name: str) -> Callable[[Objects], None]:
    def act(objects: Objects) -> None:
        with getattr(objects["opt"], name)():
            pass

    return act


def skipping(objects: Objects) -> None:
    opt = objects["opt"]
    objects["scaler"].step(opt, grads(opt) | {"a": np.full((2, 3), np.inf)})


def with_another_state() -> Objects:
    return ready() | {"state": ready(betas=(0.5, 0.5))["opt"].state_dict()}


CASES: dict[str, tuple[Callable[[], Objects], Callable[[Objects], object]]] = {
    "step": (ready, lambda o: o["opt"].step(grads(o["opt"]))),
    "first step": (lambda: {"opt": adam()}, lambda o: o["opt"].step(grads(o["opt"]))),
    "step without some": (ready, lambda o: o["opt"].step(grads(o["opt"]) | {"b": None})),
    "step with a norm": (
        lambda: ready(clip_norm=0.1, clip_adaptive=0.1, cautious=True),
        lambda o: o["opt"].step(grads(o["opt"]), with_norm=True),
    ),
    "step after a new rule": (with_new_rule, lambda o: o["opt"].step(grads(o["opt"]))),
    "step after a backend switch": (with_other_backend, lambda o: o["opt"].step(grads(o["opt"]))),
    "load_state_dict": (with_another_state, lambda o: o["opt"].load_state_dict(o["state"])),
    "load": (with_checkpoint, load),
    "swap_averages": (ready, moved("swap_averages")),
    "add_group": (ready, lambda o: o["opt"].add_group({"params": params("d"), "lr": 0.5})),
    "step with copies": (with_copies, lambda o: o["opt"].step(grads(o["opt"]))),
    "load with copies": (with_copies, lambda o: o["opt"].load_state_dict(o["state"])),
    "swap_averages with copies": (with_copies, moved("swap_averages")),
    "lookahead": (with_copies, moved("lookahead")),
    "add_group with copies": (with_copies, lambda o: o["opt"].add_group(o["group"])),
    "a hyperparameter": (ready, lambda o: setattr(o["opt"], "lr", 0.7)),
    "a rule": (ready, lambda o: setattr(o["opt"], "amsgrad", True)),
    "GradientSum.add": (summed, lambda o: o["total"].add(two_gradients(0.5))),
    "GradientSum.add after clear": (cleared, lambda o: o["total"].add(two_gradients(0.5))),
    "EarlyStopping.restore": (stopping, lambda o: o["stopping"].restore(dict(o["opt"].params))),
    "EarlyStopping.update": (stopping, lambda o: o["stopping"].update(0.5, dict(o["opt"].params))),
    "ReduceLROnPlateau.update": (lambda: {"lr": kept()}, lambda o: o["lr"].update(2.0)),
    "LossScaler.step": (scaling, lambda o: o["scaler"].step(o["opt"], grads(o["opt"]))),
    "LossScaler.step that is skipped": (scaling, skipping),
}


TOGETHER = ("load", "add_group with copies")  # the cases in which all objects change at once


def plain(value: Any) -> Any:
    """What can be compared: arrays as bytes, objects as what they hold."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, gs.Optimizer):
        return plain(dict(value.params)), plain(dict(value.copies)), plain(value.state_dict())
    if isinstance(value, gs.GradientSum):
        return value.count, plain(value.grads) if value.count else None
    if hasattr(value, "state_dict"):
        return plain(value.state_dict())
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


def go_on(objects: Objects) -> None:
    """The next use of each."""
    if "opt" in objects:
        opt = objects["opt"]
        opt.step(grads(opt) if "a" in opt.params else np.ones(2))
    if "total" in objects:
        objects["total"].add(two_gradients(0.25))


@pytest.mark.parametrize("case", CASES)
def test_an_interrupt_leaves_an_object_as_before_or_as_after(case: str) -> None:
    make, act = CASES[case]
    backend = gs.runtime.backend()
    expected = {}
    for done in (False, True):
        objects = make()
        if done:
            act(objects)
        now = {name: plain(each) for name, each in objects.items()}
        go_on(objects)
        expected[done] = now, {name: plain(each) for name, each in objects.items()}
        gs.runtime.set_backend(backend)
    interrupted(act, make(), -1)  # CPython 3.12 traces opcodes from the second time on
    gs.runtime.set_backend(backend)
    point = 1
    while True:
        objects = make()
        if not interrupted(act, objects, point):
            break
        now = {name: plain(each) for name, each in objects.items()}
        went = set()
        for name, each in now.items():
            before, after = expected[False][0][name], expected[True][0][name]
            assert each in (before, after), (point, name)
            went |= {each == after} if before != after else set()
        assert len(went) < 2 or case not in TOGETHER, point
        if len(went) < 2:
            go_on(objects)
            then = {name: plain(each) for name, each in objects.items()}
            assert then in (expected[False][1], expected[True][1]), point
        point += 1
        gs.runtime.set_backend(backend)
    assert point > 5
