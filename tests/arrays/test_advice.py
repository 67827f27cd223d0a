"""What errors say to do works when it is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import numpy as np
import pytest

import gradstep as gs

pytestmark = pytest.mark.usefixtures("backend")


class Immutable:
    """Like JAX's arrays: NumPy may look at its memory and not write it."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        array = np.ones((2, 3), np.float32)
        array.flags.writeable = False
        return array if dtype is None else array.astype(dtype)


class Sparse:
    """Like SciPy's: no array, but one can be had."""

    def toarray(self) -> Any:
        return np.ones((2, 3))


def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed")


CODE = re.compile(r"x = (.*?), and go on|[Gg]ive (x\..*?\)), (?:the|which)")
PARAMS: dict[str, Callable[[], Any]] = {
    "list": lambda: [[1.0, 2.0], [3.0, 4.0]],
    "read-only": Immutable,
    "sparse": Sparse,
    "number": lambda: 0.5,
    "memoryview": lambda: memoryview(bytearray(4)),
    "parameter of torch": lambda: torch().nn.Parameter(torch().ones(2, 3)),
    "tensor in half": lambda: torch().ones(2, 3, dtype=torch().bfloat16, requires_grad=True),
    "sparse tensor": lambda: torch().eye(3).to_sparse(),
    "misaligned": lambda: np.frombuffer(bytearray(13), np.float32, 3, offset=1),
    "strided": lambda: np.zeros((4, 6), np.float32)[:, ::2],
    "channels last": lambda: np.zeros((2, 5, 6, 3), np.float32).transpose(0, 3, 1, 2),
}


@pytest.mark.parametrize("case", PARAMS)
def test_an_array_made_as_the_error_says_is_a_parameter(case: str) -> None:
    x = PARAMS[case]()
    with pytest.raises((TypeError, ValueError), match="parameter 'w' is") as caught:
        gs.Adam({"w": x})
    found = CODE.search(str(caught.value))
    assert found, str(caught.value)
    code = found[1] or found[2]
    assert code, str(caught.value)
    made = eval(code, {"x": x, "numpy": numpy})
    opt = gs.Adam({"w": made})
    opt.step({"w": np.ones(made.shape)})
    if case in ("channels last", "parameter of torch"):
        assert np.shares_memory(np.asarray(x.detach() if hasattr(x, "detach") else x), made)


@pytest.mark.parametrize(
    "x",
    [None, "relu", len, True, SimpleNamespace(), object()],
    ids=lambda x: type(x).__name__,
)
def test_what_is_no_array_is_left_out(x: Any) -> None:
    with pytest.raises(TypeError, match=r"parameter 'f' is .* Leave it out: parameters hold arr"):
        gs.Adam({"w": np.ones(3), "f": x})


GRADS: dict[str, Callable[[], Any]] = {
    "list": lambda: [[1.0] * 3] * 2,
    "sparse": Sparse,
    "sparse tensor": lambda: torch().ones(2, 3).to_sparse(),
    "tensor of integers": lambda: torch().ones(2, 3, dtype=torch().int32),
    "complex tensor": lambda: torch().ones(2, 3, dtype=torch().complex64),
    "objects": lambda: np.ones((2, 3), object),
    "integers": lambda: np.ones((2, 3), int),
    "complex": lambda: np.ones((2, 3), complex),
    "transposed": lambda: np.ones((3, 2)),
    "another axis": lambda: np.ones((2, 1, 3)),
}


@pytest.mark.parametrize("case", GRADS)
def test_a_gradient_made_as_the_error_says_is_one(case: str) -> None:
    g, opt = GRADS[case](), gs.SGD({"w": np.ones((2, 3), np.float32)}, lr=1.0)
    with pytest.raises((TypeError, ValueError), match="gradient 'w' ") as caught:
        opt.step({"w": g})
    found = re.search(r"(?:Convert it: |pass )(.*)\.$", str(caught.value))
    assert found, str(caught.value)
    opt.step({"w": eval(found[1], {"g": g, "numpy": numpy})})
    np.testing.assert_array_equal(opt.params["w"], 0)


def test_a_gradient_of_no_numbers_is_none() -> None:
    opt = gs.SGD({"w": np.ones(1)}, lr=1.0)
    for g in (np.array(["a"]), np.array(["2020"], "M8[Y]"), "a"):
        with pytest.raises(TypeError, match=r"gradient 'w' .*Give None for a parameter"):
            opt.step({"w": g})
    opt.step({"w": None})


def test_a_decimal_becomes_a_gradient_in_two_steps() -> None:
    opt, g = gs.SGD({"w": np.ones(1)}, lr=1.0), Decimal(1)
    with pytest.raises(TypeError, match=r"Convert it: numpy\.asarray\(g, dtype=numpy\.float32\)"):
        opt.step({"w": g})
    with pytest.raises(ValueError, match=r"pass g\.reshape\(\(1,\)\)"):
        opt.step({"w": np.asarray(g, dtype=np.float32)})
    opt.step({"w": np.asarray(g, dtype=np.float32).reshape((1,))})


def test_a_gradient_on_a_parameters_memory_is_copied_in_its_own_way() -> None:
    w = torch().ones(2)
    opt = gs.SGD(w.numpy(), lr=1.0)
    for g, text in ((w, "g.clone()"), (w.numpy(), "g.copy()")):
        with pytest.raises(ValueError, match=re.escape(text)):
            opt.step(g)
        opt.step(eval(text, {"g": g}))


