"""Gradients of other packages: the bits of their arrays, their errors, and how they are read."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradstep as gs
from gradstep.arrays.gradients import GradientReader
from tests.helpers import SIZE, Array, ByArray, assert_same_bits, everything

pytestmark = pytest.mark.usefixtures("backend")


def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed")


def jnp() -> Any:
    return pytest.importorskip("jax.numpy", reason="jax is not installed")


def values(shape: tuple[int, ...] = (6, 8)) -> Array:
    return np.random.default_rng(3).normal(size=shape).astype("float16")


def adam(shape: tuple[int, ...] = (6, 8)) -> gs.Adam:
    return gs.Adam({"w": np.ones(shape, np.float32)}, lr=0.1, clip_norm=0.5)


def after(*gradients: Any) -> dict[str, Array]:
    opt = adam(gradients[0].shape)
    for gradient in gradients:
        opt.step({"w": gradient})
    return everything(opt)


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda t: t,
    "turned": lambda t: t.T,
    "some": lambda t: t[1::2, ::3],
    "one": lambda t: t[0, 0],
    "none": lambda t: t[:0],
    "a column": lambda t: t[:, 1],
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tensor_gives_the_bits_of_its_array(layout: str, dtype: str) -> None:
    array = values().astype(dtype)
    tensor = LAYOUTS[layout](torch().from_numpy(array.copy()))
    assert_same_bits(after(tensor, tensor), after(*2 * [LAYOUTS[layout](array)]))
    broadcast = torch().from_numpy(array.copy())[:1].expand(6, 8)
    assert_same_bits(after(broadcast), after(np.repeat(array[:1], 6, axis=0)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_of_jax_gives_the_bits_of_its_array(layout: str, dtype: str) -> None:
    array = LAYOUTS[layout](jnp().asarray(values()).astype(dtype))
    assert_same_bits(after(array, array), after(*2 * [np.array(array)]))


def refuse(self: Any, i: int, gradient: object) -> Any:
    raise AssertionError(f"Python's reader was given a {type(gradient).__name__}")


@pytest.mark.parametrize("package", [torch, jnp])
def test_native_steps_read_them_without_pythons_reader(
    package: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if gs.runtime.backend() != "native":
        pytest.skip("it is about the native backend")
    gradient = package().asarray(values())
    expected = after(values())
    monkeypatch.setattr(GradientReader, "__call__", refuse)
    assert_same_bits(after(gradient), expected)


def fake() -> Any:
    torch()
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch().ones(6, 8)


def given_back(tensor: Any) -> Any:
    tensor.untyped_storage().resize_(0)
    return tensor


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "that requires a gradient": (lambda: torch().ones(6, 8, requires_grad=True), "require"),
    "parameter": (lambda: torch().nn.Parameter(torch().ones(6, 8)), "require"),
    "result": (lambda: torch().ones(6, 8, requires_grad=True) * 2, "require"),
    "sparse": (lambda: torch().ones(6, 8).to_sparse(), "[Ss]parse"),
    "without memory": (lambda: torch().ones(6, 8, device="meta"), "meta"),
    "fake": (lambda: fake(), "numpy"),
    "of zeros that are nowhere": (lambda: torch()._efficientzerotensor((6, 8)), "ZeroTensor"),
    "whose memory was given back": (lambda: given_back(torch().ones(6, 8)), "it has no memory"),
    "conjugate": (lambda: torch().ones(6, 8, dtype=torch().complex64).conj(), "conj"),
    "int": (lambda: torch().ones(6, 8, dtype=torch().int32), "dtype int32; expected float16"),
    "of another shape": (lambda: torch().ones(8, 6), r"shape \(8, 6\); expected \(6, 8\)"),
    "deleted": (lambda: (array := jnp().ones((6, 8)), array.delete())[0], "deleted"),
    "jax's of another shape": (lambda: jnp().ones(48), r"shape \(48,\); expected \(6, 8\)"),
    "jax's int": (lambda: jnp().ones((6, 8), "int32"), "dtype int32; expected float16"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_changes_nothing(case: str) -> None:
    make, text = REFUSED[case]
    opt, gradient = adam(), make()
    opt.step({"w": values()})
    before = everything(opt)
    with pytest.raises((TypeError, ValueError), match=f"gradient 'w' .*{text}"):
        opt.step({"w": gradient})
    assert_same_bits(everything(opt), before)
    assert opt.steps == 1


def test_a_tensor_on_the_optimizers_memory_is_refused() -> None:
    opt = adam()
    for array in (opt.params["w"], opt.state["w"]["exp_avg"]):
        with pytest.raises(ValueError, match="gradient 'w' shares memory with a parameter"):
            opt.step({"w": torch().from_numpy(array)})


def test_a_tensor_in_bfloat16_is_read() -> None:
    array = values().astype("float32").view(np.uint32) & np.uint32(0xFFFF0000)
    tensor = torch().from_numpy(array.view(np.float32)).bfloat16()
    assert_same_bits(after(tensor, tensor), after(array.view(np.float32), array.view(np.float32)))
    assert gs.global_norm(tensor) == gs.global_norm(array.view(np.float32))


def test_a_frozen_parameter_of_torch_may_be_a_gradient() -> None:
    frozen = torch().nn.Parameter(torch().from_numpy(values()), requires_grad=False)
    assert_same_bits(after(frozen), after(values()))


@pytest.mark.parametrize("columns", [1, 8])
def test_the_imaginary_part_of_a_conjugate_has_its_sign(columns: int) -> None:
    array = values()[:, :columns].astype("float32")
    tensor = torch().complex(torch().zeros(array.shape), torch().from_numpy(-array)).conj().imag
    assert tensor.is_neg()
    assert_same_bits(after(tensor, tensor), after(array, array))


@pytest.mark.usefixtures("native")
def test_code_of_a_mode_of_pytorchs_runs_before_tensors_are_read() -> None:
    torch()
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):
        asked = 0

        def __torch_function__(self, f: Any, types: Any, args: Any = (), kw: Any = None) -> Any:
            Mode.asked += 1
            if Mode.asked == 2:
                first.set_(torch().full((SIZE,), 3.0))
            return f(*args, **(kw or {}))

    first, second = torch().ones(SIZE), torch().ones(SIZE)
    opt = gs.SGD([np.zeros(SIZE, np.float32) for _ in "ab"], lr=1.0)
    opt.step([second, second])  # and knows the type
    with Mode():
        opt.step([first, second])
    np.testing.assert_array_equal(opt.params["0"], -4.0)


CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "on other memory": (lambda t: t.set_(torch().full((2 * SIZE,), 3.0)[::2]), ""),
    "resized": (lambda t: t.resize_(100 * SIZE), r"gradient 'a' has shape \(10000000,\)"),
    "made to require a gradient": (lambda t: t.requires_grad_(), r"gradient 'a' .*require"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_tensor_that_other_code_changes_meanwhile_is_read_before_or_after(case: str) -> None:
    change, text = CHANGES[case]
    tensor, ones = torch().ones(SIZE), np.ones(SIZE, np.float32)
    opt = gs.SGD({name: ones.copy() for name in "ab"}, lr=0.5)
    grads = {"a": tensor, "b": ByArray(ones, lambda: change(tensor))}
    if gs.runtime.backend() == "numpy":  # converts one after another
        opt.step(grads)
        np.testing.assert_array_equal(opt.params["a"], 0.5)
    elif text:
        with pytest.raises((TypeError, ValueError), match=text):
            opt.step(grads)
        np.testing.assert_array_equal(opt.params["a"], 1.0)
    else:
        opt.step(grads)
        np.testing.assert_array_equal(opt.params["a"], -0.5)


class OnlyDLPack:
    """An array that offers DLPack and nothing else."""

    def __init__(self, array: Array) -> None:
        self.array, self.shape, self.asked = array, array.shape, 0

    def __dlpack__(self, **options: Any) -> Any:
        self.asked += 1
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_offers_dlpack_alone_is_read_by_it(layout: str, dtype: str) -> None:
    array = np.asarray(LAYOUTS[layout](values().astype(dtype)))
    gradient = OnlyDLPack(array)
    assert_same_bits(after(gradient, gradient), after(array, array))
    assert gradient.asked >= 2


class Described(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", 2 * ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


FUNCTION = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(Described))


class Api(ctypes.Structure):
    _fields_ = [
        ("version", 2 * ctypes.c_uint32),
        ("older", ctypes.c_void_p),
        ("others", 3 * ctypes.c_void_p),
        ("describe", FUNCTION),
        ("stream", ctypes.c_void_p),
    ]


def exporter(api: Api) -> type[OnlyDLPack]:
    """A type whose objects, of shape (6, 8), this table describes."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
    )
    capsule = new(ctypes.addressof(api), b"dlpack_exchange_api", None)
    return type("Exporter", (OnlyDLPack,), {"__dlpack_c_exchange_api__": capsule, "kept": api})


