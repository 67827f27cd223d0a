"""What torch's Optimizer does around a step: hooks, closures, the profiler's record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.torch.twins import (
    SHARED,
    STATEFUL,
    assert_alike,
    few,
    front,
    loss_of,
    network,
    ours_only,
    set_gradients,
    steps,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
optimizer = pytest.importorskip("torch.optim.optimizer")


@pytest.fixture
def opt(backend: str) -> Any:
    """An optimizer with a gradient for its parameter."""
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    return front.SGD([param], lr=0.5)


@pytest.fixture
def globally() -> Iterator[Callable[..., Any]]:
    """Registers hooks of all optimizers, for this test."""
    handles = []

    def register(kind: str, hook: Callable[..., Any]) -> Any:
        handles.append(getattr(optimizer, f"register_optimizer_step_{kind}_hook")(hook))
        return handles[-1]

    yield register
    for handle in handles:
        handle.remove()


def value(opt: Any) -> float:
    return float(opt.param_groups[0]["params"][0].detach()[0])


def test_hooks_of_a_step_in_their_order(opt: Any, globally: Any) -> None:
    seen: list[Any] = []

    def noting(name: str) -> Callable[..., None]:
        return lambda of, args, kwargs: seen.append((name, of is opt, args, kwargs, value(of)))

    closure = lambda: seen.append("closure")  # noqa: E731
    opt.register_step_post_hook(noting("post"))
    globally("post", noting("global post"))
    opt.register_step_pre_hook(noting("pre"))
    globally("pre", noting("global pre"))
    opt.step(closure=closure)
    args, kwargs = (opt,), {"closure": closure}
    assert seen == [
        ("global pre", True, args, kwargs, 1.0),
        ("pre", True, args, kwargs, 1.0),
        "closure",
        ("post", True, args, kwargs, 0.5),
        ("global post", True, args, kwargs, 0.5),
    ]


@pytest.mark.parametrize("kind", ["pre", "post"])
def test_removed_hooks_are_not_called(kind: str, opt: Any, globally: Any) -> None:
    seen: list[str] = []
    handles = [
        getattr(opt, f"register_step_{kind}_hook")(lambda *_: seen.append("own")),
        globally(kind, lambda *_: seen.append("global")),
    ]
    opt.step()
    assert sorted(seen) == ["global", "own"]
    for handle in handles:
        handle.remove()
    opt.step()
    assert len(seen) == 2
    assert value(opt) == 0.0


def test_a_pre_hook_gives_a_step_other_arguments(opt: Any) -> None:
    seen: list[Any] = []
    opt.register_step_pre_hook(lambda of, args, kwargs: ((args[0], lambda: 7.0), {}))
    opt.register_step_post_hook(lambda of, args, kwargs: seen.append(args[1]()))
    assert opt.step() == 7.0
    assert seen == [7.0]


def test_a_pre_hook_may_set_gradients_and_numbers(opt: Any) -> None:
    def double(of: Any, args: Any, kwargs: Any) -> None:
        group = of.param_groups[0]
        group["lr"] = 0.25
        group["params"][0].grad.mul_(2.0)

    opt.register_step_pre_hook(double)
    opt.step()
    assert value(opt) == 0.5


def test_a_pre_hook_that_returns_nonsense_is_refused_before_the_step(opt: Any) -> None:
    opt.register_step_pre_hook(lambda of, args, kwargs: 3)
    with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kw"):
        opt.step()
    assert value(opt) == 1.0


def test_a_failing_hook_fails_the_step(opt: Any, globally: Any) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    handle = opt.register_step_pre_hook(fail)
    with pytest.raises(ZeroDivisionError):
        opt.step()
    assert value(opt) == 1.0
    handle.remove()
    globally("post", fail)
    with pytest.raises(ZeroDivisionError):
        opt.step()
    assert value(opt) == 0.5


def test_hooks_of_a_subclass_with_a_step_of_its_own(globally: Any, backend: str) -> None:
    def hooked(optim: Any) -> list[str]:
        class Louder(optim.SGD):  # type: ignore[misc]
            def step(self, closure: Any = None) -> Any:
                return super().step(closure)

        seen: list[str] = []
        handle = globally("pre", lambda opt, args, kwargs: seen.append(type(opt).__name__))
        for cls in (optim.SGD, Louder):
            param = torch.nn.Parameter(torch.ones(3))
            param.grad = torch.ones(3)
            opt = cls([param], lr=0.5)
            opt.step()
            assert value(opt) == 0.5
        handle.remove()
        return seen

    assert hooked(front) == hooked(torch.optim)


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("closure_given_as", ["positional", "keyword"])
@pytest.mark.parametrize("name", SHARED)
def test_closures(name: str, closure_given_as: str, backend: str) -> None:
    losses: dict[Any, list[Any]] = {}

    def train(optim: Any) -> Any:
        model = network()
        opt = getattr(optim, name)(model.parameters(), **STATEFUL.get(name, {}))

        def closure() -> Any:
            assert torch.is_grad_enabled()
            opt.zero_grad()
            loss = loss_of(model, 1)
            loss.backward()
            return loss

        seen = losses.setdefault(optim, [])
        with torch.no_grad():
            for _ in range(5):
                is_keyword = closure_given_as == "keyword"
                loss = opt.step(closure=closure) if is_keyword else opt.step(closure)
                assert not torch.is_grad_enabled()
                seen.append(loss.item())
        return opt

    assert_alike(train)
    assert losses[front] == pytest.approx(losses[torch.optim], rel=1e-12)
    assert len({*losses[front]}) == 5


def test_a_step_without_closure_returns_none(opt: Any) -> None:
    assert opt.step() is None
    assert opt.step(lambda: None) is None
    assert opt.step(lambda: 2.5) == 2.5


def test_a_failing_closure_changes_nothing(opt: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        opt.step(lambda: 1 / 0)
    assert value(opt) == 1.0
    assert torch.is_grad_enabled()


def test_the_profiler_has_a_record_of_each_step(opt: Any) -> None:
    opt.step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        opt.step()
        opt.step()
        opt.zero_grad()
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts["Optimizer.step#SGD.step"] == 2
    assert counts["Optimizer.zero_grad#SGD.zero_grad"] == 1


@ours_only
def test_without_a_profiler_nothing_is_recorded(opt: Any, monkeypatch: Any) -> None:
    record = torch.autograd.profiler.record_function
    names: list[str] = []

    class Noting(record):  # type: ignore[misc, valid-type]
        def __init__(self, name: str, args: str | None = None) -> None:
            names.append(name)
            super().__init__(name, args)

    monkeypatch.setattr(torch.autograd.profiler, "record_function", Noting)
    opt.step()
    assert not names
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]):
        opt.step()
    opt.step()
    assert names == ["Optimizer.step#SGD.step"]


def test_zero_grad(backend: str) -> None:
    params = few()
    opt = front.Adam(params)
    set_gradients(params, 0)
    kept = [param.grad for param in params]
    opt.zero_grad(set_to_none=False)
    for param, grad in zip(params, kept, strict=True):
        assert param.grad is grad
        assert grad is None or not grad.any()
    opt.zero_grad()
    assert all(param.grad is None for param in params)
    before = [param.detach().clone() for param in params]
    opt.step()
    assert all(torch.equal(param, old) for param, old in zip(params, before, strict=True))
    assert not opt.state


@pytest.mark.parametrize("name", SHARED)
def test_maximize(name: str, backend: str) -> None:
    def train(optim: Any, sign: float, maximize: bool) -> Any:
        params = few()
        opt = getattr(optim, name)(params, maximize=maximize)
        for step in range(10):
            set_gradients(params, step)
            for param in params:
                param.grad = None if param.grad is None else sign * param.grad
            opt.step()
        return params

    up, down = train(front, -1.0, True), train(front, 1.0, False)
    assert all(torch.equal(a, b) for a, b in zip(up, down, strict=True))


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)
@pytest.mark.parametrize("name", SHARED)
def test_a_tensor_lr_may_change_in_place(name: str, shape: Any, backend: str) -> None:
    def train(optim: Any) -> Any:
        lr = torch.full(shape, 0.05)
        opt = getattr(optim, name)(few(), lr=lr, **STATEFUL.get(name, {}))
        assert opt.param_groups[0]["lr"] is lr
        steps(opt, 0, 3)
        lr.mul_(0.5)
        steps(opt, 3, 6)
        opt.param_groups[0]["lr"].fill_(0.001)
        steps(opt, 6, 9)
        return opt

    assert_alike(train)
