"""What was taken before and no longer holds: graphs, memory, layouts and formats of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.torch.twins import (
    SHARED,
    STATEFUL,
    assert_alike,
    few,
    fit,
    front,
    mixed,
    network,
    ours_only,
    params_of,
    set_gradients,
    steps,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

SOME = ("SGD", "AdamW", "NAdam", "Adagrad")


def make(optim: Any, name: str, params: Any) -> Any:
    return getattr(optim, name)(params, **STATEFUL.get(name, {}))


@pytest.mark.parametrize("name", SHARED)
def test_a_graph_of_before_the_step_raises(name: str, backend: str) -> None:
    params = few()
    opt = make(front, name, params)
    for step in range(2):  # the first step makes the state
        losses = [param.square().sum() for param in params]
        set_gradients(params, step)
        opt.step()
        for param, loss in zip(params, losses, strict=True):
            if param.grad is None:
                loss.backward()  # it was not stepped: its graph still holds
            else:
                with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                    loss.backward()


def test_views_of_a_stepped_parameter_are_stale_too(backend: str) -> None:
    weight = torch.nn.Parameter(torch.ones(4, 3))
    other = torch.ones(3, requires_grad=True)
    loss = (weight[1] * other).sum()
    weight.grad = torch.ones(4, 3)
    front.AdamW([weight]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("name", SHARED)
def test_gradients_are_only_read(name: str, backend: str) -> None:
    params = few()
    opt = make(front, name, params)
    for step in range(3):
        set_gradients(params, step)
        grads = [param.grad for param in params]
        kept = [None if grad is None else (grad.clone(), grad._version) for grad in grads]
        opt.step()
        for param, grad, before in zip(params, grads, kept, strict=True):
            assert param.grad is grad
            if grad is not None:
                assert torch.equal(grad, before[0])
                assert grad._version == before[1]


def test_a_step_without_any_gradient_changes_nothing(backend: str) -> None:
    params = few()
    opt = front.AdamW(params)
    versions = [param._version for param in params]
    opt.step()
    assert [param._version for param in params] == versions
    assert not opt.state


def other_memory(param: Any) -> None:
    param.data = param.data.clone()


def other_order(param: Any) -> None:
    axes = tuple(range(param.ndim))[::-1]
    param.data = param.data.permute(axes).contiguous().permute(axes)


def part_of_a_buffer(param: Any) -> None:
    buffer = torch.zeros(param.numel() + 5, dtype=param.dtype)
    buffer[3:-2] = param.data.reshape(-1)
    param.data = buffer[3:-2].view(param.shape)


def storage_freed_and_back(param: Any) -> None:
    kept, storage = param.detach().clone(), param.untyped_storage()
    size = storage.nbytes()
    storage.resize_(0)
    taken = [torch.full((size,), 7, dtype=torch.uint8) for _ in range(3)]  # of the freed memory
    storage.resize_(size)
    assert len(taken) == 3
    param.detach().copy_(kept)


def in_shared_memory(param: Any) -> None:
    param.share_memory_()


def exchanged(param: Any) -> None:
    torch.utils.swap_tensors(param, torch.nn.Parameter(param.detach().clone()))


CHANGES = (
    other_memory,
    other_order,
    part_of_a_buffer,
    storage_freed_and_back,
    in_shared_memory,
    exchanged,
)


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", SOME)
def test_parameters_may_move(name: str, change: Callable[[Any], None], backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = make(optim, name, few())
        for step in range(6):
            steps(opt, step, step + 1)
            opt.zero_grad()
            for param in params_of(opt)[step % 2 :: 2]:
                change(param)
        return opt

    assert_alike(train)


@pytest.mark.parametrize("name", SOME)
def test_what_was_a_parameter_s_memory_is_left_alone(name: str, backend: str) -> None:
    opt = make(front, name, few())
    steps(opt, 0, 3)
    old = [param.data for param in params_of(opt)]
    kept = [data.clone() for data in old]
    for param in params_of(opt):
        other_memory(param)
    steps(opt, 3, 6)
    for data, before, param in zip(old, kept, params_of(opt), strict=True):
        assert torch.equal(data, before)
        assert not torch.equal(data, param)


@ours_only
def test_a_parameter_whose_memory_was_freed_is_refused(backend: str) -> None:
    opt = make(front, "AdamW", few())
    steps(opt, 0, 3)
    set_gradients(params_of(opt), 4)
    params_of(opt)[2].untyped_storage().resize_(0)
    kept = params_of(opt)[0].detach().clone()
    with pytest.raises((ValueError, TypeError), match="parameter '2'"):
        opt.step()
    assert torch.equal(params_of(opt)[0], kept)


@ours_only
def test_a_gradient_whose_memory_was_freed_is_refused(backend: str) -> None:
    opt = make(front, "AdamW", few())
    steps(opt, 0, 3)
    set_gradients(params_of(opt), 4)
    params_of(opt)[2].grad.untyped_storage().resize_(0)
    kept = params_of(opt)[0].detach().clone()
    with pytest.raises((ValueError, TypeError), match="gradient '2'"):
        opt.step()
    assert torch.equal(params_of(opt)[0], kept)


@pytest.fixture(params=[False, True], ids=["data", "swap"])
def converted_by(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways in which torch converts a module."""
    torch.__future__.set_swap_module_params_on_conversion(request.param)
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)


