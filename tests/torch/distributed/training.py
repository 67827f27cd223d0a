"""A model of awkward shapes, its data and its training: the same in every process."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest

import gradstep as gs

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
front: Any = importlib.import_module("gradstep.torch")
dist = torch.distributed

OPTIONS: dict[str, dict[str, Any]] = {
    "AdamW": {"lr": gs.schedules.linear(8, 0.03, 0.01), "weight_decay": 0.1, "amsgrad": True},
    "SGD": {"lr": 0.1, "momentum": 0.9},
    "Lion": {"lr": 0.003, "weight_decay": 0.1},
}
STEPS = range(5)

full_only = pytest.mark.skipif(
    "GRADSTEP_FULL" not in os.environ, reason="in the full CI only: GRADSTEP_FULL=1"
)

Values = dict[str, Any]


class Model(torch.nn.Module):  # type: ignore[misc]
    """Of four processes some have no part of the smaller parameters; `side` has no gradient in
    every other step."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(5, 7)
        self.norm = torch.nn.LayerNorm(7)
        self.last = torch.nn.Linear(7, 3)
        self.side = torch.nn.Linear(5, 1)

    def forward(self, inputs: Any, with_side: bool) -> Any:
        outputs = self.last(self.norm(self.first(inputs)).tanh())
        return outputs + self.side(inputs) if with_side else outputs


def model(dtype: Any = torch.float64) -> Model:
    torch.manual_seed(1)
    return Model().to(dtype)


def sharded(dtype: Any = torch.float64, mesh: tuple[int, ...] | None = None, **policy: Any) -> Any:
    """The model by FSDP2."""
    from torch.distributed.fsdp import fully_shard

    shape = mesh or (dist.get_world_size(),)
    names = ("copies", "parts")[-len(shape) :]
    made = dist.device_mesh.init_device_mesh("cpu", shape, mesh_dim_names=names)
    net = model(dtype)
    for layer in net.children():
        fully_shard(layer, mesh=made, **policy)
    return fully_shard(net, mesh=made, **policy)


def optimizer(name: str, params: Iterable[Any], **options: Any) -> Any:
    return getattr(front, name)(params, **OPTIONS[name] | options)


def loss_of(net: Any, step: int, rank: int = 0, world: int = 1) -> Any:
    """Of a part of the batch."""
    generator = torch.Generator().manual_seed(100 + step)
    data = torch.randn(8, 8, dtype=torch.float64, generator=generator)
    data = data.chunk(world)[rank].to(next(net.parameters()).dtype)
    inputs, targets = data.split([5, 3], dim=1)
    return (net(inputs, step % 2 == 1) - targets).square().mean()


def my_part() -> tuple[int, int]:
    return dist.get_rank(), dist.get_world_size()


def train(
    net: Any,
    opt: Any,
    steps: Iterable[int] = STEPS,
    part: tuple[int, int] = (0, 1),
    before: Callable[[int], Any] = bool,
) -> None:
    """Take steps on a part of the batches; `before` each, once there are gradients, do more."""
    for step in steps:
        opt.zero_grad()
        loss_of(net, step, *part).backward()
        before(step)
        opt.step()


def alone(
    name: str, steps: Iterable[int] = STEPS, dtype: Any = torch.float64, **options: Any
) -> Values:
    """What one process makes of whole batches."""
    net = model(dtype)
    opt = optimizer(name, net.parameters(), **options)
    train(net, opt, steps)
    return values(net, opt)


def values(net: Any, opt: Any) -> Values:
    """Copies of parameters and state, put together from their parts."""
    found = {}
    state = opt.state_dict()["state"]
    for i, (name, param) in enumerate(net.named_parameters()):
        name = name.removeprefix("module.")
        found[name] = whole(param)
        for key, value in state.get(i, {}).items():
            found[f"{name}: {key}"] = whole(value)
    return found


def whole(tensor: Any) -> Any:
    tensor = tensor.detach()
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).clone()


def assert_close(actual: Values, expected: Values, tolerance: float = 1e-12) -> None:
    """Relative to the largest element."""
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        wanted = expected[name]
        assert value.shape == wanted.shape, name
        assert value.dtype == wanted.dtype, name
        worst = (value - wanted).abs().max() / wanted.abs().max()
        assert worst <= tolerance, f"{name} differs by {worst:.1e}"


def assert_same_bits(actual: Values, expected: Values) -> None:
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        assert value.dtype == expected[name].dtype, name
        assert torch.equal(value, expected[name]), name


def caught(act: Callable[..., Any], *args: Any, **options: Any) -> str:
    """The text of the ValueError that this raises."""
    with pytest.raises(ValueError) as error:  # noqa: PT011
        act(*args, **options)
    return str(error.value)
