"""gradstep.torch.Muon beside torch.optim's, which multiplies in bfloat16."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.directions.test_muon import BFLOAT16
from tests.torch.twins import front, ours_only, set_gradients, steps

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
data = pytest.importorskip("torch.testing._internal.common_optimizers")

pytestmark = pytest.mark.skipif(
    not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon to compare with"
)
INFO = next((info for info in data.optim_db if info.name == "Muon"), None)


def inputs() -> list[Any]:
    given = INFO.optim_inputs_func(device="cpu", dtype=torch.float32) if INFO else []
    return [pytest.param(each.kwargs, id=each.desc) for each in given]


def errors() -> list[Any]:
    given = INFO.optim_error_inputs_func(device="cpu", dtype=torch.float32) if INFO else []
    return [pytest.param(each, id=each.optimizer_error_input.desc) for each in given]


def matrices(dtype: Any = torch.float32) -> list[Any]:
    generator = torch.Generator().manual_seed(3)
    shapes = [(13, 7), (5, 11), (8, 8), (1, 6)]
    made = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    made.append(torch.randn((9, 4), generator=generator, dtype=dtype).T)
    return [torch.nn.Parameter(each) for each in made]


@pytest.mark.parametrize("options", inputs())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_trains_as_torch_within_bfloat16(options: dict[str, Any], dtype: Any, backend: str) -> None:
    trained = []
    for optim in (front, torch.optim):
        opt = optim.Muon(matrices(dtype), **options)
        steps(opt, 0, 10)
        trained.append(opt)
    ours, theirs = trained
    params = [each.param_groups[0]["params"] for each in trained]
    lr = float(options.get("lr", 1e-3))
    for mine, its in zip(*params, strict=True):
        moved = 10 * lr * math.sqrt(max(1.0, mine.shape[0] / mine.shape[1]))
        # A parameter in bfloat16 is rounded in every step of either, to 2^-9 of it.
        stored = 10 * 2.0**-8 * float(its.detach().norm()) if dtype == torch.bfloat16 else 0.0
        apart = torch.linalg.matrix_norm((mine - its).detach().double(), 2)
        assert float(apart) <= BFLOAT16 * moved + stored
        # State beside bfloat16 may be dithered, which takes the number of the step.
        counted = {"step"} if dtype == torch.bfloat16 else set()
        assert {*ours.state[mine]} == {*theirs.state[its]} | counted


@pytest.mark.parametrize("error", errors())
def test_refuses_what_torch_refuses(error: Any) -> None:
    given = error.optimizer_error_input
    params = matrices() if given.params is None else given.params
    expects = pytest.warns if issubclass(error.error_type, Warning) else pytest.raises
    if error.error_on is data.OptimizerErrorEnum.STEP_ERROR and front is not torch.optim:
        with pytest.raises(TypeError, match="complex64"):
            front.Muon(params, **given.kwargs).step()
        return
    with expects(error.error_type, match=error.error_regex):
        front.Muon(params, **given.kwargs).step()


@ours_only
def test_the_same_bits_as_the_numpy_front_by_the_same_products(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradstep.directions.by_torch import ByTorch

    monkeypatch.setattr("gradstep.directions.table.BY_NUMPY", ByTorch())
    params = matrices()
    arrays = {str(i): p.detach().numpy().copy(order="K") for i, p in enumerate(params)}
    opt, twin = front.Muon(params, lr=0.02, clip_norm=0.5), gs.Muon(arrays, lr=0.02, clip_norm=0.5)
    for step in range(6):
        set_gradients(params, step)
        opt.step()
        grads = [None if p.grad is None else p.grad.numpy().copy() for p in params]
        twin.step({str(i): grad for i, grad in enumerate(grads)})
    for i, param in enumerate(params):
        np.testing.assert_array_equal(param.detach().numpy(), arrays[str(i)])
        np.testing.assert_array_equal(
            opt.state[param]["momentum_buffer"].numpy(), twin.state[str(i)]["momentum_buffer"]
        )


@ours_only
@pytest.mark.parametrize("shape", [(192, 240), (530, 600), (1300, 520)])
def test_bfloat16_is_as_close_to_float32_as_torchs(shape: tuple[int, int], backend: str) -> None:
    """Roundings are as large and as many, but not the same: a quarter is left for chance."""
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    directions = []
    for kind, options in (
        (front.Muon, {}), (front.Muon, {"ns_dtype": "bfloat16"}), (torch.optim.Muon, {}),
    ):  # fmt: skip
        param = torch.nn.Parameter(torch.zeros(shape))
        param.grad = grad.clone()
        kind([param], lr=1.0, weight_decay=0.0, **options).step()
        directions.append(param.detach().double())
    exact, ours, theirs = directions
    norm = torch.linalg.matrix_norm
    assert 0 < norm(ours - exact) <= 1.25 * norm(theirs - exact) <= 0.03 * norm(exact)


@ours_only
def test_bfloat16_takes_pytorch_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradstep.methods.muon.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"ns_dtype='bfloat16' takes PyTorch's products, .* None"):
        gs.Muon(np.eye(2), ns_dtype="bfloat16")


@ours_only
def test_states_go_to_torch_and_back(backend: str) -> None:
    params, copies = matrices(), matrices()
    opt, theirs = front.Muon(params, lr=0.02), torch.optim.Muon(copies, lr=0.02)
    steps(theirs, 0, 4)
    opt.load_state_dict(theirs.state_dict())
    for param, copy in zip(params, copies, strict=True):
        param.data.copy_(copy.data)
        assert torch.equal(
            opt.state[param]["momentum_buffer"], theirs.state[copy]["momentum_buffer"]
        )
    steps(opt, 4, 6)
    theirs.load_state_dict(opt.state_dict())
    steps(theirs, 6, 7)


@ours_only
def test_a_step_in_the_backward_pass_is_refused() -> None:
    from gradstep.torch import step_in_backward

    with pytest.raises(ValueError, match="directions are computed of all matrices before"):
        step_in_backward(front.Muon(matrices()))


@ours_only
def test_the_rest_belongs_to_another_optimizer() -> None:
    opt = front.Muon(matrices())
    with pytest.raises(ValueError, match=r"PyTorch's state of Muon counts no steps\. Give param"):
        opt.add_param_group({"params": matrices(), "optimizer": "adamw"})
    assert len(opt.param_groups) == 1
    with pytest.raises(ValueError, match=r"gradstep\.torch\.AdamW"):
        front.Muon([{"params": matrices(), "optimizer": "adamw"}])
    assert "belong to an optimizer of their own" in (front.Muon.__doc__ or "")
    assert "adamw_" not in (front.Muon.__doc__ or "")


@ours_only
def test_options_of_its_groups_are_torchs_and_those_that_all_have() -> None:
    (ours,), (theirs,) = (o.Muon(matrices()).param_groups for o in (front, torch.optim))
    assert not {"optimizer", "adamw_betas", "adamw_eps"} & {*ours}
    of_all = {*front.SGD(matrices()).param_groups[0]}
    assert {*ours} - of_all - {*theirs} == {"ns_dtype"}
    with pytest.raises(TypeError, match="adamw_eps"):
        front.Muon(matrices(), adamw_eps=1e-8)


@ours_only
@pytest.mark.parametrize("kind", ["Muon", "SOAP"])
def test_pytorch_multiplies_on_both_backends(kind: str) -> None:
    if "native" not in gs.runtime.available_backends():
        pytest.skip("the kernels are not compiled")
    from gradstep.directions.by_torch import ByTorch

    ends = []
    for backend in ("native", "numpy"):
        with gs.runtime.set_backend(backend):
            generator = torch.Generator().manual_seed(0)
            param = torch.nn.Parameter(torch.randn(150, 200, generator=generator))
            opt = getattr(front, kind)([param])
            for _ in range(4):
                param.grad = torch.randn(150, 200, generator=generator)
                opt.step()
            ends.append(param.detach())
            assert isinstance(opt._holding.table._parts[0][1]._products, ByTorch)
    assert torch.equal(*ends)
