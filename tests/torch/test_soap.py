"""gradstep.torch.SOAP, whose state has matrices beside what goes element by element."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.torch.twins import front, ours_only, set_gradients, steps

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
pytestmark = ours_only

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {"lr": 0.01, "precondition_frequency": 2},
    "one_side": {"lr": 0.01, "max_precondition_dim": 10, "clip_norm": 0.5},
    "shared": {"lr": 0.01, "clip_value": 0.7, "l1": 0.01, "ema_decay": 0.9, "maximize": True},
}
MATRICES = ("left_factor", "left_basis", "right_factor", "right_basis")


def params(dtype: Any = torch.float32) -> list[Any]:
    generator = torch.Generator().manual_seed(3)
    shapes = [(13, 7), (5, 11), (1, 6), (), (9,), (0, 4), (4, 3, 2, 2)]
    made = [torch.randn(shape, generator=generator, dtype=torch.float32) for shape in shapes]
    made.append(torch.randn((9, 4), generator=generator, dtype=torch.float32).T)
    return [torch.nn.Parameter(each.to(dtype)) for each in made]


def assert_same_state(opt: Any, other: Any) -> None:
    for group, of_other in zip(opt.param_groups, other.param_groups, strict=True):
        for p, q in zip(group["params"], of_other["params"], strict=True):
            assert torch.equal(p, q)
            assert {*opt.state[p]} == {*other.state[q]}
            for key, value in opt.state[p].items():
                assert torch.equal(value, other.state[q][key]), key


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_same_bits_as_the_numpy_front_by_the_same_products(
    options: dict[str, Any], dtype: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradstep.directions.by_torch import ByTorch

    monkeypatch.setattr("gradstep.directions.table.BY_NUMPY", ByTorch())
    ours = params(dtype)
    arrays = {str(i): p.detach().numpy().copy(order="K") for i, p in enumerate(ours)}
    opt, twin = front.SOAP(ours, **options), gs.SOAP(arrays, **options)
    for step in range(8):
        set_gradients(ours, step)
        opt.step()
        grads = [None if p.grad is None else p.grad.numpy().copy(order="K") for p in ours]
        twin.step({str(i): grad for i, grad in enumerate(grads)})
    for i, param in enumerate(ours):
        np.testing.assert_array_equal(param.detach().numpy(), arrays[str(i)])
        for key, expected in twin.state[str(i)].items():
            np.testing.assert_array_equal(opt.state[param][key].numpy(), expected, err_msg=key)
    assert opt.state[ours[0]]["left_basis"].shape[0] == (
        0 if "max_precondition_dim" in options else 13
    )
    assert np.any(opt.state[ours[0]]["right_basis"].numpy())


@pytest.mark.parametrize("how", ["load", "deepcopy", "save"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_training_goes_on_from_a_state_dict(
    options: dict[str, Any], dtype: Any, how: str, backend: str
) -> None:
    ours = params(dtype)
    opt = front.SOAP(ours, **options)
    steps(opt, 0, 5)
    saved = opt.state_dict()
    if how == "save":
        file = io.BytesIO()
        torch.save(saved, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
    if how == "deepcopy":
        other = copy.deepcopy(opt)
    else:
        theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
        other = front.SOAP(theirs, **options)
        other.load_state_dict(saved)
    assert_same_state(opt, other)
    steps(opt, 5, 12)
    steps(other, 5, 12)
    assert_same_state(opt, other)


def test_a_step_writes_the_tensors_that_users_see(backend: str) -> None:
    ours = params()[:1]
    opt = front.SOAP(ours)
    steps(opt, 0, 1)
    seen = dict(opt.state[ours[0]])
    before = {key: value.clone() for key, value in seen.items()}
    steps(opt, 2, 3)
    for key in ("left_factor", "right_factor", "exp_avg", "step"):
        assert opt.state[ours[0]][key] is seen[key]
        assert not torch.equal(seen[key], before[key])


@pytest.mark.parametrize("key", MATRICES)
def test_a_matrix_that_is_replaced_or_changed_is_taken_over(key: str, backend: str) -> None:
    """As others of the state: in the place of the first, and not beside it."""
    ends = []
    for replace in (False, True):
        ours = params()[:2]
        opt = front.SOAP(ours, precondition_frequency=1)
        steps(opt, 0, 3)
        of_one = opt.state[ours[0]]
        changed = of_one[key] * 0.5
        if replace:
            of_one[key] = changed.double()
        else:
            of_one[key].copy_(changed)
        steps(opt, 4, 7)
        ends.append(opt)
    assert_same_state(*ends)


@pytest.mark.parametrize("key", MATRICES)
def test_a_matrix_of_another_shape_or_none_changes_nothing(key: str, backend: str) -> None:
    ours = params()[:1]
    opt = front.SOAP(ours)
    steps(opt, 0, 1)
    before, matrix = ours[0].detach().clone(), opt.state[ours[0]][key]
    set_gradients(ours, 2)
    opt.state[ours[0]][key] = torch.zeros(3, 3)
    length = len(matrix)
    with pytest.raises(
        ValueError, match=rf"'{key}'\] of parameter '0' has shape \(3, 3\); expected \({length}, "
    ):
        opt.step()
    del opt.state[ours[0]][key]
    with pytest.raises(ValueError, match=rf"has lost \['{key}'\]"):
        opt.step()
    assert torch.equal(ours[0], before)
    opt.state[ours[0]][key] = matrix
    opt.step()
    assert not torch.equal(ours[0], before)


def test_another_longest_side_meanwhile(backend: str) -> None:
    ours, theirs = params(), params()
    opt, twin = front.SOAP(ours, max_precondition_dim=10), front.SOAP(theirs)
    steps(opt, 0, 3)
    opt.param_groups[0]["max_precondition_dim"] = 100
    set_gradients(ours, 4)
    opt.step()
    steps(twin, 0, 1)
    assert {k: v.shape for k, v in opt.state[ours[0]].items()} == {
        k: v.shape for k, v in twin.state[theirs[0]].items()
    }


def test_refusals() -> None:
    from gradstep.torch import step_in_backward

    with pytest.raises(ValueError, match="directions are computed of all matrices before"):
        step_in_backward(front.SOAP(params()))
    kernel = torch.nn.Parameter(torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last))
    kernel.grad = torch.ones(2, 3, 4, 5)
    with pytest.raises(ValueError, match=r"matrices that its axes make; make it contiguous"):
        front.SOAP([kernel]).step()
    w = params()[:1]
    w[0].grad = torch.full_like(w[0], torch.nan)
    with pytest.raises(FloatingPointError, match="'0' is not finite"):
        front.SOAP(w).step()
    opt = front.SOAP(w, skip_nonfinite=True)
    opt.step()
    assert opt.last_info.skipped
