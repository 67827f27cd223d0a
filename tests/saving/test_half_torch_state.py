"""State of PyTorch's optimizers over bfloat16 parameters: here to the bit, and back."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, everything
from tests.saving.torch_run import SHAPES, start, tensors_of
from tests.spec import Spec, Variant
from tests.specs import CASES

ml_dtypes = pytest.importorskip("ml_dtypes")
torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")

BF16 = "bfloat16"
SHARED_CASES = [
    (spec, variant)
    for spec, variant in CASES
    if spec.oracle.startswith("torch.") and variant.oracle is None
]
IDS = [f"{spec.cls.__name__}-{variant.name}" for spec, variant in SHARED_CASES]


def bits(tensor: Any) -> Array:
    array: Array = tensor.detach().view(torch.int16).numpy().view(np.uint16)
    return array


def in_torch(spec: Spec, **options: Any) -> tuple[Any, list[Any]]:
    tensors = [
        torch.nn.Parameter(tensor.detach().bfloat16()) for tensor in tensors_of(start("float32"))
    ]
    theirs = getattr(torch.optim, spec.cls.__name__)(tensors, foreach=False, **options)
    for step in range(5):
        rng = np.random.default_rng(step)
        for tensor, shape in zip(tensors, SHAPES, strict=True):
            tensor.grad = torch.tensor(rng.normal(size=shape), dtype=torch.bfloat16)
        theirs.step()
    return theirs, tensors


NARROW = [case for case in SHARED_CASES if case[0].cls is not gs.Adafactor]


def test_factors_are_widened() -> None:
    spec = next(spec for spec, _ in SHARED_CASES if spec.cls is gs.Adafactor)
    theirs, tensors = in_torch(spec)
    opt = gs.Adafactor([bits(t).copy().view(BF16) for t in tensors], state_dtype=BF16)
    gs.load_torch_state_dict(opt, theirs.state_dict())
    state = theirs.state[tensors[1]]
    assert state["row_var"].dtype == torch.bfloat16
    for slot in ("row_var", "col_var"):
        assert opt.state["1"][slot].dtype == np.float32
        np.testing.assert_array_equal(opt.state["1"][slot], state[slot].float().numpy())


@pytest.mark.parametrize(("spec", "variant"), NARROW)
def test_states_in_bfloat16_go_there_and_back(spec: Spec, variant: Variant) -> None:
    theirs, tensors = in_torch(spec, **variant.options)
    params = [bits(tensor).copy().view(BF16) for tensor in tensors]
    opt = spec.cls(params, state_dtype=BF16)
    gs.load_torch_state_dict(opt, theirs.state_dict())
    slots = 0
    for name, tensor in zip(opt.state, tensors, strict=True):
        for slot, array in opt.state[name].items():
            assert array.dtype == np.uint16
            np.testing.assert_array_equal(array, bits(theirs.state[tensor][slot]))
            slots += 1
    assert (slots == 0) == (spec.cls is gs.SGD and "momentum" not in variant.options)

    before = theirs.state_dict()
    theirs.load_state_dict(gs.torch_state_dict(opt))
    for position, state in theirs.state_dict()["state"].items():
        for slot, tensor in state.items():
            if slot in opt.state[str(position)]:
                assert tensor.dtype == torch.bfloat16
                assert torch.equal(tensor, before["state"][position][slot])
                slots -= 1
    assert slots == 0
    gs.load_torch_state_dict(opt, theirs.state_dict())  # where PyTorch has rounded NAdam's product


@pytest.mark.parametrize("dtype", [BF16, "float32"])
def test_into_another_format_only_when_asked(dtype: str) -> None:
    theirs, tensors = in_torch(next(spec for spec, _ in SHARED_CASES if spec.cls is gs.AdamW))
    opt = gs.AdamW([np.ones(shape, dtype) for shape in SHAPES])
    before = everything(opt)
    text = "is stored in bfloat16, but this optimizer's state_dtype=None asks for its compute dtype"
    with pytest.raises(ValueError, match=re.escape(text) + ".*convert=True"):
        gs.load_torch_state_dict(opt, theirs.state_dict())
    assert_same_bits(everything(opt), before)
    gs.load_torch_state_dict(opt, theirs.state_dict(), convert=True)
    assert opt.steps == 5
    for name, tensor in zip(opt.state, tensors, strict=True):
        for slot, array in opt.state[name].items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, theirs.state[tensor][slot].float().numpy())


@pytest.mark.parametrize("state_dtype", ["float16", "8bit", BF16])
def test_each_format_is_exported_as_its_numbers(state_dtype: str) -> None:
    param = np.zeros(5000, np.float32)
    opt = gs.SGD([param], momentum=0.9, state_dtype=state_dtype)
    opt.step([np.random.default_rng(0).normal(size=5000).astype(np.float32)])
    tensor = gs.torch_state_dict(opt)["state"][0]["momentum_buffer"]
    expected = {"float16": torch.float16, "8bit": torch.float32, BF16: torch.bfloat16}
    assert tensor.dtype == expected[state_dtype]
    np.testing.assert_array_equal(tensor.float().numpy(), opt.state_as("0", "momentum_buffer"))
    tensor[...] = 0.0
    assert opt.state_as("0", "momentum_buffer").any()


def test_what_torch_does_not_round_is_not_exported() -> None:
    opt = gs.SGD([np.zeros(3, BF16)], rounding="stochastic", seed=3)
    with pytest.raises(ValueError, match="has no rounding = 'stochastic'; set it to 'nearest' fir"):
        gs.torch_state_dict(opt)
    opt.rounding = "nearest"
    gs.torch_state_dict(opt)


def test_what_lies_beside_a_parameter_stays() -> None:
    theirs, _ = in_torch(next(spec for spec, _ in SHARED_CASES if spec.cls is gs.AdamW))
    opt = gs.AdamW([np.ones(shape, BF16) for shape in SHAPES], rounding="split", state_dtype=BF16)
    opt.step([np.ones(shape, BF16) for shape in SHAPES])
    kept = {name: of_one["trailing_bits"].copy() for name, of_one in opt.state.items()}
    assert kept["0"].any()
    gs.load_torch_state_dict(opt, theirs.state_dict())
    assert_same_bits({n: of_one["trailing_bits"] for n, of_one in opt.state.items()}, kept)
