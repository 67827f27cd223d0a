"""Adafactor in the place of torch.optim.Adafactor, on PyTorch's own test data."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.torch.test_optim_db import DB, data
from tests.torch.twins import TOLERANCE, assert_alike, assert_equal_optimizers, front, steps

torch = pytest.importorskip("torch")

INPUTS = DB["Adafactor"].optim_inputs_func(device="cpu", dtype=torch.float32)
ERRORS = DB["Adafactor"].optim_error_inputs_func(device="cpu", dtype=torch.float32)
TRAINED = [given for given in INPUTS if not given.kwargs.get("capturable")]


def matrices(dtype: Any = torch.float64) -> list[Any]:
    """Matrices in both orders, batches of them, vectors and a number."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Any:
        return torch.randn(shape, dtype=dtype, generator=generator)

    values = (normal(), normal(257), normal(13, 70), normal(50, 11).T, normal(3, 4, 5),
              normal(2, 3, 4, 5), normal(1, 9), normal(9, 1))  # fmt: skip
    return [torch.nn.Parameter(value) for value in values]


@pytest.mark.parametrize("given", TRAINED, ids=lambda given: given.desc)
def test_trains_as_torch(given: Any, dtype: Any, backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = optim.Adafactor(matrices(dtype), foreach=False, **given.kwargs)
        steps(opt, 0, 10)
        return opt

    assert_alike(train, TOLERANCE[dtype])


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.optimizer_error_input.desc)
def test_refuses_what_torch_refuses(error: Any) -> None:
    given = error.optimizer_error_input
    if error.error_on is not data.OptimizerErrorEnum.CONSTRUCTION_ERROR:
        pytest.skip("it is refused at the step, by its dtype")
    params = matrices() if given.params is None else given.params
    with pytest.raises(error.error_type, match=error.error_regex):
        front.Adafactor(params, **given.kwargs)


@pytest.mark.parametrize("ours_first", [True, False])
def test_checkpoints_go_both_ways(ours_first: bool, backend: str) -> None:
    first, second = (front, torch.optim) if ours_first else (torch.optim, front)
    params = matrices()
    opt = first.Adafactor(params, lr=0.1, weight_decay=0.1)
    steps(opt, 0, 4)
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    copies = [torch.nn.Parameter(param.detach().clone()) for param in params]
    other = second.Adafactor(copies, lr=0.5)
    other.load_state_dict(torch.load(file, weights_only=True))
    steps(opt, 4, 12)
    steps(other, 4, 12)
    ours, theirs = (opt, other) if ours_first else (other, opt)
    assert_equal_optimizers(ours, theirs, TOLERANCE[torch.float64])


def test_other_orders_of_memory_are_refused_in_words() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last))
    weight.grad = torch.ones_like(weight)
    opt = front.Adafactor([("conv.weight", weight)])
    with pytest.raises(ValueError, match=r"conv\.weight.*strides.*contiguous once"):
        opt.step()
    weight.data = weight.data.contiguous()
    opt.step()
    assert opt.state[weight]["row_var"].shape == (2, 3, 4, 1)
    assert opt.state[weight]["col_var"].shape == (2, 3, 1, 5)
