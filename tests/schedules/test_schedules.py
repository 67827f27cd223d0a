"""Schedules against PyTorch's and Optax's, and as values: repr, pickle, equality, composition."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep import schedules as s

STEPS = 320


def values(schedule: Callable[[int], float], steps: int = STEPS) -> list[float]:
    return [schedule(step) for step in range(steps)]


TORCH: dict[str, tuple[Callable[[int], float], str, dict[str, Any]]] = {
    "step_decay": (s.step_decay(30, 0.5), "StepLR", {"step_size": 30, "gamma": 0.5}),
    "multistep": (
        s.multistep([10, 11, 200], 0.3),
        "MultiStepLR",
        {"milestones": [10, 11, 200], "gamma": 0.3},
    ),
    "exponential": (s.exponential(0.97), "ExponentialLR", {"gamma": 0.97}),
    "linear": (
        s.linear(100, start=0.3, end=0.9),
        "LinearLR",
        {"start_factor": 0.3, "end_factor": 0.9, "total_iters": 100},
    ),
    "linear_warmup": (
        s.linear_warmup(40, start=0.25),
        "LinearLR",
        {"start_factor": 0.25, "total_iters": 40},
    ),
    "polynomial": (s.polynomial(250, 3.0), "PolynomialLR", {"total_iters": 250, "power": 3.0}),
    "cosine_restarts": (
        s.cosine_restarts(20, growth=2, end=0.1),
        "CosineAnnealingWarmRestarts",
        {"T_0": 20, "T_mult": 2, "eta_min": 0.1},
    ),
    "equal cosine_restarts": (s.cosine_restarts(7), "CosineAnnealingWarmRestarts", {"T_0": 7}),
    "one_cycle": (
        s.one_cycle(STEPS, rise=0.4, start=0.1, end=0.001),
        "OneCycleLR",
        {
            "max_lr": 1.0,
            "total_steps": STEPS,
            "pct_start": 0.4,
            "div_factor": 10.0,
            "final_div_factor": 100.0,
            "cycle_momentum": False,
        },
    ),
    **{
        f"cyclic {mode}": (
            s.cyclic(30, 20, low=0.2, mode=mode, factor=0.99),  # type: ignore[arg-type]
            "CyclicLR",
            {
                "base_lr": 0.2,
                "max_lr": 1.0,
                "step_size_up": 30,
                "step_size_down": 20,
                "mode": mode,
                "gamma": 0.99,
                "cycle_momentum": False,
            },
        )
        for mode in ("triangular", "triangular2", "exp_range")
    },
    "cosine_annealing until its end": (
        s.cosine_annealing(STEPS, end=0.1),
        "CosineAnnealingLR",
        {"T_max": STEPS, "eta_min": 0.1},
    ),
}


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step:UserWarning")
@pytest.mark.parametrize("name", TORCH)
def test_equals_torch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    ours, theirs, options = TORCH[name]
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = getattr(torch.optim.lr_scheduler, theirs)(opt, **options)
    expected = []
    for step in range(STEPS):
        expected.append(float(opt.param_groups[0]["lr"]))
        opt.step()
        if step < STEPS - 1:
            scheduler.step()
    np.testing.assert_allclose(values(ours), expected, rtol=1e-12, atol=1e-15)


def optax_cases(optax: Any) -> dict[str, tuple[Callable[[int], float], Any]]:
    return {
        "constant": (s.constant(0.3), optax.constant_schedule(0.3)),
        "cosine_annealing": (
            s.cosine_annealing(100, end=0.2),
            optax.cosine_decay_schedule(1.0, 100, alpha=0.2),
        ),
        "exponential_warmup": (
            s.exponential_warmup(100, start=0.01),
            optax.exponential_decay(0.01, 100, 100.0, end_value=1.0),
        ),
        "linear_warmup": (s.linear_warmup(50), optax.linear_schedule(0.0, 1.0, 50)),
        "polynomial": (s.polynomial(90, 2.0, 0.1), optax.polynomial_schedule(1.0, 0.1, 2.0, 90)),
        "join": (
            s.join([s.linear_warmup(20), s.cosine_annealing(100, 0.1), s.constant(0.5)], [20, 120]),
            optax.join_schedules(
                [
                    optax.linear_schedule(0.0, 1.0, 20),
                    optax.cosine_decay_schedule(1.0, 100, alpha=0.1),
                    optax.constant_schedule(0.5),
                ],
                [20, 120],
            ),
        ),
        "warmup_stable_decay": (
            s.warmup_stable_decay(20, 100, 50, start=0.1, end=0.05),
            optax.join_schedules(
                [
                    optax.linear_schedule(0.1, 1.0, 20),
                    optax.constant_schedule(1.0),
                    optax.linear_schedule(1.0, 0.05, 50),
                ],
                [20, 120],
            ),
        ),
        "piecewise": (
            s.piecewise([10, 200], [1.0, 0.5, 0.05]),
            optax.piecewise_constant_schedule(1.0, {10: 0.5, 200: 0.1}),
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        "constant",
        "cosine_annealing",
        "exponential_warmup",
        "linear_warmup",
        "polynomial",
        "join",
        "warmup_stable_decay",
        "piecewise",
    ],
)
def test_equals_optax(name: str) -> None:
    optax = pytest.importorskip("optax", reason="optax is not installed")
    jax = pytest.importorskip("jax", reason="jax is not installed")
    jax.config.update("jax_enable_x64", True)
    ours, theirs = optax_cases(optax)[name]
    # Optax computes some of its steps' shares in float32.
    np.testing.assert_allclose(
        values(ours), [float(theirs(step)) for step in range(STEPS)], rtol=1e-6, atol=1e-7
    )


def test_formulas_without_an_oracle() -> None:
    for step in range(STEPS):
        assert s.inverse_time(50, rate=2.0)(step) == pytest.approx(1 / (1 + 2 * step / 50))
        expected = min(step / 64, (64 / step) ** 0.5) if step else 0.0
        assert s.inverse_sqrt(64)(step) == pytest.approx(expected, rel=1e-15)


ALL = [
    s.constant(0.1),
    s.step_decay(3),
    s.multistep([1, 2]),
    s.exponential(0.9),
    s.cosine_annealing(10),
    s.cosine_restarts(10),
    s.linear(10),
    s.linear_warmup(10),
    s.exponential_warmup(10),
    s.polynomial(10),
    s.inverse_time(10),
    s.inverse_sqrt(10),
    s.one_cycle(10),
    s.cyclic(10),
    s.warmup_stable_decay(1, 2, 3),
    s.piecewise([1], [0.1, 0.2]),
    s.debiased_ema(0.9),
    s.ema_warmup(0.99),
    s.equal_average(3, every=2),
    s.join([s.linear_warmup(5), s.exponential(0.5)], at=[5]),
    s.linear_warmup(10) * 0.3,
    0.3 * s.linear_warmup(10) * s.cosine_annealing(50),
    (s.exponential(0.5) * 2.0).clamp(low=0.1, high=1.0),
    s.step_decay(2).per_epoch(steps=7),
    s.exponential(0.9) * (s.linear(10) * s.constant(0.1)),
    s.constant(2.0) * np.float64(0.1),
    np.float32(0.5) * s.linear(np.int64(7), start=np.float32(0.5)),  # type: ignore[arg-type,operator]
    s.multistep(np.array([1, 2])),  # type: ignore[arg-type]
    s.linear(7) + 0.5,
    (0.5 + s.linear(7)) * s.constant(3.0) / (s.constant(1.0) + s.exponential(0.5)),
    s.linear(7) + (s.linear(3) + 1),
]


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_schedules_are_values(schedule: s.Schedule) -> None:
    names = {name: getattr(s, name) for name in s.__all__}
    rebuilt = eval(repr(schedule), names)
    copied = pickle.loads(pickle.dumps(schedule))
    assert values(rebuilt, 40) == values(copied, 40) == values(schedule, 40)
    assert rebuilt == copied == schedule
    assert isinstance(schedule(3), float)
    with pytest.raises((AttributeError, TypeError)):
        schedule.steps = 3  # type: ignore[attr-defined]


def test_numbers_of_numpy_are_kept_as_plain_ones() -> None:
    assert repr(s.constant(2.0) * np.float64(0.1)) == "constant(value=2.0) * 0.1"
    assert repr(s.multistep(np.array([1, 2]))).startswith("multistep(milestones=(1, 2)")  # type: ignore[arg-type]
    assert repr(s.constant(1.0).clamp(np.float32(0.5))) == "(constant(value=1.0)).clamp(low=0.5)"
    plateau = s.ReduceLROnPlateau(np.float32(0.5), patience=np.int64(0))  # type: ignore[arg-type]
    assert repr(plateau).startswith("ReduceLROnPlateau(0.5, mode='min', factor=0.1, patience=0,")
    assert isinstance(s.linear(np.int64(4), end=np.float32(0.5))(2), float)  # type: ignore[arg-type]


def test_a_debiased_average_begins_after_start_steps() -> None:
    later = s.debiased_ema(0.5, start=3)
    assert values(later, 8) == [0.0] * 3 + values(s.debiased_ema(0.5), 5)


def test_cycles_at_their_limits() -> None:
    assert s.cyclic(10, mode="triangular2", low=0.5)(10 + 20 * 1024) == 0.5
    assert s.cyclic(10, mode="triangular2")(10 + 20 * 1000) == 2.0**-1000
    for at_the_top in (s.one_cycle(10, rise=0.1), s.one_cycle(4, rise=0.25)):
        assert at_the_top(0) == pytest.approx(1.0, rel=1e-15)
        assert at_the_top(1) < 1.0
    assert s.one_cycle(3, rise=1.0 - 2.0**-53)(3) == 4e-6


def test_growth_beyond_all_floats_is_infinite() -> None:
    for growing in (
        s.exponential(1.1),
        s.step_decay(1, 1.1),
        s.multistep([1, 2], 1e200),
        s.cyclic(10, mode="exp_range", factor=1.1),
    ):
        assert growing(10**6 + 10) == np.inf
        assert growing.clamp(high=10.0)(10**6 + 10) == 10.0
    assert s.cyclic(10, low=0.5, mode="exp_range", factor=1.1)(10**6) == 0.5

    opt = gs.SGD(np.zeros(1), lr=s.exponential(1e200))
    for _ in range(2):
        opt.step(np.ones(1))
    with pytest.raises(ValueError, match=r"lr must be .* got inf from its schedule at step 2"):
        opt.step(np.ones(1))
    assert (opt.steps, opt.params["0"][0]) == (2, -1e200)


def test_every_schedule_is_among_them() -> None:
    made = {type(schedule).__name__ for schedule in ALL}
    assert set(s.__all__) - {"Schedule", "ReduceLROnPlateau"} <= made
