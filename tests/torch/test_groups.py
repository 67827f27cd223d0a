"""Groups and state that users change between steps."""

from __future__ import annotations

import importlib
from copy import deepcopy
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
front: Any = importlib.import_module("gradstep.torch")


def stepped(param: Any, opt: Any, value: float = 4.0) -> float:
    """What a step with this gradient makes of one that was zero."""
    param.data.zero_()
    param.grad = torch.full_like(param, value)
    opt.step()
    return float(param.detach()[0])


def test_a_limit_that_is_changed_lifted_and_set_again(backend: str) -> None:
    param = torch.nn.Parameter(torch.zeros(1))
    opt = front.SGD([param], lr=1.0, clip_value=1.0)
    ends = []
    for limit in (1.0, 2.0, None, None, 3.0, 0.5):
        opt.param_groups[0]["clip_value"] = limit
        ends.append(stepped(param, opt))
    assert ends == [-1.0, -2.0, -4.0, -4.0, -3.0, -0.5]


def test_what_was_refused_is_refused_again(backend: str) -> None:
    param = torch.nn.Parameter(torch.zeros(1))
    opt = front.SGD([param], lr=1.0)
    assert stepped(param, opt) == -4.0
    opt.param_groups[0]["rounding"] = "split"
    for _ in range(2):
        with pytest.raises(ValueError, match="rounding='split' is for parameters in bfloat16"):
            stepped(param, opt)
    assert float(param.detach()[0]) == 0.0
    opt.param_groups[0]["rounding"] = "nearest"
    assert stepped(param, opt) == -4.0


def test_state_put_in_while_another_parameter_gets_its_first(backend: str) -> None:
    params = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    opt = front.SGD(params, lr=1.0, momentum=0.5)
    stepped(params[0], opt)
    mine = opt.state[params[0]]["momentum_buffer"] = torch.full((1,), 100.0)
    params[1].grad = torch.ones(1)
    assert stepped(params[0], opt) == -54.0
    assert opt.state[params[0]]["momentum_buffer"] is mine
    assert mine.item() == 54.0


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_steps_go_back_with_a_state_of_before(name: str, backend: str) -> None:
    param = torch.nn.Parameter(torch.zeros(1))
    opt = getattr(front, name)([param], **({"momentum": 0.5} if name == "SGD" else {}))
    stepped(param, opt)
    saved = deepcopy(opt.state_dict())
    ends = []
    for _ in range(2):
        ends.append([stepped(param, opt) for _ in range(3)])
        assert opt.steps == 4
        opt.load_state_dict(saved)
        assert opt.steps == 1
    assert ends[0] == ends[1]
