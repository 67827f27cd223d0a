"""Arrays that lie on one another, and mappings that are used again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def test_a_state_of_the_optimizers_own_arrays_crosswise_is_loaded_as_it_was() -> None:
    params = {"a": np.ones(3), "b": np.ones(3)}
    opt = gs.SGD(params, lr=0.1, momentum=0.9, ema_decay=0.5)
    opt.step({"a": np.ones(3), "b": np.full(3, 2.0)})
    state, before = opt.state_dict(), everything(opt)
    state["state"]["a"]["momentum_buffer"] = opt.state["b"]["momentum_buffer"]
    state["state"]["b"]["momentum_buffer"] = opt.state["a"]["momentum_buffer"]
    state["ema"] = {"a": params["b"], "b": opt.ema["a"]}
    opt.load_state_dict(state)
    assert_same_bits(
        everything(opt),
        before
        | {
            "a/momentum_buffer": before["b/momentum_buffer"],
            "b/momentum_buffer": before["a/momentum_buffer"],
            "a/ema": before["b"],
            "b/ema": before["a/ema"],
        },
    )


def test_a_sum_of_its_own_sums_crosswise() -> None:
    total = gs.GradientSum()
    total.add({"a": np.ones(2), "b": np.full(2, 10.0)})
    total.add({"a": total.grads["b"], "b": total.grads["a"]})
    np.testing.assert_array_equal(total.grads["a"], 11.0)
    np.testing.assert_array_equal(total.grads["b"], 11.0)
    total.add({"a": total.grads["a"], "b": total.grads["b"][::-1]})
    np.testing.assert_array_equal(total.grads["b"], 22.0)
    sums = total.grads
    total.clear()
    sums["a"][:] = 1
    total.add({"a": sums["b"], "b": sums["a"]})
    np.testing.assert_array_equal(total.grads["a"], 22.0)
    np.testing.assert_array_equal(total.grads["b"], 1.0)


def test_nothing_is_added_where_one_sum_is_read_only() -> None:
    total = gs.GradientSum()
    total.add([np.ones(2), np.ones(2)])
    total.grads[1].flags.writeable = False
    with pytest.raises(ValueError, match="the sum of gradient '1' has become read-only"):
        total.add([np.ones(2), np.ones(2)])
    np.testing.assert_array_equal(total.grads[0], 1.0)
    assert total.count == 1


def test_coefficients_may_be_one_dict_that_is_changed_in_place() -> None:
    class OneDict(type(gs.SGD.method)):  # type: ignore[misc]
        def coefficients(self, rule: str, h: Mapping[str, Any]) -> dict[str, float]:
            self.kept = vars(self).get("kept", {})
            self.kept.update(super().coefficients(rule, h))
            return self.kept

    class OwnSGD(gs.SGD):
        method = OneDict()

    w, twin = np.ones(2), np.ones(2)
    lr = gs.schedules.cosine_annealing(5) * 0.5
    opt, plain = OwnSGD(w, lr=lr), gs.SGD(twin, lr=lr)
    for _ in range(4):
        opt.step(np.ones(2))
        plain.step(np.ones(2))
    np.testing.assert_array_equal(w, twin)


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
@pytest.mark.parametrize("shape", [(3, 2), (6,), (2, 3, 1)])
def test_a_parameter_that_was_reshaped_in_place_is_refused(shape: tuple[int, ...]) -> None:
    w = np.ones((2, 3))
    opt = gs.SGD(w, lr=0.1, clip_adaptive=0.1)
    opt.step(np.ones((2, 3)))
    before = w.copy()
    w.shape = shape
    for given in (shape, (2, 3)):
        with pytest.raises(ValueError, match="parameter '0' is no longer the writeable array"):
            opt.step(np.ones(given))
    np.testing.assert_array_equal(w.ravel(), before.ravel())
    w.shape = (2, 3)
    opt.step(np.ones((2, 3)))
