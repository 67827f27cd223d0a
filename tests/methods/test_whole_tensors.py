"""What rules take of whole tensors: sums, scalars, factors; averages of schedule-free methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything
from tests.specs_of_whole_tensors import WHOLE_TENSORS

pytestmark = pytest.mark.usefixtures("backend")

SCHEDULE_FREE = [gs.ScheduleFreeSGD, gs.ScheduleFreeAdamW]


def noise(step: int, *shape: int) -> Array:
    return np.random.default_rng(step).normal(0.5, 1.0, shape)


@pytest.mark.parametrize(
    ("cls", "options", "named"),
    [
        (gs.Adafactor, {"clip_value": 1.0}, "clip_value"),
        (gs.Adafactor, {"clip_adaptive": 0.1}, "clip_adaptive"),
        (gs.Adafactor, {"weight_decay": 0.1, "decoupled_weight_decay": False}, "weight_decay"),
        *((cls, {"l1": 0.1}, "l1") for cls in SCHEDULE_FREE),
        *((cls, {"ema_decay": 0.9}, "ema_decay") for cls in SCHEDULE_FREE),
        *((cls, {"decoupled_weight_decay": True}, "decoupled") for cls in SCHEDULE_FREE),
        (gs.ScheduleFreeSGD, {"momentum": 0.0}, "momentum"),
        (gs.ScheduleFreeAdamW, {"betas": (0.0, 0.9)}, r"betas\[0\]"),
    ],
)
def test_options_that_do_not_go_with_it(cls: Any, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        cls(np.ones((2, 2)), **options)
    opt = cls(np.ones((2, 2)))
    name, value = next(iter(options.items()))
    if len(options) == 1:
        with pytest.raises(ValueError, match=named):
            setattr(opt, name, value)


def test_every_refusal_of_a_spec_is_one() -> None:
    values: dict[str, dict[str, Any]] = {
        "clip_value": {"clip_value": 1.0},
        "clip_adaptive": {"clip_adaptive": 0.1},
        "l1": {"l1": 0.1},
        "ema_decay": {"ema_decay": 0.9},
        "decoupled_weight_decay": {"decoupled_weight_decay": True},
        "coupled_decay": {"decoupled_weight_decay": False, "weight_decay": 0.1},
    }
    of_others = {"clip_adaptive_axis", "ema_dtype"}  # which say more of one that is refused
    for spec in WHOLE_TENSORS:
        assert set(spec.refuses) <= values.keys() | of_others
        for option in set(spec.refuses) - of_others:
            with pytest.raises(ValueError, match=option.removeprefix("coupled_")):
                spec.cls(np.ones(2), **values[option])


def test_prodigy_has_one_distance_for_all_tensors() -> None:
    params = {"a": np.ones(3), "b": np.ones((2, 2)), "c": np.ones(())}
    opt = gs.Prodigy(params, d0=1e-2)
    for step in range(4):
        grads: dict[str, Any] = {name: noise(step, *p.shape) for name, p in params.items()}
        opt.step(grads | {"b": None} if step == 1 else grads)
    for slot in ("d", "d_max", "d_numerator"):
        assert len({float(opt.state[name][slot]) for name in params}) == 1
    assert opt.state["a"]["d"] > 1e-2
    d = float(opt.state["a"]["d"])
    opt.add_group({"params": {"e": np.zeros(2)}})
    opt.step([{n: noise(9, *p.shape) for n, p in params.items()}, {"e": np.ones(2)}])
    assert opt.state["e"]["d"] == opt.state["a"]["d"] >= d


def test_prodigy_goes_by_the_first_group() -> None:
    def trained(**of_second: float) -> gs.Prodigy:
        groups = [{"params": {"a": np.ones(3)}}, {"params": {"b": np.ones(4)}, **of_second}]
        opt = gs.Prodigy(groups, d0=1e-2)
        for step in range(5):
            opt.step({"a": noise(step, 3), "b": noise(step, 4)})
        return opt

    opt, plain = trained(d_coef=3.0, growth_rate=1.01, beta3=0.5), trained()
    for slot in ("d", "d_max", "d_numerator"):
        assert opt.state["a"][slot] == opt.state["b"][slot] > 0.0
    assert opt.state["a"]["d_max"] != plain.state["a"]["d_max"]  # b's s is by its own β3


def test_where_the_average_lies_is_no_schedule() -> None:
    for cls, options in (
        (gs.ScheduleFreeSGD, {"momentum": lambda step: 0.9}),
        (gs.ScheduleFreeAdamW, {"betas": (lambda step: 0.9, 0.99)}),
    ):
        with pytest.raises(ValueError, match=r"momentum, or betas\[0\], must be a number"):
            cls(np.ones(2), **options)


def test_prodigy_begins_where_its_parameter_was_at_its_first_step() -> None:
    params = {"a": np.zeros(3), "b": np.zeros(3)}
    opt = gs.Prodigy(params)
    params["a"][...], params["b"][...] = 1.0, 2.0
    opt.step({"a": np.ones(3), "b": None})
    assert opt.state["a"]["p0"].tolist() == [1.0] * 3
    opt.step({"a": np.ones(3), "b": np.ones(3)})
    assert opt.state["b"]["p0"].tolist() == [2.0] * 3


def test_prodigy_needs_all_tensors_at_once() -> None:
    opt = gs.Prodigy([np.ones(3), np.ones(2)])
    table = opt._layout.table
    table.begin(opt._layout.rows(), 1.0)
    with pytest.raises(ValueError, match="apply them together"):
        table.apply(0, [np.ones(3)])
    table.apply(0, [np.ones(3), np.ones(2)])
    assert table.end() == ()
    assert opt.state["0"]["d_numerator"] == 0.0  # nothing has moved yet
    assert float(np.abs(opt.state["0"]["s"]).max()) > 0.0


def test_a_skipped_step_leaves_scalars_and_factors() -> None:
    for cls in (gs.NovoGrad, gs.Prodigy, gs.Adafactor, gs.ScheduleFreeSGD):
        opt = cls(np.ones((3, 2)), skip_nonfinite=True)
        opt.step(noise(0, 3, 2))
        before = everything(opt)
        assert opt.step(np.full((3, 2), np.nan)).skipped
        assert_same_bits(everything(opt), before)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_factors_are_means_of_rows_and_columns(order: Any, dtype: str) -> None:
    w = np.array(noise(0, 5, 7), dtype, order=order)
    opt = gs.Adafactor(w)
    g = noise(1, 5, 7).astype(dtype)
    opt.step(g, grad_scale=0.5)
    squares = (0.5 * g.astype(np.float64)) ** 2
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    state = opt.state["0"]
    np.testing.assert_allclose(state["row_var"], squares.mean(1, keepdims=True), rtol=tolerance)
    np.testing.assert_allclose(state["col_var"], squares.mean(0, keepdims=True), rtol=tolerance)


def test_both_orders_of_memory_take_the_same_steps() -> None:
    ours, theirs = np.ones((40, 30)), np.ones((40, 30), order="F")
    for w in (ours, theirs):
        opt = gs.Adafactor(w, lr=0.1)
        for step in range(3):
            opt.step(noise(step, 40, 30))
    np.testing.assert_allclose(ours, theirs, rtol=1e-14)


def test_batches_of_matrices_in_column_major_order_are_refused() -> None:
    with pytest.raises(ValueError, match="'0' has 3 axes in column-major order"):
        gs.Adafactor(np.asfortranarray(np.ones((2, 3, 4))))


@pytest.mark.parametrize("cls", SCHEDULE_FREE)
def test_averages_are_the_weighted_mean_of_z(cls: Any) -> None:
    w = noise(0, 6)
    opt = cls(w, lr=0.1)
    points, weights = [], []
    for step in range(10):
        opt.lr = 0.1 if step < 5 else 0.2
        opt.step(noise(step, 6))
        points.append(opt.state["0"]["z"].copy())
        weights.append(opt.lr**2)
    y = w.copy()
    with opt.swap_averages():
        x = w.copy()
        with pytest.raises(RuntimeError, match="busy with swap_averages"):
            opt.step(noise(0, 6))
    assert_same_bits({"y": w}, {"y": y})
    np.testing.assert_allclose(x, np.average(points, axis=0, weights=weights), rtol=1e-10)


@pytest.mark.parametrize("cls", SCHEDULE_FREE)
def test_what_has_not_stepped_is_its_own_average(cls: Any) -> None:
    params = {"a": np.ones(3, "f"), "b": np.full(2, 7.0, "f")}
    copies = {"a": np.zeros(3, np.float16)}
    opt = cls(params, lr=0.1, copies=copies)
    opt.step({"a": np.ones(3, "f"), "b": None})
    y = params["a"].copy()
    with opt.swap_averages():
        assert params["b"].tolist() == [7.0, 7.0]
        assert copies["a"].tolist() == params["a"].astype(np.float16).tolist()
    assert_same_bits({"a": params["a"]}, {"a": y})


def test_what_is_kept_of_whole_tensors_cannot_be_resized() -> None:
    for cls in (gs.Adafactor, gs.NovoGrad, gs.Prodigy, gs.ScheduleFreeSGD):
        opt = cls(np.ones((50, 40)))
        opt.step(noise(0, 50, 40))
        for array in opt.state["0"].values():
            with pytest.raises(ValueError, match="does not own its data"):
                array.resize(0, refcheck=False)
        before = everything(opt)
        opt.load_state_dict(opt.state_dict())
        assert_same_bits(everything(opt), before)


@pytest.mark.parametrize("cls", SCHEDULE_FREE)
def test_what_a_schedule_does_to_parameters_is_seen_before_averages_take_their_place(
    cls: Any,
) -> None:
    w, armed = noise(0, 6), []

    def lr(step: int) -> float:
        if armed:
            w.flags.writeable = False
        return 0.1

    opt = cls({"w": w}, lr=lr)
    opt.step({"w": noise(1, 6)})
    before = w.copy()
    armed.append(True)
    with pytest.raises(ValueError, match="parameter 'w'"), opt.swap_averages():
        pass
    assert_same_bits({"w": w}, {"w": before})
