"""What all optimizers share, on ranks: limits, averages, skips, draws, narrow storage, the wire."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.distributed.transport import Alone
from tests.distributed.test_same_bits import RANKS, check
from tests.distributed.training import Training, everything_of, params_of, tree
from tests.helpers import Array, assert_same_bits
from tests.spec import Options
from tests.specs import ALL_SHARED, SPECS

SHARED: dict[str, Options] = {
    "clip_norm": {"clip_norm": 0.5},
    "clip_tensor_norm": {"clip_tensor_norm": 0.5},
    "clip_adaptive": {"clip_adaptive": 0.01, "clip_adaptive_eps": 0.3},
    "clip_adaptive_axis": {"clip_adaptive": 0.01, "clip_adaptive_axis": 0},
    "clip_value": {"clip_value": 0.7},
    "coupled_decay": {"weight_decay": 0.03, "decoupled_weight_decay": False},
    "l1": {"l1": 0.05},
    "ema": {"ema_decay": 0.9},
    "maximize": {"maximize": True},
    "all": ALL_SHARED,
}


def large_units() -> dict[str, Array]:
    """Units that are longer than a block, and rows of which blocks are cut, of both orders."""
    rng = np.random.default_rng(1)
    params = {"rows": rng.normal(size=(700, 5)), "long": rng.normal(size=(3, 2600))}
    params |= {"one": rng.normal(size=(1, 2100)), "cube": rng.normal(size=(4, 20, 40))}
    params = {name: param.astype(np.float32) for name, param in params.items()}
    turned = {f"{name}'": param.copy(order="F") for name, param in params.items()}
    return params | turned


@pytest.mark.parametrize("options", SHARED.values(), ids=SHARED)
def test_shared_options(options: Options) -> None:
    check(Training(gs.AdamW, {"lr": 0.1} | options, with_norm=True, grad_scale=0.37))


@pytest.mark.parametrize("axis", [0, -1])
def test_units_that_are_cut_anywhere(axis: int, backend: str) -> None:
    options = {"lr": 0.1, "clip_adaptive": 0.01, "clip_adaptive_axis": axis}
    ranks = (2, 3, 5, 7) if backend == "native" else (3,)
    check(Training(gs.SGD, options, make=large_units, shards=8, absent=("cube",)), ranks)


def test_units_of_parameters_that_are_more_than_what_is_stored() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")

    def make() -> dict[str, Array]:
        return {name: p.astype(ml_dtypes.bfloat16) for name, p in large_units().items()}

    for rounding in ("split", "kahan"):
        options = {"lr": 0.1, "clip_adaptive": 0.01, "rounding": rounding}
        check(Training(gs.SGD, options, make=make, shards=3, absent=("cube",)), (3,))


@pytest.mark.parametrize("axis", [0, -1])
def test_units_of_float64(axis: int) -> None:
    def make() -> dict[str, Array]:
        return {name: param.astype(np.float64) for name, param in large_units().items()}

    options = {"lr": 0.1, "clip_adaptive": 0.01, "clip_adaptive_axis": axis}
    check(Training(gs.SGD, options, make=make, absent=("cube",)), (3,))


@pytest.mark.parametrize("cls", [gs.Lion, gs.AdamW])
def test_cautious_steps(cls: type[gs.Optimizer]) -> None:
    check(Training(cls, {"lr": 0.1, "cautious": True, "clip_norm": 1.0}))


def test_all_ranks_skip_a_step_that_is_not_finite_on_one() -> None:
    training = Training(gs.AdamW, {"skip_nonfinite": True, "ema_decay": 0.5}, nonfinite=True)
    _, infos = training.in_one_process()
    assert [info.skipped for info in infos] == [False, False, True]
    check(training)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}])
def test_nonfinite_gradients_without_a_skip(options: Options) -> None:
    check(Training(gs.SGD, {"lr": 0.1} | options, nonfinite=True), (3,))


def halves(kind: str) -> Callable[[], dict[str, Array]]:
    dtype: Any = np.float16 if kind == "float16" else pytest.importorskip("ml_dtypes").bfloat16

    def make() -> dict[str, Array]:
        return {name: param.astype(dtype) for name, param in params_of().items()}

    return make


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "kahan", "split"])
def test_parameters_in_half_precision(kind: str, rounding: str) -> None:
    if (kind, rounding) == ("float16", "split"):
        pytest.skip("split is for bfloat16")
    options = {"lr": 0.01, "rounding": rounding, "seed": 5, "ema_decay": 0.9}
    check(Training(gs.AdamW, options, make=halves(kind)))


@pytest.mark.parametrize("state_dtype", ["bfloat16", "8bit"])
def test_narrow_state(state_dtype: str) -> None:
    options = {"lr": 0.01, "state_dtype": state_dtype, "ema_decay": 0.9, "ema_dtype": "bfloat16"}
    check(Training(gs.AdamW, options))


def test_the_threshold_of_8_bits_is_of_the_whole_tensor() -> None:
    training = Training(gs.AdamW, {"state_dtype": "8bit"})
    for arrays, _ in gs.distributed.in_threads(4, training.on):
        for name in ("large", "matrix", "wide", "fortran"):
            assert arrays[f"{name}/exp_avg"].dtype == np.uint8
        assert arrays["block/exp_avg"].dtype == np.float32


def to_bfloat16(x: Array) -> Array:
    dtype = pytest.importorskip("ml_dtypes").bfloat16
    rounded: Array = x.astype(dtype).astype(np.float32)
    return rounded


@pytest.mark.parametrize("shards", [1, 4, 7])
def test_bfloat16_on_the_wire(shards: int) -> None:
    """Every addend is rounded, wherever it is computed."""
    training = Training(gs.SGD, {"lr": 0.1}, shards=shards, average=False, absent=())
    expected = params_of()
    opt = gs.SGD(expected, lr=0.1)
    for step in range(3):
        of_shards = [training.gradients(expected, step, shard) for shard in range(shards)]
        opt.step({n: tree([of[n] for of in of_shards], to_bfloat16) for n in expected})
    for size in RANKS if shards >= 4 else (1,):
        came = gs.distributed.in_threads(size, lambda c: training.on(c, wire="bfloat16"))
        for arrays, _ in came:
            assert_same_bits(arrays, expected)


def test_bfloat16_on_the_wire_leaves_float64_as_it_is() -> None:
    def make() -> dict[str, Array]:
        return {name: param.astype(np.float64) for name, param in params_of().items()}

    check(Training(gs.Adam, make=make), (2,), wire="bfloat16")


def test_steps_of_whole_tensors_are_refused_and_no_others() -> None:
    matrix = {"w": np.ones((4, 4), np.float32)}
    refused = set()
    for cls in [*(spec.cls for spec in SPECS), gs.Muon, gs.SOAP]:
        try:
            gs.distributed.Sharded(cls, matrix, Alone(), lr=0.1)
        except ValueError as error:
            assert "whose steps go element by element" in str(error)  # noqa: PT017
            refused.add(cls.__name__)
    page = (Path(__file__).parents[2] / "docs/distributed.md").read_text("utf-8")
    named = re.search(r"of whole tensors\s\((.*?)\) or of matrices\s\((.*?)\)", page, re.DOTALL)
    assert named is not None
    assert refused == set(re.split(r",\s", f"{named[1]}, {named[2]}"))


def test_copies_are_refused() -> None:
    params = params_of()
    copies = {name: param.astype(np.float16) for name, param in params.items()}
    with pytest.raises(TypeError, match="Sharded keeps no copies of parameters"):
        gs.distributed.Sharded(gs.AdamW, params, Alone(), copies=copies)
    groups = [{"params": params, "copies": copies}]
    with pytest.raises(TypeError, match="Sharded keeps no copies of parameters"):
        gs.distributed.Sharded(gs.AdamW, groups, Alone())


def test_state_is_of_the_share() -> None:
    def train(comm: Any) -> tuple[int, int]:
        opt = gs.distributed.Sharded(gs.AdamW, params_of(), comm)
        of_state = sum(a.nbytes for of_one in opt.state.values() for a in of_one.values())
        owned = sum(opt.owned(name).stop - opt.owned(name).start for name in opt.params)
        return of_state, owned

    elements = sum(param.size for param in params_of().values())
    came = gs.distributed.in_threads(4, train)
    assert sum(owned for _, owned in came) == elements
    for nbytes, owned in came:
        assert nbytes == 2 * 4 * owned
        assert abs(owned - elements / 4) <= 1024


def test_what_it_shows() -> None:
    opt = gs.distributed.Sharded(gs.AdamW, params_of(), Alone(), lr=0.25)
    assert repr(opt) == f"Sharded({gs.AdamW(params_of(), lr=0.25)!r}, rank 0 of 1)"
    assert opt.lr == 0.25
    opt.lr = 0.5
    assert opt.groups[0]["lr"] == opt.current("lr") == 0.5
    assert (opt.rank, opt.size, opt.steps) == (0, 1, 0)
    assert everything_of(opt).keys() >= params_of().keys()