def describing(**changes: Any) -> FUNCTION:  # type: ignore[valid-type]
    shape = (ctypes.c_int64 * 2)(6, 8)

    def describe(of: Any, out: Any) -> int:
        described = out.contents
        described.data = of.array.ctypes.data - 16
        described.byte_offset, described.device[0], described.ndim = 16, 1, 2
        described.code, described.bits, described.lanes = 2, 32, 1
        described.shape, described.strides = shape, None
        for name, value in changes.items():
            setattr(described, name, value)
        return 0

    return FUNCTION(describe)


APIS: dict[str, tuple[Callable[[], Api], bool]] = {
    "1.3": (lambda: Api((1, 3), None, (), describing()), True),
    "newer, with an older": (
        lambda: Api((2, 0), ctypes.addressof(OLDER), (), describing(bits=64)),
        True,
    ),
    "newer alone": (lambda: Api((2, 0), None, (), describing()), False),
    "without the function": (lambda: Api((1, 3), None, ()), False),
    "on a GPU": (lambda: Api((1, 3), None, (), describing(device=(2, 0))), False),
    "of ints": (lambda: Api((1, 3), None, (), describing(code=0)), False),
    "of vectors": (lambda: Api((1, 3), None, (), describing(lanes=4)), False),
    "of 8 bits": (lambda: Api((1, 3), None, (), describing(bits=8)), False),
    "without memory": (lambda: Api((1, 3), None, (), describing(data=None)), False),
    "that fails": (lambda: Api((1, 3), None, (), FUNCTION(lambda of, out: -1)), False),
}
OLDER = Api((1, 2), None, (), describing())


@pytest.mark.parametrize("case", APIS)
def test_exchange_tables_are_read_where_they_say_enough(case: str) -> None:
    make, read = APIS[case]
    gradient = exporter(make())(values().astype("float32"))
    assert_same_bits(after(gradient, gradient), after(*2 * [gradient.array]))
    assert (gradient.asked == 0) == (read and gs.runtime.backend() == "native")


@pytest.mark.parametrize("requires_grad", [True, property(lambda self: False)])
def test_a_table_is_not_used_where_python_would_say_whether_a_gradient_is_one(
    requires_grad: Any,
) -> None:
    made = exporter(Api((1, 3), None, (), describing()))
    made.requires_grad = requires_grad  # type: ignore[attr-defined]
    gradient = made(values().astype("float32"))
    assert_same_bits(after(gradient), after(gradient.array))
    assert gradient.asked > 0


def test_a_subclass_of_a_type_with_a_table_is_read_by_its_own_dlpack() -> None:
    kind = type("Sub", (exporter(Api((1, 3), None, (), describing())),), {})
    gradient = kind(values().astype("float32"))
    assert_same_bits(after(gradient), after(gradient.array))
    assert gradient.asked > 0
