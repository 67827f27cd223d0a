"""What rules keep of whole tensors, as PyTorch's users see it."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest

torch = pytest.importorskip("torch")
fronts = pytest.importorskip("gradstep.torch")


def trained(cls: Any, count: int, **options: Any) -> tuple[Any, Any]:
    weight = torch.nn.Parameter(torch.linspace(-1.0, 1.0, 6).reshape(2, 3))
    opt = cls([weight], **options)
    go_on(opt, weight, 0, count)
    return opt, weight


def go_on(opt: Any, weight: Any, first: int, last: int) -> None:
    for step in range(first, last):
        weight.grad = torch.sin(weight.detach() * (step + 1)) + 0.1
        opt.step()


@pytest.mark.parametrize("name", ["NovoGrad", "Prodigy", "Adafactor", "ScheduleFreeAdamW"])
def test_states_are_saved_and_loaded(name: str, backend: str) -> None:
    cls = getattr(fronts, name)
    opt, weight = trained(cls, 3)
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    other_weight = torch.nn.Parameter(weight.detach().clone())
    other = cls([other_weight])
    other.load_state_dict(torch.load(file, weights_only=True))
    copied = copy.deepcopy(opt)
    copied_weight = copied.param_groups[0]["params"][0]
    go_on(opt, weight, 3, 6)
    go_on(other, other_weight, 3, 6)
    go_on(copied, copied_weight, 3, 6)
    assert torch.equal(weight, other_weight)
    assert torch.equal(weight, copied_weight)
    for key, value in opt.state[weight].items():
        assert torch.equal(value, other.state[other_weight][key])


def test_scalars_are_live_tensors(backend: str) -> None:
    opt, weight = trained(fronts.NovoGrad, 1)
    seen = opt.state[weight]["exp_avg_sq"]
    assert (seen.dtype, seen.shape) == (torch.float64, ())
    before = seen.item()
    go_on(opt, weight, 1, 2)
    assert opt.state[weight]["exp_avg_sq"] is seen
    assert seen.item() != before
    opt.state[weight]["exp_avg_sq"] = torch.tensor(1e12, dtype=torch.float64)
    now = weight.detach().clone()
    opt.state[weight]["exp_avg"].zero_()
    go_on(opt, weight, 2, 3)
    assert torch.allclose(weight, now, atol=1e-6)


def test_a_scalar_of_another_shape_is_refused(backend: str) -> None:
    opt, weight = trained(fronts.NovoGrad, 1)
    opt.state[weight]["exp_avg_sq"] = torch.ones(2)
    weight.grad = torch.ones_like(weight)
    with pytest.raises(ValueError, match=r"exp_avg_sq.* has shape \(2,\); expected \(\)"):
        opt.step()


def test_prodigy_does_not_step_in_the_backward_pass() -> None:
    opt, _ = trained(fronts.Prodigy, 1)
    with pytest.raises(ValueError, match="Prodigy depend on the gradients of all parameters"):
        fronts.step_in_backward(opt)


@pytest.mark.parametrize("name", ["LAMB", "NovoGrad", "Adafactor", "ScheduleFreeSGD"])
def test_steps_in_the_backward_pass_are_the_same(name: str) -> None:
    cls = getattr(fronts, name)
    ours, theirs = (
        [torch.nn.Parameter(torch.full((3, 4), value)) for value in (1.0, 2.0)] for _ in range(2)
    )
    opt, plain = cls(ours, lr=0.1), cls(theirs, lr=0.1)
    fronts.step_in_backward(opt)
    for _ in range(3):
        (ours[0] * ours[1]).sum().backward()
        opt.step()
        plain.zero_grad()
        (theirs[0] * theirs[1]).sum().backward()
        plain.step()
    for mine, its in zip(ours, theirs, strict=True):
        assert torch.equal(mine, its)


@pytest.mark.parametrize("name", ["ScheduleFreeSGD", "ScheduleFreeAdamW"])
def test_averages_take_the_parameters_place(name: str, backend: str) -> None:
    opt, weight = trained(getattr(fronts, name), 5, lr=0.1)
    y, z = weight.detach().clone(), opt.state[weight]["z"]
    with opt.swap_averages():
        x = weight.detach().clone()
    assert torch.equal(weight, y)
    assert torch.allclose(y, 0.1 * z + 0.9 * x, atol=1e-6)
