"""Whatever a closure does, tensors are afterwards as before, or as after the step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.torch.around import (
    ANY,
    INNER,
    SHARP,
    WRAPPERS,
    bits,
    closure_of,
    nth,
    state_of,
    tensors,
    throw,
    trained,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

pytestmark = pytest.mark.usefixtures("backend")


@SHARP
@ANY
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt("mine")])
def test_whatever_a_closure_raises_parameters_are_as_before(
    wrapper: str, inner: str, n: int, error: BaseException
) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](INNER[inner](params))
    trained(opt, params, 1)
    before = bits(params), state_of(opt)
    with pytest.raises(type(error), match="mine"):
        opt.step(nth(n, closure_of(opt, params), throw(error)))
    assert (bits(params), state_of(opt)) == before
    trained(opt, params, 1)
    assert not opt.last_info.skipped


@SHARP
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_not_finite_is_skipped(wrapper: str, n: int, what: str) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](fronts.AdamW(params, lr=0.1))
    trained(opt, params, 1)
    before = bits(params), state_of(opt)

    def spoil(loss: Any) -> Any:
        if what == "loss":
            return loss * float("nan")
        params[0].grad[3, 4] = float("inf")
        return loss

    opt.step(nth(n, closure_of(opt, params), spoil))
    assert opt.last_info.skipped
    assert (bits(params), state_of(opt)) == before


@SHARP
def test_closures_that_cannot_be_followed_are_refused(wrapper: str) -> None:
    params = tensors()
    opt = WRAPPERS[wrapper](fronts.AdamW(params, lr=0.1))
    closure = closure_of(opt, params)
    before = bits(params)

    def drop(loss: Any) -> Any:
        params[1].grad = None
        return loss

    def sparse(loss: Any) -> Any:
        params[0].grad = params[0].grad.to_sparse()
        return loss

    def step_within(loss: Any) -> Any:
        for each in (opt, opt.optimizer):
            with pytest.raises(RuntimeError, match=rf"busy with {wrapper}.step\(\)"):
                each.step(closure) if each is opt else each.step()
        raise KeyError

    for n, act, error, match in (
        (2, drop, ValueError, "there were 5 with one, and then 4"),
        (1, sparse, TypeError, "has the layout torch.sparse_coo"),
        (2, lambda loss: None, TypeError, "closure must return the loss.*got None"),
        (1, lambda loss: torch.ones(2), TypeError, "a tensor with one element"),
        (2, step_within, KeyError, None),
    ):
        with pytest.raises(error, match=match):
            opt.step(nth(n, closure, act))
        assert bits(params) == before
    with pytest.raises(TypeError, match=r"closure must be a function.*opt.step\(closure\)"):
        opt.step()


def test_memory_that_a_closure_exchanges_is_told() -> None:
    w = torch.nn.Parameter(torch.ones(3))
    opt = fronts.SAM(fronts.SGD([w], lr=0.1))

    def exchange(loss: Any) -> Any:
        w.data = torch.full((3,), 7.0)
        return loss

    with pytest.raises(RuntimeError, match="closure gave parameters other memory"):
        opt.step(nth(2, closure_of(opt, [w]), exchange))
    np.testing.assert_array_equal(w.detach().numpy(), 7.0)
    opt.step(closure_of(opt, [w]))
    assert (w < 7).all()


@SHARP
def test_autograd_is_told_of_moved_parameters(wrapper: str) -> None:
    w = torch.nn.Parameter(torch.ones(3))
    opt = WRAPPERS[wrapper](fronts.SGD([w], lr=0.1))
    old = (w * w).sum()
    opt.step(closure_of(opt, [w]))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        old.backward()
