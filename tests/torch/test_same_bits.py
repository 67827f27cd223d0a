"""The same bits as NumPy's front: every optimizer, on both backends, with every option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.helpers import Array, assert_same_bits, awkward_params, everything, gradients
from tests.specs import SPECS

torch = pytest.importorskip("torch")
fronts = pytest.importorskip("gradstep.torch")

CASES = [
    pytest.param(spec, variant, id=f"{spec.cls.__name__}-{variant.name}")
    for spec in SPECS
    for variant in spec.variants
]
OPTIONS: dict[str, dict[str, Any]] = {
    "clip_norm": {"clip_norm": 0.5},
    "clip_tensor_norm": {"clip_tensor_norm": 0.5},
    "clip_adaptive": {"clip_adaptive": 0.01, "clip_adaptive_axis": 0},
    "clip_adaptive_last": {"clip_adaptive": 0.01, "clip_adaptive_axis": -1},
    "clip_value": {"clip_value": 0.3},
    "skip_nonfinite": {"skip_nonfinite": True},
    "l1": {"l1": 0.01},
    "ema": {"ema_decay": 0.9},
    "schedules": {"lr": gs.schedules.linear_warmup(3) * 0.1, "ema_decay": 0.5},
    "cautious": {"cautious": True},
    "decoupled": {"weight_decay": 0.1, "decoupled_weight_decay": True},
    "few bits": {"state_dtype": "bfloat16", "ema_decay": 0.9, "ema_dtype": "bfloat16"},
    "8 bits": {"state_dtype": "8bit", "seed": 3},
}
STEPS = 4


@pytest.fixture(autouse=True, params=gs.runtime.available_backends())
def backend(request: pytest.FixtureRequest) -> Any:
    with gs.runtime.set_backend(request.param):
        yield request.param


def left_out(grads: dict[str, Any], step: int) -> dict[str, Any]:
    return {n: None if (i + step) % 5 == 0 else g for i, (n, g) in enumerate(grads.items())}


def with_arrays(cls: Any, options: dict[str, Any], dtype: str) -> dict[str, Array]:
    params = awkward_params(dtype)
    opt = cls(params, **options)
    for step in range(STEPS):
        opt.step(left_out(gradients(params, step), step))
    return everything(opt)


def with_tensors(name: str, options: dict[str, Any], dtype: str) -> dict[str, Array]:
    arrays = awkward_params(dtype)
    params = {name: torch.nn.Parameter(torch.from_numpy(a)) for name, a in arrays.items()}
    opt = getattr(fronts, name)(params.items(), **options)
    for step in range(STEPS):
        for key, grad in left_out(gradients(arrays, step), step).items():
            params[key].grad = None if grad is None else torch.from_numpy(grad)
        opt.step()
    return everything_of(opt, params)


def everything_of(opt: Any, params: dict[str, Any]) -> dict[str, Array]:
    found = {name: param.detach().numpy() for name, param in params.items()}
    for name, param in params.items():
        for key, tensor in opt.state[param].items():
            if key not in ("step", "mu_product", "eta", "mu"):
                bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
                array = bits.numpy()
                found[f"{name}/{key}"] = array.view(np.uint16) if bits is not tensor else array
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("spec", "variant"), CASES)
def test_every_optimizer(spec: Any, variant: Any, dtype: str) -> None:
    options = {"lr": 0.01, **variant.options}
    assert_same_bits(
        with_tensors(spec.cls.__name__, options, dtype), with_arrays(spec.cls, options, dtype)
    )


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option(option: str) -> None:
    options = {"lr": 0.01, **OPTIONS[option]}
    assert_same_bits(
        with_tensors("AdamW", options, "float32"), with_arrays(gs.AdamW, options, "float32")
    )


HALVES = [
    ("bfloat16", {"rounding": "nearest"}),
    ("bfloat16", {"rounding": "stochastic", "seed": 5}),
    ("bfloat16", {"rounding": "kahan"}),
    ("bfloat16", {"rounding": "split"}),
    ("bfloat16", {"rounding": "split", "state_dtype": "float32", "ema_decay": 0.9}),
    ("float16", {"rounding": "nearest"}),
    ("float16", {"rounding": "kahan", "state_dtype": "bfloat16"}),
]


@pytest.mark.parametrize(("dtype", "options"), HALVES, ids=str)
@pytest.mark.parametrize("name", ["AdamW", "SGD", "RMSprop"])
def test_half_precision(name: str, dtype: str, options: dict[str, Any]) -> None:
    """By default state has its parameter's dtype, which NumPy's front calls "param"."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    of_numpy = np.dtype(np.float16 if dtype == "float16" else ml_dtypes.bfloat16)
    momentum = {"momentum": 0.9} if name != "AdamW" else {}
    options = {"lr": 0.01, **momentum, **options}
    arrays = {n: a.astype(of_numpy) for n, a in awkward_params("float32").items()}
    params = {n: torch.nn.Parameter(tensor_of(a)) for n, a in arrays.items()}
    ours = getattr(fronts, name)(params.items(), **options)
    theirs = getattr(gs, name)(arrays, **{"state_dtype": "param", **options})
    for step in range(STEPS):
        grads = {n: g.astype(of_numpy) for n, g in gradients(arrays_in_float(arrays), step).items()}
        for n, grad in grads.items():
            params[n].grad = tensor_of(grad)
        ours.step()
        theirs.step(grads)
    for n, array in arrays.items():
        assert torch.equal(params[n].view(torch.int16), tensor_of(array).view(torch.int16)), n
        assert ours.state[params[n]].keys() - {"step"} == theirs.state[n].keys() | (
            {"ema"} if "ema_decay" in options else set()
        )
        for key, state in theirs.state[n].items():
            tensor = ours.state[params[n]][key]
            bits = tensor.view(torch.int16) if tensor.itemsize == 2 else tensor
            raw = state.view(np.int16) if state.itemsize == 2 else state
            np.testing.assert_array_equal(bits.numpy(), raw, err_msg=f"{n}/{key}")


