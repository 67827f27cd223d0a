"""Which arrays may come, what is done with them, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from tests.thinc.training import Array, gradients, state, stepped, thinc, weights

ours = pytest.importorskip("gradstep.thinc")

pytestmark = pytest.mark.usefixtures("backend")

KEY = (3, "W")


def assert_equal(got: list[Array], expected: list[Array]) -> None:
    assert all(np.array_equal(one, other) for one, other in zip(got, expected, strict=True))


def test_weights_are_updated_in_place_and_returned() -> None:
    opt, weight, gradient = ours.Adam(0.1), np.zeros(3, np.float32), np.ones(3, np.float32)
    results = opt(KEY, weight, gradient)
    assert results[0] is weight
    assert results[1] is gradient
    assert weight.any()
    assert not gradient.any()


def test_gradients_that_are_not_finite_are_zero_afterwards() -> None:
    gradient = np.array([np.nan, np.inf, 1.0], np.float32)
    ours.SGD(0.1, grad_clip=0.0)(KEY, np.zeros(3, np.float32), gradient)
    assert np.array_equal(gradient, np.zeros(3, np.float32))


def test_weights_may_be_others_in_every_call() -> None:
    opt = ours.Adam(0.01)
    params = weights()
    left = []
    for step in range(20):
        left += [(param, param.copy()) for param in params]
        params = stepped(opt, [param.copy() for param in params], range(step, step + 1))
    assert_equal(params, stepped(ours.Adam(0.01), weights(), range(20)))
    assert all(np.array_equal(now, before) for now, before in left)


@pytest.mark.parametrize("change", ["fortran", "strided", "float64", "read as float16"])
def test_gradients_and_weights_of_other_layouts(change: str) -> None:
    def other(array: Array) -> Array:
        if change == "fortran":
            return np.asfortranarray(array)
        if change == "strided":
            return np.repeat(array, 2, axis=-1)[..., ::2]
        return array.astype(np.float64 if change == "float64" else np.float16)

    opt, alone = ours.Adam(0.01), ours.Adam(0.01)
    params, expected = weights(), weights()
    for step in range(5):
        for i, gradient in enumerate(gradients(step)):
            given = other(gradient)
            plain = given.astype(np.float32).copy(order="C")
            param = other(params[i]) if change in ("fortran", "strided") else params[i]
            params[i], came = opt((i, "W"), param, given)
            assert came is given
            assert not given.any()
            expected[i], _ = alone((i, "W"), expected[i], plain)
    assert_equal(params, expected)


def test_float64_weights_are_stepped_in_float64() -> None:
    opt, param = ours.Adam(0.1, grad_clip=0.0), np.zeros(2)
    opt(KEY, param, np.array([1e-3, -1e3]))
    np.testing.assert_allclose(param, [-0.1, 0.1], rtol=1e-3)
    assert opt.mom1[KEY].dtype == np.float64


def test_empty_gradients_are_let_be() -> None:
    opt, empty = ours.Adam(0.1), np.zeros((0, 3), np.float32)
    assert opt(KEY, empty, empty)[0] is empty
    assert KEY not in opt.nr_update


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
def test_copies_go_on_alike(copied: Any) -> None:
    opt = ours.Adam(0.01, L2=0.1)
    params = stepped(opt, weights(), range(5))
    other = copied(opt)
    assert type(other) is type(opt)
    assert_equal(
        stepped(other, [p.copy() for p in params], range(5, 10)), stepped(opt, params, range(5, 10))
    )


def overlapping(opt: Any) -> tuple[Array, Array]:
    memory = np.ones(7, np.float32)
    return memory[:4], memory[3:]


def other_size(opt: Any) -> tuple[Array, Array]:
    return np.ones(5, np.float32), np.ones(5, np.float32)


def half(opt: Any) -> tuple[Array, Array]:
    return np.ones(4, np.float16), np.ones(4, np.float16)


def read_only(opt: Any) -> tuple[Array, Array]:
    param = np.ones(4, np.float32)
    param.flags.writeable = False
    return param, np.ones(4, np.float32)


def read_only_gradient(opt: Any) -> tuple[Array, Array]:
    return read_only(opt)[::-1]


def another_shape(opt: Any) -> tuple[Array, Array]:
    return np.ones(4, np.float32), np.ones((4, 1), np.float32)


def the_averages(opt: Any) -> tuple[Array, Array]:
    return opt.averages[KEY], np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        (overlapping, "shares memory with a parameter"),
        (other_size, r"mom1\[\(3, 'W'\)\] must be a contiguous array of 5 elements"),
        (half, "are float16; expected float32 or float64"),
        (read_only, "is read-only"),
        (read_only_gradient, "which is set to zero, has become read-only"),
        (another_shape, r"has shape \(4, 1\); expected \(4,\)"),
        (the_averages, "overlap in memory|are the same array"),
    ],
)
@pytest.mark.parametrize("begun", [True, False])
def test_refusals_name_the_weights_and_change_nothing(arrays: Any, says: str, begun: bool) -> None:
    if not begun and arrays in (other_size, the_averages):
        pytest.skip("it is about the state of weights that have been stepped")
    opt = ours.Adam(0.01)
    if begun:
        opt(KEY, np.ones(4, np.float32), np.ones(4, np.float32))
    given = arrays(opt)
    before = state(opt), [array.copy() for array in given], dict(opt.nr_update)
    with pytest.raises((TypeError, ValueError), match=says) as refused:
        opt(KEY, *given)
    assert "(3, 'W')" in str(refused.value)
    after = state(opt), list(given), dict(opt.nr_update)
    assert before[0].keys() == after[0].keys()
    assert_equal(list(after[0].values()), list(before[0].values()))
    assert_equal(after[1], before[1])
    assert before[2] == after[2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"learn_rate": -0.1}, "lr must be"),
        ({"learn_rate": float("nan")}, "lr must be"),
        ({"beta1": 1.0}, "betas"),
        ({"beta1": 0.0}, "beta1 must be > 0 where beta2 is"),
        ({"grad_clip": -1.0}, "clip_norm must be"),
        ({"L2": -1.0}, "weight_decay must be"),
    ],
)
def test_numbers_are_checked_in_the_call(options: dict[str, float], says: str) -> None:
    opt = ours.Adam(**options)
    param, gradient = np.ones(4, np.float32), np.ones(4, np.float32)
    with pytest.raises(ValueError, match=says):
        opt(KEY, param, gradient)
    assert not state(opt)
    assert not opt.nr_update
    assert np.array_equal(param, gradient)


def test_weights_elsewhere_are_stepped_by_thinc(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, called = object(), []
    monkeypatch.setattr(
        thinc.Optimizer, "__call__", lambda self, *args, **options: called.append(args) or args[1:]
    )
    assert ours.Adam(0.1)(KEY, elsewhere, elsewhere) == (elsewhere, elsewhere)
    assert called == [(KEY, elsewhere, elsewhere)]


def test_state_moves_to_the_cpu() -> None:
    opt = ours.Adam(0.01)
    params = stepped(opt, weights(), range(3))
    before = state(opt)
    opt.to_cpu()
    after = state(opt)
    assert before.keys() == after.keys()
    assert_equal(list(after.values()), list(before.values()))
    stepped(opt, params, range(3, 4))
