"""Parts of tensors, stepped by several tables, equal the whole in one: bit for bit."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.arrays.parts import Part
from gradstep.reference import RULES
from gradstep.reference.whole import derives
from tests.helpers import Array, assert_same_bits, gradients
from tests.narrow import STORAGES, can_be_stored, raw
from tests.parts import Parted
from tests.spec import Options
from tests.specs import ALL_SHARED, CASE_IDS, CASES

pytestmark = pytest.mark.usefixtures("low_threshold")

ISAS = gs.runtime.available_isas()
SHAPES: dict[str, tuple[int, ...]] = {
    "vector": (5000,), "columns": (700, 9), "rows": (9, 1500), "scalar": (), "empty": (0,),
    "cube": (7, 30, 40), "block": (1024,), "few": (3,),
}  # fmt: skip
SHARED: dict[str, Options] = {
    "nothing": {},
    "clip_norm": {"clip_norm": 0.5},
    "clip_tensor_norm": {"clip_tensor_norm": 0.5, "clip_norm": 3.0},
    "clip_adaptive": {"clip_adaptive": 0.01, "clip_adaptive_eps": 0.3},
    "clip_adaptive_axis": {"clip_adaptive": 0.01, "clip_adaptive_axis": 0},
    "all": ALL_SHARED,
}  # fmt: skip
ELEMENT_WISE = [i for i, (spec, variant) in enumerate(CASES) if not derives(RULES[variant.rule])]


def params_of(dtype: Any) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    params = {name: np.array(rng.normal(size=shape), dtype) for name, shape in SHAPES.items()}
    params["fortran"] = np.asfortranarray(rng.normal(size=(600, 70)).astype(dtype))
    return params


def grads_of(params: dict[str, Array], step: int) -> dict[str, Any]:
    """In the compute type; of another tensor none in each step."""
    wide = "float64" if params["vector"].dtype == np.float64 else "float32"
    given = gradients(params, step)
    return {
        name: None if (i + step) % 4 == 0 else np.asarray(given[name], wide)
        for i, name in enumerate(params)
    }


def in_one(cls: type[gs.Optimizer], dtype: Any, options: Options) -> dict[str, Array]:
    params = params_of(dtype)
    opt = cls(params, **options)
    norms = [opt.step(grads_of(params, t), grad_scale=0.37).grad_norm for t in range(3)]
    return raw(opt) | {"norms": np.array(norms, np.float64)}


def in_parts(cls: type[gs.Optimizer], dtype: Any, options: Options, ranks: int) -> dict[str, Array]:
    params = params_of(dtype)
    opt = Parted(cls, params, ranks, cuts=ranks, **options)
    norms = [opt.step(grads_of(params, t), 0.37) for t in range(3)]
    return opt.everything() | {"norms": np.array(norms, np.float64)}


@cache
def reference(case: int, dtype: str, shared: str) -> dict[str, Array]:
    spec, variant = CASES[case]
    with gs.runtime.set_backend("numpy"):
        return in_one(spec.cls, dtype, spec.allowed({**variant.options, **SHARED[shared]}))


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("shared", ["nothing", "all"])
@pytest.mark.parametrize("case", ELEMENT_WISE, ids=[CASE_IDS[i] for i in ELEMENT_WISE])
def test_every_element_wise_rule(case: int, shared: str) -> None:
    spec, variant = CASES[case]
    options = spec.allowed({**variant.options, **SHARED[shared]})
    dtype = "float32" if case % 2 else "float64"
    assert_same_bits(in_parts(spec.cls, dtype, options, 3), reference(case, dtype, shared))


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("cautious", [False, True])
def test_every_shared_option(shared: str, cautious: bool) -> None:
    options = {**SHARED[shared], "cautious": cautious}
    with gs.runtime.set_backend("numpy"):
        expected = in_one(gs.AdamW, "float32", options)
    for ranks in (1, 2, 5):
        assert_same_bits(in_parts(gs.AdamW, "float32", options, ranks), expected)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_and_threads(isa: str) -> None:
    options = {**SHARED["all"], "cautious": True}
    with gs.runtime.set_backend("numpy"):
        expected = in_one(gs.AdamW, "float32", options)
    for threads in (1, 3):
        with gs.runtime.set_isa(isa), gs.runtime.set_num_threads(threads):
            assert_same_bits(in_parts(gs.AdamW, "float32", options, 4), expected)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("storage", STORAGES)
def test_every_storage(storage: str) -> None:
    dtype, options = STORAGES[storage]
    narrow = options | {"clip_adaptive": 0.01, "clip_norm": 0.5, "cautious": True, "l1": 0.01}
    narrow |= {"ema_decay": 0.9, "ema_dtype": "bfloat16"}
    cls = gs.AdamW if can_be_stored("adam", options) else gs.Lion
    with gs.runtime.set_backend("numpy"):
        expected = in_one(cls, dtype, narrow)
    for ranks in (2, 5):
        found = in_parts(cls, dtype, narrow, ranks)
        bits = {n: a.view(f"u{a.itemsize}") if a.itemsize == 2 else a for n, a in found.items()}
        assert_same_bits(bits, expected)


@pytest.mark.usefixtures("backend")
def test_all_skip_or_none() -> None:
    params = params_of("float32")
    opt = Parted(gs.Adam, params, 3, cuts=1, skip_nonfinite=True, cautious=True)
    opt.step(gradients(params, 0))
    before = opt.everything()
    grads = gradients(params, 1)
    grads["few"][1] = np.nan
    norm = opt.step(grads)
    assert norm is not None
    assert np.isnan(norm)
    assert_same_bits(opt.everything(), before)
    assert {layout.steps for layout in opt.layouts} == {1}


@pytest.mark.usefixtures("backend")
def test_parts_that_are_none_are_refused() -> None:
    opt = Parted(gs.AdamW, {"w": np.zeros(3000, "f")}, 1, cuts=0, cautious=True)
    layout = opt.layouts[0]
    table, rows, grad = layout.table, layout.rows(), [np.ones(3000, "f")]
    beyond = 2**64 - 1024  # where first + size wraps
    for first, size, total in (
        (1, 1024, 3000),
        (0, 1000, 3000),
        (2048, 952, 2048),
        (beyond, 1024, 3000),
    ):
        with pytest.raises(ValueError, match="are no part; expected one axis, and borders at mult"):
            layout.table_type(
                [np.zeros(size, "f")], [[]], [[]], [None], [None], [0], lambda i, g: g,
                [Part(first, (total,))],
            )  # fmt: skip
    with pytest.raises(ValueError, match="depend on whole tensors"):
        table.assign([("lamb", False, False)], [0])
    with pytest.raises(ValueError, match="take block_sums and limit"):
        table.step(grad, rows, 1.0, True, False)
    with pytest.raises(ValueError, match="give counts"):
        table.step(grad, rows, 1.0, False, False)
    table.begin(rows, 1.0)
    with pytest.raises(ValueError, match="take block_sums and limit"):
        table.measure(grad)
    none = np.zeros(0)
    with pytest.raises(RuntimeError, match="ask for them first"):
        table.limit(none, none, none)
    squares, *_ = table.block_sums(grad)
    assert len(squares) == 3
    for wrong in (squares[:2], np.append(squares, 1.0)):
        with pytest.raises(ValueError, match="the sums of all blocks"):
            table.limit(wrong, none, none)
    for counts, text in ((None, "give counts"), (np.zeros(2), "expected 1 counts, got 2")):
        with pytest.raises(ValueError, match=text):
            table.apply(0, grad, counts=counts)
    assert not opt.params["w"].any()
    assert table.limit(squares, none, none) == np.sqrt(3000.0)
    table.apply(0, grad, counts=table.counts(grad))
    assert table.end() == ()
    assert (opt.params["w"] != 0).all()


@pytest.mark.usefixtures("backend")
def test_whole_tensors_have_no_counts_of_parts() -> None:
    opt = gs.LARS(np.ones(3, np.float32), lr=0.1, cautious=True)
    table = opt._layout.table
    table.begin(opt._layout.rows(), 1.0)
    with pytest.raises(ValueError, match="counts are of parts"):
        table.counts([np.ones(3, np.float32)])
    table.abort()