@pytest.mark.usefixtures("converted_by", "float64_numbers")
@pytest.mark.parametrize("name", [n for n in SHARED if n != "Adagrad"])  # its state is there
def test_a_model_converted_before_the_first_step(name: str, backend: str) -> None:
    def train(optim: Any) -> Any:
        model = network(torch.float32)
        opt = make(optim, name, model.parameters())
        model.double()
        assert [*map(id, model.parameters())] == [*map(id, params_of(opt))]
        fit(model, opt, 0, 5)
        return opt

    assert_alike(train)


def test_plain_sgd_goes_on_in_another_dtype(backend: str) -> None:
    def train(optim: Any) -> Any:
        model = network(torch.float32)
        opt = optim.SGD(model.parameters(), lr=0.1)
        fit(model, opt, 0, 5)
        model.double()
        fit(model, opt, 5, 10)
        return opt

    assert_alike(train, 1e-6)


@pytest.mark.parametrize("to", [torch.float64, torch.bfloat16], ids=["float64", "bfloat16"])
@pytest.mark.parametrize("name", ["Adam", "AdamW", "NAdam", "RAdam", "Adamax"])
def test_a_model_converted_between_steps_does_not_fit_its_state(
    name: str, to: Any, backend: str
) -> None:
    model = network(torch.float32)
    opt = make(front, name, model.parameters())
    fit(model, opt, 0, 3)
    model.to(to)
    kept = [param.detach().clone() for param in model.parameters()]
    error = RuntimeError if front is torch.optim else (TypeError, ValueError)
    with pytest.raises(error, match=r"float"):
        fit(model, opt, 3, 4)
    if front is not torch.optim:
        assert all(torch.equal(p, k) for p, k in zip(model.parameters(), kept, strict=True))


@pytest.mark.parametrize("name", ["AdamW", "Adadelta"])
def test_a_model_in_channels_last_between_steps(name: str, backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = make(optim, name, mixed())
        steps(opt, 0, 3)
        opt.zero_grad()
        images = next(param for param in params_of(opt) if param.ndim == 4)
        images.data = images.data.contiguous()
        steps(opt, 3, 6)
        images.data = images.data.to(memory_format=torch.channels_last)
        steps(opt, 6, 9)
        return opt

    assert_alike(train)


@pytest.mark.parametrize("name", SOME)
def test_a_parameter_of_another_shape_does_not_fit_its_state(name: str, backend: str) -> None:
    opt = make(front, name, few())
    steps(opt, 0, 3)
    opt.zero_grad()
    params = params_of(opt)
    params[2].data = params[2].data[:5]
    set_gradients(params, 4)
    kept = [param.detach().clone() for param in params]
    error = RuntimeError if front is torch.optim else ValueError
    with pytest.raises(error, match=r"shape|size"):
        opt.step()
    if front is not torch.optim:
        assert all(torch.equal(p, k) for p, k in zip(params, kept, strict=True))
    opt.state.clear()  # and without its state it goes on
    if name != "Adagrad":
        opt.step()
        assert not torch.equal(params[2], kept[2])


def test_a_narrowed_parameter_without_state(backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = optim.SGD(few(), lr=0.1)
        steps(opt, 0, 3)
        opt.zero_grad()
        param = params_of(opt)[2]
        param.data = param.data[2:5]
        steps(opt, 3, 6)
        return opt

    assert_alike(train)


def test_lazy_parameters_are_stepped_once_they_are_there(backend: str) -> None:
    def train(optim: Any) -> Any:
        torch.manual_seed(2)
        model = torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.Linear(3, 2)).double()
        opt = optim.AdamW(model.parameters(), lr=0.1)
        assert repr(opt)
        opt.step()
        torch.manual_seed(4)
        model(torch.ones(2, 4, dtype=torch.float64))
        fit(model, opt, 0, 3)
        return opt

    assert_alike(train)