def arrays_in_float(arrays: dict[str, Array]) -> dict[str, Array]:
    return {n: a.astype(np.float32) for n, a in arrays.items()}


def tensor_of(array: Array) -> Any:
    """A copy of it in PyTorch, in the same order of memory."""
    if array.dtype == np.float16:
        return torch.from_numpy(array.copy(order="K"))
    return torch.from_numpy(array.view(np.int16).copy(order="K")).view(torch.bfloat16)


@pytest.mark.parametrize("grad_dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["same", "strided", "transposed", "channels_last"])
def test_gradients_of_any_layout_and_format(layout: str, grad_dtype: str) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(4, 6, 5, 3, generator=generator).to(getattr(torch, grad_dtype))
    grads = {
        "same": values,
        "strided": torch.stack([values, values], -1)[..., 0],
        "transposed": values.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
        "channels_last": values.contiguous(memory_format=torch.channels_last),
    }
    results = []
    for grad in (grads[layout], values.clone().contiguous()):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            start = torch.arange(360.0).reshape(4, 6, 5, 3).contiguous(memory_format=memory_format)
            param = torch.nn.Parameter(start)
            kept = grad.clone()
            param.grad = grad if grad.dtype == param.dtype else None
            opt = fronts.Adam([param], lr=0.1)
            for _ in range(3):
                if param.grad is None:  # PyTorch itself lets no other dtype be assigned
                    param = step_by_list(opt, param, grad)
                else:
                    opt.step()
            assert torch.equal(grad, kept)
            assert param.is_contiguous(memory_format=memory_format)
            results.append(param.detach().contiguous())
    assert all(torch.equal(result, results[0]) for result in results)


def step_by_list(opt: Any, param: Any, grad: Any) -> Any:
    """The same step through the raw lists, which take gradients of any dtype."""
    state = opt.state[param]
    if not state:
        state["exp_avg"] = torch.zeros_like(param, requires_grad=False)
        state["exp_avg_sq"] = torch.zeros_like(param, requires_grad=False)
        state["step"] = torch.tensor(0.0)
    fronts.adamw_step(
        [param], [grad], [state["exp_avg"]], [state["exp_avg_sq"]], [state["step"]],
        lr=0.1, weight_decay=0.0,
    )  # fmt: skip
    return param
