"""Slow weights of tensors: states, skipped steps, and in the parameters' place."""

from __future__ import annotations

import numpy as np
import pytest

from tests.torch.around import bits, state_of, tensors, trained

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
fronts = pytest.importorskip("gradstep.torch")

pytestmark = pytest.mark.usefixtures("backend")


def test_a_lookahead_refuses_other_states_whole() -> None:
    params = tensors()
    opt = fronts.Lookahead(fronts.AdamW(params, lr=0.1), k=2)
    trained(opt, params, 1)
    before = bits(params), state_of(opt), bits(list(opt.slow.values()))
    for change, match in (
        (lambda own: own.update(k=0), "k must be an integer ≥ 1"),
        (lambda own: own.update(alpha=2.0), r"alpha must be a number in \[0, 1\]"),
        (lambda own: own["slow"].pop(), "slow weights of 4 parameters, not 5"),
        (lambda own: own["slow"].__setitem__(0, torch.ones(2)), r"parameter 0 have shape \(2,\)"),
    ):
        state = opt.state_dict()
        change(state["lookahead"])
        state["param_groups"][0]["lr"] = 0.7
        with pytest.raises(ValueError, match=match):
            opt.load_state_dict(state)
        assert opt.param_groups[0]["lr"] == 0.1
    with pytest.raises(ValueError, match="has no entry 'lookahead': it is not of a Lookahead"):
        opt.load_state_dict(opt.optimizer.state_dict())
    assert (bits(params), state_of(opt), bits(list(opt.slow.values()))) == before


def test_skipped_steps_do_not_count() -> None:
    w = torch.nn.Parameter(torch.ones(2))
    opt = fronts.Lookahead(fronts.SGD([w], lr=1.0, skip_nonfinite=True), k=2)
    for gradient in (1.0, float("nan"), 1.0):
        w.grad = torch.full((2,), gradient)
        opt.step()
        assert opt.last_info.skipped == (gradient != gradient)
    np.testing.assert_array_equal(w.detach().numpy(), 0.0)


def test_steps_that_a_wrapper_within_skips_do_not_count() -> None:
    w = torch.nn.Parameter(torch.ones(2))
    opt = fronts.Lookahead(fronts.SAM(torch.optim.SGD([w], lr=1.0), rho=0.0), k=2)

    losses = [1.0, 1.0, float("nan"), 1.0, 1.0]

    def closure() -> float:
        w.grad = torch.ones(2)
        return losses.pop()

    for _ in range(3):
        opt.step(closure)
    np.testing.assert_array_equal(w.detach().numpy(), 0.0)


@pytest.mark.parametrize("fused", [False, True])
def test_loss_scaling_works_through_a_lookahead(fused: bool) -> None:
    w = torch.nn.Parameter(torch.ones(2))
    opt = fronts.Lookahead(fronts.SGD([w], lr=1.0, fused=fused), k=2)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for factor in (1.0, float("inf"), 1.0):
        opt.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        scaler.step(opt)
        scaler.update()
    np.testing.assert_array_equal(w.detach().numpy(), 0.0)


def test_slow_weights_take_the_parameters_place_for_a_while() -> None:
    params = tensors()
    opt = fronts.Lookahead(fronts.AdamW(params, lr=0.1), k=5)
    slow = bits(params)
    fast = trained(opt, params, 2)
    with opt.swap_slow_weights():
        assert bits(params) == slow
        with pytest.raises(RuntimeError, match=r"busy with swap_slow_weights\(\)"):
            opt.step()
    assert bits(params) == fast
    with pytest.raises(RuntimeError, match="were given other memory"), opt.swap_slow_weights():
        params[1].data = torch.full((30,), 7.0)
    assert bits(params)[0] == fast[0]
    np.testing.assert_array_equal(params[1].detach().numpy(), 7.0)


def test_slow_weights_that_cannot_be_written_are_found_before_the_step() -> None:
    params = tensors()
    opt = fronts.Lookahead(fronts.AdamW(params, lr=0.1), k=2)
    trained(opt, params, 1)
    opt.step(lambda: 1.0)
    opt.step(lambda: 1.0)
    own = opt.slow[params[1]]
    for value, match in (
        (torch.zeros(3), r"the slow weights of parameter 1 have shape \(3,\)"),
        (own.double(), "the slow weights of parameter 1 have dtype torch.float64"),
        (params[1].detach(), "parameter 1 and the slow weights of parameter 1 share memory"),
    ):
        opt._slow[params[1]] = value
        before = bits(params), state_of(opt), opt.steps
        with pytest.raises((TypeError, ValueError), match=match):
            opt.step()
        assert (bits(params), state_of(opt), opt.steps) == before
    opt._slow[params[1]] = own
    opt.step()
    np.testing.assert_array_equal(own.numpy(), params[1].detach().numpy())


def test_what_was_given_other_memory_after_a_meeting_meets_there() -> None:
    params, others = tensors(), tensors()
    opt, other = (fronts.Lookahead(fronts.AdamW(p, lr=0.1), k=2) for p in (params, others))
    for moved in ([], [params[0]], [opt.slow[params[1]]], [params[1], opt.slow[params[4]]]):
        for tensor in moved:
            tensor.data = tensor.data.clone()
        assert trained(opt, params, 3) == trained(other, others, 3)
        assert bits(list(opt.slow.values())) == bits(list(other.slow.values()))


@pytest.mark.parametrize("of", ["parameter 0", "the slow weights of parameter 0"])
def test_what_cannot_be_written_any_more_after_a_meeting_is_refused(of: str) -> None:
    params = tensors()
    opt = fronts.Lookahead(fronts.AdamW(params, lr=0.1), k=1)
    trained(opt, params, 2)
    tensor = params[0] if of == "parameter 0" else opt.slow[params[0]]
    data, before = tensor.data, (bits(params), state_of(opt), opt.steps)
    for value, error, match in (
        (data._neg_view(), ValueError, "has the negative bit"),
        (data[:, ::2], ValueError, "does not fill its memory"),
        (data.to(torch.complex64), TypeError, "is complex"),
    ):
        tensor.data = value
        with pytest.raises(error, match=f"^{of} {match}"):
            opt.step()
        tensor.data = data
        assert (bits(params), state_of(opt), opt.steps) == before
    opt.step()
    assert opt.steps == 3


@pytest.mark.parametrize("wrapper", ["Lookahead", "SAM", "ASAM"])
def test_nothing_goes_around_lbfgs(wrapper: str) -> None:
    for optim in (fronts, torch.optim):
        with pytest.raises(TypeError, match=f"evaluates its closure itself.*no {wrapper} can"):
            getattr(fronts, wrapper)(optim.LBFGS(tensors()))


def test_averages_of_a_method_are_not_torn_apart() -> None:
    for around in (lambda opt: opt, fronts.SAM):
        with pytest.raises(TypeError, match="opt must not be a ScheduleFreeAdamW: its parameters"):
            fronts.Lookahead(around(fronts.ScheduleFreeAdamW(tensors())))


def test_steps_in_the_backward_pass_are_those_of_single_parameters() -> None:
    for opt in (
        fronts.SAM(fronts.SGD(tensors(), lr=0.1)),
        fronts.Lookahead(fronts.SGD(tensors(), lr=0.1)),
        fronts.LBFGS(tensors()),
    ):
        kind = type(opt).__name__
        with pytest.raises(TypeError, match=f"got a {kind}, whose steps need all parameters"):
            fronts.step_in_backward(opt)