def test_parameters_of_objects_strings_and_iterators() -> None:
    ragged = np.array([np.ones(2), np.ones(3)], object)
    with pytest.raises(TypeError, match=r"parameter 'w' has dtype object.* x\.tolist\(\)\.$"):
        gs.SGD({"w": ragged})
    assert list(gs.SGD({"w": ragged.tolist()}).params) == ["w.0", "w.1"]
    with pytest.raises(TypeError, match=r"parameter 'w' has dtype <U1.* Leave it out"):
        gs.SGD({"w": np.array(["a"])})
    x = (np.ones(2) for _ in range(2))
    with pytest.raises(TypeError, match=r"parameter 'w' is a generator.*: list\(x\)\.$"):
        gs.SGD({"w": x})
    assert list(gs.SGD({"w": list(x)}).params) == ["w.0", "w.1"]


def test_a_list_of_numbers_is_no_tree_of_gradients() -> None:
    for read in (gs.global_norm, gs.GradientSum().add, lambda g: gs.clip_grads(g, norm=1.0)):
        for g in ([3.0, 4.0], [[3.0, 4.0]]):
            with pytest.raises(TypeError, match=r"gradient '0' is a list of numbers\. Conv"):
                read(g)
    assert gs.global_norm(np.asarray([3.0, 4.0], dtype=np.float32)) == 5.0
    assert gs.global_norm([np.float64(3), np.float64(4)]) == 5.0


def test_a_group_outside_a_list_with_numbers_of_other_kinds() -> None:
    for lr in (Decimal("0.1"), torch().tensor(0.1)):
        with pytest.raises(TypeError, match="a dict with 'params' and 'lr': a group"):
            gs.SGD({"params": [np.ones(1)], "lr": lr})


def test_scalars_and_arrays_of_one_are_told_apart() -> None:
    for shape, other in (((1,), ()), ((), (1,)), ((1, 3), (3,))):
        opt = gs.SGD(np.ones(shape), lr=1.0)
        text = f"pass g.reshape({shape})"
        with pytest.raises(ValueError, match=re.escape(text)):
            opt.step(np.ones(other))


def test_a_sum_of_gradients_is_no_gradient() -> None:
    for params in (np.ones(2), [np.ones(2)], {"w": np.ones(2)}, [{"params": [np.ones(2)]}]):
        opt, total = gs.SGD(params, lr=0.5), gs.GradientSum()
        text = r"got a GradientSum\. Pass|'0' is a GradientSum; "
        with pytest.raises(TypeError, match=text) as caught:
            opt.step(total)
        assert "opt.step(g.grads, grad_scale=1 / g.count)" in str(caught.value)


def test_a_misspelt_key_stands_beside_those_that_are_wanted() -> None:
    opt = gs.SGD({"weight": np.ones(2), "bias": np.ones(2)}, lr=0.5)
    text = r"no entry for 'bias'; .* keys 'weight', 'bias'; got 'weight', 'bais'\."
    with pytest.raises(ValueError, match=text):
        opt.step({"weight": np.ones(2), "bais": np.ones(2)})
    with pytest.raises(ValueError, match="got no keys"):
        opt.step({})


@pytest.mark.parametrize("lr", [Decimal("0.1"), "tensor"])
def test_a_number_of_another_kind_is_made_a_float(lr: Any) -> None:
    if lr == "tensor":
        lr = torch().tensor(0.1)
    with pytest.raises(TypeError, match=r"lr must be .*; convert it: float\(lr\)"):
        gs.SGD(np.ones(1), lr=lr)
    gs.SGD(np.ones(1), lr=float(lr))
    with pytest.raises(TypeError, match="from its schedule at step 0; convert it to a float"):
        gs.SGD(np.ones(1), lr=lambda step: lr)


def test_schedules_that_were_not_called_or_return_nothing() -> None:
    w: Any = np.ones(1)
    with pytest.raises(TypeError, match=r"got the class linear_warmup; call it, linear_warmup\("):
        gs.SGD(w, lr=gs.schedules.linear_warmup)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got None from its schedule at step 0; does it return a"):
        gs.SGD(w, lr=lambda step: None)  # type: ignore[arg-type,return-value]


def test_minibatches_of_sparse_rows() -> None:
    sparse: Any = Sparse()
    with pytest.raises(TypeError, match=r"arrays\[0\] is a Sparse, .*pass x\.toarray\(\), or batc"):
        gs.minibatches([sparse, np.ones(2)], 1)
    next(gs.minibatches([sparse.toarray(), np.ones(2)], 1))


def test_a_state_of_pytorchs_is_sent_to_its_loader() -> None:
    opt = gs.SGD(np.ones(1))
    with pytest.raises(ValueError, match=r"torch\.optim's; load it with gradstep\.load_torch_stat"):
        opt.load_state_dict({"state": {}, "param_groups": []})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="pip install '.[checkpoint]'")
    opt, folder = gs.SGD(np.ones(1)), tmp_path / "runs" / "today"
    with pytest.raises(FileNotFoundError, match=r"no such folder; make it first, with os\.makedi"):
        gs.save(folder / "run", opt)
    folder.mkdir(parents=True)
    gs.save(folder / "run", opt)


def test_a_step_without_any_gradient_counts_for_schedules() -> None:
    opt = gs.SGD([np.ones(1)], lr=gs.schedules.linear(10))
    opt.step([None])
    assert (opt.steps, opt.current("lr")) == (1, 0.9)


def test_the_values_of_a_dict_become_a_list() -> None:
    x = {"w": np.ones(2), "b": np.ones(1)}.values()
    with pytest.raises(TypeError, match=r"parameter '0' is a dict_values.* list\(x\)"):
        gs.SGD(x)
    assert list(gs.SGD(list(x)).params) == ["0", "1"]
