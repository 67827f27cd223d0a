"""Copies that cannot be written: an error that names them, and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from tests.gradient_forms import bfloat16
from tests.helpers import SIZE, Array, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def half(*shape: int, order: Any = "C") -> Array:
    return np.full(shape, 7, "float16", order=order)


def read_only() -> Array:
    array = half(2, 3)
    array.flags.writeable = False
    return array


def tensor(dtype: str) -> Any:
    torch = pytest.importorskip("torch", reason="pip install '.[oracles]'")
    return torch.zeros(2, 3, dtype=getattr(torch, dtype))


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "structure": (lambda: [half(2, 3)], TypeError, "copies must be a dict with the keys 'W', 'b'"),
    "unknown name": (
        lambda: {"w": half(2, 3)},
        ValueError,
        r"copies has entries that are not parameters: 'w'; it must be .* 'W', 'b', or some of them",
    ),
    "list": (lambda: {"W": [half(2, 3)]}, TypeError, r"the copy of 'W' is a list; .*x\.astype"),
    "float32": (
        lambda: {"W": np.zeros((2, 3), "f")},
        TypeError,
        r"the copy of 'W' has dtype '<f4'; expected .* float16 or bfloat16 .*x\.astype\(numpy\.f",
    ),
    "byte-swapped": (lambda: {"W": np.zeros((2, 3), ">f2")}, TypeError, "has dtype '>f2'"),
    "masked": (lambda: {"W": np.ma.zeros((2, 3), "f2")}, TypeError, "is a MaskedArray; expected"),
    "shape": (lambda: {"W": half(3, 2)}, ValueError, r"shape \(3, 2\); expected .* shape \(2, 3\)"),
    "read-only": (lambda: {"W": read_only()}, ValueError, "the copy of 'W' is read-only; expected"),
    "strided": (lambda: {"W": half(2, 6)[:, ::2]}, ValueError, "'W' does not lie in memory as its"),
    "order": (
        lambda: {"W": half(2, 3, order="F")},
        ValueError,
        r"does not lie in memory .*\(strides \(2, 4\), those of the parameter \(12, 4\)\)",
    ),
    "unaligned": (
        lambda: {"W": np.zeros(13, np.uint8)[1:].view("float16").reshape(2, 3)},
        ValueError,
        "does not lie in memory",
    ),
    "of float64": (
        lambda: {"b": half(3)},
        TypeError,
        "copies are of float32 parameters, and 'b' is float64. Leave it out",
    ),
    "tensor": (lambda: {"W": tensor("float16")}, TypeError, r"Give x\.detach\(\)\.numpy\(\)"),
    "wide tensor": (lambda: {"W": tensor("float32")}, TypeError, r"detach\(\)\.half\(\)\.numpy\("),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_copies(case: str) -> None:
    make, error, text = BAD[case]
    params = {"W": np.ones((2, 3), "f"), "b": np.ones(3)}
    with pytest.raises(error, match=text):
        gs.Adam(params, copies=make())
    opt = gs.Adam({"V": np.ones((2, 3), "f")})
    with pytest.raises(error, match=text):
        opt.add_group({"params": params, "copies": make()})
    assert list(opt.params) == ["V"]
    assert not opt.copies


def test_of_a_list_there_is_an_entry_for_each() -> None:
    w = np.ones(3, "f")
    with pytest.raises(ValueError, match=r"a list of 2, .*; got 1 entries\. Give None for"):
        gs.SGD([w, w + 1], copies=[half(3)])
    with pytest.raises(TypeError, match="a list of 2, like the parameters; got a ndarray"):
        gs.SGD([w, w + 1], copies=half(3))
    with pytest.raises(TypeError, match=r"\['0'\] have copies in their group and in copies="):
        gs.SGD([{"params": w, "copies": half(3)}], copies=[half(3)])


def test_a_tensor_becomes_a_copy_as_the_error_says() -> None:
    x = tensor("bfloat16")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    torch = pytest.importorskip("torch")
    w = np.ones((2, 3), "f")
    with pytest.raises(TypeError) as error:
        gs.SGD(w, copies=x)
    advice = str(error.value).partition("Give ")[2].partition(",")[0]
    names = {"x": x, "torch": torch, "ml_dtypes": ml_dtypes}
    opt = gs.SGD(w, lr=0.5, copies=eval(advice, names))
    opt.step(np.ones_like(w))
    assert (x == 0.5).all()


def memory() -> tuple[Array, Array]:
    """A parameter of three elements, and the bytes that it begins."""
    whole = np.zeros(36, np.uint8)
    whole[:12].view("f")[...] = 1
    return whole[:12].view("f"), whole


def test_copies_lie_apart_from_all_that_is_written() -> None:
    w, whole = memory()
    inside, behind = whole[8:14].view("float16"), whole[14:20].view("float16")
    with pytest.raises(ValueError, match="parameter 'w' and the copy of 'w' overlap in memory"):
        gs.SGD({"w": w}, copies={"w": inside})
    v = w.copy()
    with pytest.raises(ValueError, match="the copy of 'v' and the copy of 'w' overlap in memory"):
        gs.SGD({"v": v, "w": w}, copies={"w": behind, "v": behind})
    opt = gs.SGD({"w": w}, copies={"w": behind})
    before = everything(opt) | {"copy": behind.copy()}
    with pytest.raises(ValueError, match="gradient 'w' shares memory with a parameter, its copy"):
        opt.step({"w": whole[16:28].view("f")})
    with pytest.raises(ValueError, match="gradient 'w' shares memory with a parameter, its copy"):
        opt.step({"w": behind})
    assert_same_bits(everything(opt) | {"copy": behind}, before)


def become_read_only(copy: Array) -> None:
    copy.flags.writeable = False


def reshaped(copy: Array) -> None:
    copy.shape = copy.shape[::-1]


def turned(copy: Array) -> None:
    copy.strides = 2, 2 * len(copy)


def retyped(copy: Array) -> None:
    copy.dtype = np.int16


def shrunk(copy: Array) -> None:
    copy.resize((2, SIZE // 8), refcheck=False)


def grown(copy: Array) -> None:
    copy.resize((2, SIZE * 8), refcheck=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "change", [become_read_only, reshaped, turned, retyped, shrunk, grown], ids=lambda f: f.__name__
)
def test_a_copy_that_was_changed_in_place_is_noticed(change: Callable[[Array], None]) -> None:
    params = {"v": np.ones(3, "f"), "w": np.ones((2, SIZE), "f")}
    copies = {"w": half(2, SIZE)}
    opt = gs.SGD(params, lr=0.1, momentum=0.9, ema_decay=0.5, copies=copies)
    grads = {name: np.ones_like(param) for name, param in params.items()}
    opt.step(grads)
    before = everything(opt)
    change(copies["w"])
    text = "the copy of 'w' (is no longer the writeable array|has become read-only)"
    acts: list[Callable[[], object]] = [
        lambda: opt.step(grads),
        lambda: opt.swap_averages().__enter__(),
        lambda: opt.lookahead().__enter__(),
        lambda: opt.add_group({"params": {"u": np.ones(2)}}),
        lambda: opt.load_state_dict(state),
    ]
    state = opt.state_dict()
    for act in acts:
        with pytest.raises(ValueError, match=text):
            act()
    assert_same_bits(everything(opt), before)


def test_memory_that_a_copy_is_a_view_of_cannot_be_resized() -> None:
    w, whole = np.ones(3, "f"), half(SIZE)
    opt = gs.SGD(w, copies=whole[:3])
    opt.step(np.ones(3, "f"))
    with pytest.raises(ValueError, match="cannot resize"):
        whole.resize(1, refcheck=False)


@pytest.mark.skipif(bfloat16 is None, reason="ml_dtypes is not installed")
def test_parameters_in_half_precision_have_none() -> None:
    with pytest.raises(TypeError, match=r"float32 parameters, and '0' is bfloat16\. Leave it out"):
        gs.SGD(np.ones(3, bfloat16), copies=half(3))
