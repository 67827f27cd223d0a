"""16 bits against independent implementations, each step from the same state.

Before every step ours is given their parameters and state, so that what differs afterwards is the
arithmetic of one step: what was rounded on the way there, and where.

A value that both round to nearest at the end differs by at most the sum of

- half of the last place of each, and
- `slack`, by which the values may differ before that rounding.

Where the slack s is far below the last place u, they are equal but where a border between two
values lies within it: of values that are spread evenly that happens to the share s/u. The number
of those that differ is then a Poisson variable of the mean λ = Σ s/u, and beyond λ + 5·√λ + 5 with
a probability below 1e-6.

State in bfloat16 we dither: it is one of the two neighbours of what torch rounds to nearest. It
then differs from the value by up to a place instead of half of one; and from torch's where the draw
has taken the further neighbour, which has the probability of d, the distance of the value from the
nearer one in places. The number of those has the mean D = Σ d and the variance Σ d·(1 − d) ≤ D.

An operation in float32 errs by 2⁻²⁴ of its result, one in bfloat16 by half of its last place, or
2⁻⁸ of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.gradient_forms import bfloat16
from tests.helpers import Array
from tests.narrow import bits, packed, unpacked

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")

SIZE, STEPS = 5000, 20
FLOAT, HALF = 2.0**-24, 2.0**-8
# No simple fractions, of which the sums of bfloat16 numbers would often be exact ties.
BETA1, BETA2, EPS = 0.88734129, 0.98765432, 1e-2
LR = 2.0**-7  # in bfloat16, to which torch rounds it in places


def ulp(values: Array) -> Array:
    """The last place of bfloat16 values of these magnitudes."""
    exponents = np.frexp(wide(values))[1]
    return np.maximum(2.0 ** (exponents - 8.0), 2.0**-133)


def array_of(tensor: Any) -> Array:
    """On the same memory."""
    tensor = tensor.detach()
    return (
        tensor.view(torch.int16).numpy().view(bfloat16) if tensor.itemsize == 2 else tensor.numpy()
    )


def wide(array: Array) -> Array:
    return array.astype(np.float64)


def parameter() -> Any:
    """In the middle of [1, 2), of either sign, so that steps are small beside it."""
    rng = np.random.default_rng(0)
    values = rng.uniform(1.25, 1.75, SIZE) * rng.choice([-1, 1], SIZE)
    return torch.nn.Parameter(torch.from_numpy(values).to(torch.bfloat16))


def steps(param: Any, theirs: Any) -> Iterator[tuple[int, Array, Callable[[], Any]]]:
    """The number of each step, its gradient, and what makes theirs take it."""
    for step in range(1, STEPS + 1):
        grad = np.random.default_rng(step).normal(0.2, 1.0, SIZE).astype(bfloat16)
        param.grad = torch.from_numpy(bits(grad).view(np.int16).copy()).view(torch.bfloat16)
        yield step, grad, theirs.step


class Moments:
    """Before a step of Adam: what float32 may err by in it, on both sides together."""

    def __init__(self, step: int, grad: Array, exp_avg: Array, exp_avg_sq: Array) -> None:
        g, m, v = wide(grad), wide(exp_avg), wide(exp_avg_sq)
        self.exp_avg = BETA1 * m + (1 - BETA1) * g
        self.terms = BETA1 * np.abs(m) + (1 - BETA1) * np.abs(g)
        self.squares = BETA2 * v + (1 - BETA2) * g * g
        # Coefficient, product, sum: 3 operations for each of 2 terms, at most, on 2 sides.
        self.of_exp_avg = 6 * FLOAT * self.terms
        self.of_exp_avg_sq = 8 * FLOAT * self.squares
        root = np.sqrt(self.squares / (1 - BETA2**step)) + EPS
        # What a step moves by, and 10 operations that make it.
        self.move = LR / (1 - BETA1**step) * self.terms / root
        self.of_move = 20 * FLOAT * self.move


def assert_close(ours: Array, theirs: Array, slack: Array, dithered: Array | None = None) -> None:
    """As this module's text says; `dithered`: the values in float64, where ours are."""
    a, b = wide(ours), wide(theirs)
    places = 0.5 if dithered is None else 1.0
    too_far = np.flatnonzero(np.abs(a - b) > slack + places * ulp(a) + ulp(b) / 2)
    assert too_far.size == 0, f"{a[too_far[:3]]} and {b[too_far[:3]]}, of {too_far.size}"
    within = np.minimum(slack / ulp(b), 1).sum()
    different = np.count_nonzero(bits(ours) != bits(theirs))
    drawn = 0.0
    if dithered is not None:
        assert (np.abs(a - dithered) <= slack + ulp(a)).all()
        above = np.abs(dithered) / ulp(dithered)
        drawn = np.abs(above - np.rint(above)).sum()
    bound = within + 5 * np.sqrt(within + drawn) + 5
    assert drawn - bound <= different <= drawn + bound, f"{different} for {drawn:.1f} ± {bound:.1f}"


