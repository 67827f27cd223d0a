"""Copies of parameters in half precision, which steps over tensors write."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

pytestmark = pytest.mark.usefixtures("backend")
HALVES = [torch.bfloat16, torch.float16]


def master(*shape: int) -> Any:
    generator = torch.Generator().manual_seed(len(shape))
    return torch.nn.Parameter(torch.randn(*shape, generator=generator))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", ["AdamW", "SGD", "Lion"])
def test_a_copy_is_its_parameter_rounded_to_nearest(name: str, dtype: Any) -> None:
    params = [master(300), master(31, 7)]
    copies = [torch.zeros_like(p, dtype=dtype, requires_grad=False) for p in params]
    opt = getattr(fronts, name)(params, lr=0.1, copies=copies)
    for _ in range(3):
        for param, copy in zip(params, copies, strict=True):
            assert torch.equal(copy, param.to(dtype))
            param.grad = torch.ones_like(param)
        opt.step()
    assert torch.equal(copies[0], params[0].to(dtype))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_copies_of_a_group_and_through_the_lists(dtype: Any) -> None:
    first, second = master(20), master(20)
    copy = torch.zeros(20, dtype=dtype)
    opt = fronts.AdamW([first], lr=0.1)
    opt.add_param_group({"params": [second], "copies": [copy]})
    assert torch.equal(copy, second.to(dtype))
    second.grad = torch.ones(20)
    opt.step()
    assert torch.equal(copy, second.to(dtype))
    moments = torch.zeros(20), torch.zeros(20)
    fronts.adamw_step([first], [torch.ones(20)], [moments[0]], [moments[1]], 0, [copy], lr=0.1)
    assert torch.equal(copy, first.to(dtype))


WRONG: dict[str, tuple[Any, str]] = {
    "dtype": (lambda: [torch.zeros(20)], r"p\.detach\(\)\.bfloat16\(\)"),
    "shape": (lambda: [torch.zeros(3, dtype=torch.bfloat16)], "shape"),
    "number": (list, "1 parameters"),
    "dict": (lambda: {"w": torch.zeros(20)}, "list"),
    "array": (lambda: [[1.0] * 20], "list"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_a_copy_is_refused_at_once(wrong: str) -> None:
    make, words = WRONG[wrong]
    with pytest.raises((TypeError, ValueError), match=words):
        fronts.AdamW([master(20)], copies=make())


def test_a_checkpoint_is_not_taken_while_averages_are_swapped_in() -> None:
    param = master(5)
    opt = fronts.AdamW([param], lr=0.1, ema_decay=0.5)
    param.grad = torch.ones(5)
    opt.step()
    kept = param.detach().clone()
    with opt.swap_averages():
        assert torch.equal(param, opt.ema[param]) is False
        with pytest.raises(RuntimeError, match=r"swap_averages\(\)"):
            opt.state_dict()
        with pytest.raises(RuntimeError, match=r"swap_averages\(\)"):
            opt.step()
    assert torch.equal(param, kept)


def test_options_are_no_attributes() -> None:
    opt = fronts.AdamW([master(5)], lr=0.1)
    with pytest.raises(AttributeError, match=r"group\['lr'\] = 5"):
        opt.lr = 5
    assert opt.current("lr") == 0.1


def test_squares_in_float16_are_refused_in_lists() -> None:
    half = torch.zeros(5, dtype=torch.float16)
    with pytest.raises(TypeError, match="exp_avg_sqs cannot be float16"):
        fronts.adamw_step([master(5)], [torch.ones(5)], [half], [half.clone()], 0, lr=0.1)
