"""What closures change under gradstep.torch.LBFGS, and states that it does not take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.torch.test_lbfgs import Run, assert_alike
from tests.torch.twins import front, ours_only

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

pytestmark = ours_only
ZERO = {"tolerance_grad": 0.0, "tolerance_change": 0.0}


def begun(**options: Any) -> Run:
    run = Run(front, **{"max_iter": 4, **ZERO, **options})
    run.step()
    run.calls = 0
    return run


def changing(run: Run, act: Callable[[], object], call: int = 2) -> Callable[[], Any]:
    """The run's closure, which does this at one of its calls."""

    def closure() -> Any:
        loss = run.closure()
        if run.calls == call:
            act()
        return loss

    return closure


def values(run: Run) -> list[Any]:
    return [param.detach().clone() for param in run.params]


def throw() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("raises", [True, False])
def test_a_closure_that_moves_one_parameter(raises: bool, backend: str) -> None:
    run = begun()
    before, moved = values(run), torch.zeros(4, 2, dtype=torch.float64)
    state = dict(run.state)

    def move() -> None:
        run.w.data = moved
        if raises:
            throw()

    error, text = (ZeroDivisionError, None) if raises else (RuntimeError, "moved to other memory")
    with pytest.raises(error, match=text):
        run.opt.step(changing(run, move))
    assert torch.equal(run.b.detach(), before[1])
    assert run.w.data_ptr() == moved.data_ptr()
    assert not moved.any()
    assert all(run.state[entry] is value for entry, value in state.items())
    run.step()
    assert run.state["n_iter"] == state["n_iter"] + 4


def test_a_move_in_the_last_evaluation_is_refused_too(backend: str) -> None:
    run = begun(max_iter=1)
    before = values(run)

    def move() -> None:
        run.w.data = run.w.detach().clone()

    with pytest.raises(RuntimeError, match="moved to other memory"):
        run.opt.step(changing(run, move, 1))
    assert torch.equal(run.b.detach(), before[1])


def replaced(run: Run) -> None:
    run.opt.state.clear()


def loaded(run: Run) -> None:
    run.opt.load_state_dict(run.opt.state_dict())


def popped(run: Run) -> None:
    run.opt.param_groups[0]["params"].pop()


def moved_vector(run: Run) -> None:
    d = run.state["d"]
    d.data = torch.zeros_like(d)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (loaded, r"busy with step\(\); call load_state_dict\(\) after it"),
        (popped, r"param_groups\[0\]\['params'\] had 2 parameters and was changed within"),
        (replaced, r"opt\.state was replaced within a step"),
        (moved_vector, r"a tensor in the state of LBFGS has been moved"),
    ],
)
def test_what_a_closure_must_not_change(
    change: Callable[[Run], object], text: str, backend: str
) -> None:
    run = begun()
    before = values(run)
    with pytest.raises(RuntimeError, match=text):
        run.opt.step(changing(run, lambda: change(run)))
    for param, value in zip(run.params, before, strict=True):
        assert torch.equal(param.detach(), value)


def set_data(run: Run, tensor: Any) -> None:
    run.state["d"].data = tensor


def set_storage(run: Run, tensor: Any) -> None:
    run.state["d"].set_(tensor)


@pytest.mark.parametrize("give", [set_data, set_storage])
def test_memory_given_to_the_state_is_what_steps_go_by(
    give: Callable[[Run, Any], None], backend: str
) -> None:
    runs = [begun(), begun()]
    direction = torch.linspace(-1, 1, 10, dtype=torch.float64)
    give(runs[0], direction.clone())
    runs[1].state["d"].copy_(direction)
    for run in runs:
        run.step()
    for one, other in zip(*(run.params for run in runs), strict=True):
        assert torch.equal(one, other)
    unlike = begun()
    unlike.step()
    assert not torch.equal(unlike.w, runs[0].w)


@pytest.mark.parametrize("what", ["parameter 1", r"state\['prev_flat_grad'\]"])
def test_state_that_shares_memory_is_refused(what: str, backend: str) -> None:
    base = torch.ones(3, dtype=torch.float64)
    w = [torch.nn.Parameter(torch.zeros(0, dtype=torch.float64)), torch.nn.Parameter(base)]
    opt = front.LBFGS(w, max_iter=3, **ZERO)

    def closure() -> Any:
        opt.zero_grad()
        loss = (w[1] ** 4).sum() + w[0].sum()
        loss.backward()
        return loss

    opt.step(closure)
    state, before = opt.state[w[0]], w[1].detach().clone()
    state["d"] = w[1].data if what == "parameter 1" else state["prev_flat_grad"]
    with pytest.raises(ValueError, match=rf"(?=.*{what})(?=.*state\['d'\]).* share memory"):
        opt.step(closure)
    assert torch.equal(w[1].detach(), before)


@pytest.mark.parametrize("of", ["parameter", "gradient", "state"])
def test_freed_storages_are_refused(of: str, backend: str) -> None:
    w = torch.nn.Parameter(torch.ones(5))
    opt = front.LBFGS([w], max_iter=2, **ZERO)
    given = torch.ones(5)

    def closure() -> Any:
        w.grad = 2 * torch.ones(5)
        if of == "gradient":
            w.grad.untyped_storage().resize_(0)
        return 1.0

    if of == "state":
        opt.step(closure)
        opt.state[w]["d"] = given
        given.untyped_storage().resize_(0)
    elif of == "parameter":
        w.untyped_storage().resize_(0)
    with pytest.raises(ValueError, match="memory"):
        opt.step(closure)


@pytest.mark.parametrize("way", ["to torch", "torch's code", "a longer history"])
def test_torchs_own_code_goes_on(way: str, backend: str) -> None:
    history = 2 if way == "a longer history" else 10
    options = {"max_iter": 3, "history_size": history, **ZERO}
    ours, theirs = Run(front, **options), Run(torch.optim, **options)
    for run in (ours, theirs):
        run.step()
    if way == "to torch":
        twin = Run(torch.optim, **options)
        for param, now in zip(twin.params, ours.params, strict=True):
            param.data.copy_(now.data)
        twin.opt.load_state_dict(ours.opt.state_dict())
        twin.calls, ours = ours.calls, twin
    else:
        ours.opt.param_groups[0]["tolerance_grad"] = -1.0
    if way == "a longer history":
        for run in (ours, theirs):
            run.opt.param_groups[0]["history_size"] = 6
        theirs.opt.state[theirs.w]["al"] = [None] * 6
    for _ in range(4):
        ours.step()
        theirs.step()
    assert_alike(ours, theirs, 1e-9)