@pytest.mark.parametrize("way", ["fused", "eager"])
def test_torch_adamw(way: str) -> None:
    """Fused, it computes in float32 and rounds once, as we do. Else each of its operations rounds:
    the parameter's decay; β₂·v; and of what it moves by the moments, the root of the second one,
    its quotient and its sum, with half of the errors of what the root is taken of: 5 · 2⁻⁸."""
    param = parameter()
    options: dict[str, Any] = {"lr": LR, "betas": (BETA1, BETA2), "eps": EPS, "weight_decay": 0.1}
    theirs = torch.optim.AdamW([param], **options, foreach=False, fused=way == "fused")
    mine = array_of(param).copy()
    opt = gs.AdamW({"w": mine}, **options, state_dtype="bfloat16")
    state = {name: array.view(bfloat16) for name, array in opt.state["w"].items()}
    for step, grad, take in steps(param, theirs):
        mine[...] = array_of(param)
        for name in state if step > 1 else ():
            state[name][...] = array_of(theirs.state[param][name])
        moments = Moments(step, grad, **state)
        slack = 6 * FLOAT * np.abs(wide(mine)) + moments.of_move
        of_state = {"exp_avg": moments.of_exp_avg, "exp_avg_sq": moments.of_exp_avg_sq}
        exact = {"exp_avg": moments.exp_avg, "exp_avg_sq": moments.squares}
        if way == "eager":
            slack += ulp(mine) / 2 + 5 * HALF * (1 + 4 * HALF) * moments.move
            of_state["exp_avg_sq"] += ulp(BETA2 * wide(state["exp_avg_sq"])) / 2
        opt.step({"w": grad})
        take()
        assert_close(mine, array_of(param), slack)
        for name in state:
            assert_close(
                state[name], array_of(theirs.state[param][name]), of_state[name], exact[name]
            )


def test_torch_sgd() -> None:
    """Its decayed gradient is rounded, and its momentum twice. (Fused, it leaves narrow parameters
    as they are on CPUs, as of version 2.13.)"""
    param = parameter()
    options: dict[str, Any] = {"lr": LR, "momentum": BETA1, "weight_decay": 0.125}
    theirs = torch.optim.SGD([param], **options, foreach=False)
    mine = array_of(param).copy()
    opt = gs.SGD({"w": mine}, **options, state_dtype="bfloat16")
    buffer = opt.state["w"]["momentum_buffer"].view(bfloat16)
    for step, grad, take in steps(param, theirs):
        mine[...] = array_of(param)
        if step > 1:
            buffer[...] = array_of(theirs.state[param]["momentum_buffer"])
        g, kept, before = wide(grad), BETA1 * wide(buffer), wide(mine)
        slack = ulp(kept) / 2 + ulp(g + 0.125 * before) / 2
        slack += 8 * FLOAT * (np.abs(kept) + np.abs(g) + np.abs(before))
        opt.step({"w": grad})
        take()
        after = array_of(theirs.state[param]["momentum_buffer"])
        assert_close(buffer, after, slack, kept + g + 0.125 * before)
        of_param = 4 * FLOAT * np.abs(before) + LR * (slack + ulp(after) / 2)
        assert_close(mine, array_of(param), of_param)


@pytest.mark.parametrize("name", ["AdamW", "SGD", "Lion"])
def test_kahan_as_in_optimi(name: str) -> None:
    """Parameter and compensation together err by what the compensation is rounded by: theirs when
    the move is added to it, and when the parameter has taken its part; ours once. (p − p′ is exact
    in both.) Their moments are rounded before they move anything: SGD's twice; AdamW's first one
    once, its second one twice, half of which counts, and its root and the sum with eps: 4 · 2⁻⁸.
    Lion moves by lr, and as its momentum's sign has it, which rounding leaves alone.

    Theirs are moments that bias has been taken from; ours are in float32 here, to hold the same.
    """
    optimi = pytest.importorskip("optimi", reason="torch-optimi is not installed")
    param = parameter()
    options: dict[str, Any] = {
        "AdamW": {"betas": (BETA1, BETA2), "eps": EPS},
        "SGD": {"momentum": BETA1},
        "Lion": {"betas": (BETA1, BETA2)},
    }[name]
    options |= {"lr": LR, "weight_decay": 0.0}
    theirs = getattr(optimi, name)([param], **options, kahan_sum=True, foreach=False)
    mine = array_of(param).copy()
    opt = getattr(gs, name)({"w": mine}, **options, rounding="kahan")
    state = dict(opt.state["w"])
    rest = state.pop("compensation").view(bfloat16)
    for step, grad, take in steps(param, theirs):
        mine[...] = array_of(param)
        if step > 1:
            kept = theirs.state[param]
            rest[...] = array_of(kept["kahan_comp"])
            for key, beta in zip(state, (BETA1, BETA2), strict=False):
                biased = 1 - beta ** (step - 1) if name == "AdamW" else 1
                state[key][...] = wide(array_of(kept[key.replace("momentum_buffer", "exp_avg")]))
                state[key] *= biased
        slack = 6 * FLOAT * np.abs(wide(mine))
        if name == "AdamW":
            moments = Moments(step, grad, **state)
            move = moments.move
            slack += moments.of_move + 4 * HALF * (1 + 4 * HALF) * move
        elif name == "SGD":
            products = BETA1 * wide(state["momentum_buffer"])
            sums = np.abs(products) + np.abs(wide(grad))
            move = LR * sums
            slack += LR * (ulp(products) + ulp(sums)) / 2
        else:
            move = np.full(SIZE, LR)
        slack += ulp(np.abs(wide(rest)) + move) / 2
        opt.step({"w": grad})
        take()
        after = array_of(theirs.state[param]["kahan_comp"])
        apart = np.abs(wide(mine) + wide(rest) - wide(array_of(param)) - wide(after))
        assert (apart <= slack + (ulp(rest) + ulp(after)) / 2).all()
        assert_close(mine, array_of(param), slack + (ulp(rest) + ulp(after)) / 2)


