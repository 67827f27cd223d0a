"""What wrappers refuse: when they are made, before a step, and in the place of what is within."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything

WRAPPERS: list[Any] = [gs.Lookahead, gs.SAM, gs.ASAM]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_nothing_goes_around_lbfgs(wrapper: Any) -> None:
    with pytest.raises(TypeError, match=f"evaluates its closure itself.*no {wrapper.__name__} can"):
        wrapper(gs.LBFGS(np.ones(2)))


@pytest.mark.parametrize("inner", [gs.ScheduleFreeSGD, gs.ScheduleFreeAdamW])
def test_averages_of_a_method_are_not_torn_apart(inner: Any) -> None:
    for opt in (inner(np.ones(2)), gs.SAM(inner(np.ones(2)))):
        with pytest.raises(TypeError, match=f"opt must not be a {inner.__name__}: its parameters"):
            gs.Lookahead(opt)


def all_of(opt: gs.Lookahead) -> dict[str, Array]:
    return everything(opt) | {f"{n}/slow": s.copy() for n, s in opt.slow.items()}


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("steps", [1, 3])  # with a table of the slow weights, and without one
def test_slow_weights_that_cannot_be_written_are_found_before_the_step(steps: int) -> None:
    params = {"W": np.ones(3), "b": np.zeros(2)}
    grads = {"W": np.ones(3), "b": np.ones(2)}
    opt = gs.Lookahead(gs.AdamW(params, lr=0.1), k=2)
    for _ in range(steps):
        opt.step(grads)
    opt.slow["b"].flags.writeable = False
    before = all_of(opt)
    with pytest.raises(ValueError, match=r"the slow weights of 'b' .*read-only; make it writeable"):
        opt.step(grads)
    assert opt.steps == steps
    assert_same_bits(all_of(opt), before)
    opt.slow["b"].flags.writeable = True
    opt.step(grads)
    np.testing.assert_array_equal(params["b"], opt.slow["b"])


def test_checkpoints_are_of_the_optimizer_within(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")
    inner = gs.SGD(np.ones(2))
    for opt, call in (
        (gs.Lookahead(inner), r"gs.save\(path, opt.optimizer, slow=opt.slow\)"),
        (gs.SAM(inner), r"gs.save\(path, opt.optimizer\)"),
        (gs.SAM(gs.Lookahead(inner)), r"gs.save\(path, opt.optimizer.optimizer, slow=opt.slow\)"),
    ):
        for function in (gs.save, gs.load):
            with pytest.raises(TypeError, match=rf"optimizer within the \w+; .* as {call}$"):
                function(tmp_path / "run", opt)
    assert not list(tmp_path.iterdir())


def test_what_a_schedule_does_to_slow_weights_is_seen_before_a_state_is_loaded() -> None:
    armed: list[bool] = []

    def lr(step: int) -> float:
        if armed:
            opt.slow["w"].flags.writeable = False
        return 0.1

    opt = gs.Lookahead(gs.AdamW({"w": np.ones(3)}, lr=lr), k=2)
    saved = opt.state_dict()
    opt.step({"w": np.ones(3)})
    before = everything(opt)
    armed.append(True)
    with pytest.raises(ValueError, match="the slow weights of 'w'"):
        opt.load_state_dict(saved)
    assert_same_bits(everything(opt), before)