def test_stochastic_rounding_as_in_torchao() -> None:
    """Both are one of the neighbours of values that differ as float32 does, so they differ by one
    place at most; and each way as often: with two draws of the probability f the difference has
    the variance 2·f·(1 − f) ≤ 1/2 in places, and 5 deviations a probability of 6e-7. Two thirds
    of the draws of any f agree: the mean of 1 − 2·f·(1 − f)."""
    adam = pytest.importorskip("torchao.optim", reason="torchao is not installed")
    torch.manual_seed(1)
    param = parameter()
    options: dict[str, Any] = {"lr": LR, "betas": (BETA1, BETA2), "eps": EPS, "weight_decay": 0.1}
    theirs = adam._AdamW([param], **options, bf16_stochastic_round=True)
    mine = array_of(param).copy()
    opt = gs.AdamW({"w": mine}, **options, rounding="stochastic", seed=1, state_dtype="bfloat16")
    state = {name: array.view(bfloat16) for name, array in opt.state["w"].items()}
    places = []
    with torch.compiler.set_stance("force_eager"):
        for step, grad, take in steps(param, theirs):
            mine[...] = array_of(param)
            for name in state if step > 1 else ():
                state[name][...] = array_of(theirs.state[param][name])
            opt.step({"w": grad})
            take()
            places.append((wide(mine) - wide(array_of(param))) / 2.0**-7)
    apart = np.array(places)
    assert np.isin(apart, (-1, 0, 1)).all()
    assert abs(apart.sum()) < 5 * np.sqrt(apart.size / 2)
    assert np.mean(apart == 0) == pytest.approx(2 / 3, abs=0.02)


@pytest.mark.parametrize("quantize", [False, True])
def test_split_as_in_flashadamw(quantize: bool) -> None:
    """Theirs are 16 bits that count parts of half of the last place, 32,767 in number, and err by
    half of one: 2⁻¹⁷ places; ours are float32's own. The parameter itself is rounded to even there.
    Ours has their moments in bfloat16, or, decoded from their 8 bits, in float32.
    """
    flash = pytest.importorskip("pytorch_optimizer.optimizer.flash_adamw", reason="not installed")
    param = parameter()
    options: dict[str, Any] = {"lr": LR, "betas": (BETA1, BETA2), "eps": EPS, "weight_decay": 0.1}
    theirs = flash.FlashAdamW([param], **options, master_weight_bits=32, quantize=quantize)
    mine = array_of(param).copy()
    state_dtype = "float32" if quantize else "bfloat16"
    opt = gs.AdamW({"w": mine}, **options, rounding="split", state_dtype=state_dtype)
    state = dict(opt.state["w"])
    trailing = state.pop("trailing_bits")
    if not quantize:
        state = {name: array.view(bfloat16) for name, array in state.items()}
    for step, grad, take in steps(param, theirs):
        if step > 1:
            kept = theirs.state[param]
            stored, trailing[...] = packed("bfloat16 split", master_of(theirs, param))
            mine[...] = stored.view(bfloat16)
            for name in state:
                state[name][...] = array_of(flash.materialize_state(kept, name))
        moments = Moments(step, grad, **state)
        slack = 6 * FLOAT * np.abs(wide(mine)) + moments.of_move + 2.0**-17 * ulp(mine)
        of_state = {"exp_avg": moments.of_exp_avg, "exp_avg_sq": moments.of_exp_avg_sq}
        exact = {"exp_avg": moments.exp_avg, "exp_avg_sq": moments.squares}
        opt.step({"w": grad})
        take()
        ours = unpacked("bfloat16 split", bits(mine), trailing)
        assert (np.abs(wide(ours) - wide(master_of(theirs, param))) <= slack).all()
        assert_close(mine, array_of(param), slack)
        for name in state if not quantize else ():
            assert_close(
                state[name], array_of(theirs.state[param][name]), of_state[name], exact[name]
            )


def master_of(theirs: Any, param: Any) -> Array:
    return theirs.get_param_fp32(param, theirs.state[param]).detach().numpy()
