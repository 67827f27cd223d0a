"""Tensors that gradstep's kernels do not take, and gradients of every form that they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.torch.twins import (
    SHARED,
    STATEFUL,
    assert_alike,
    few,
    front,
    ours_only,
    params_of,
    set_gradients,
)

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")


class Wrapper(torch.Tensor):
    """A tensor without memory of its own, as of packages that quantise."""

    @staticmethod
    def __new__(cls, values: Any) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, values.shape, dtype=values.dtype)

    def __init__(self, values: Any) -> None:
        self.values = values

    def __repr__(self) -> str:
        return "Wrapper"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*(a.values if isinstance(a, Wrapper) else a for a in args), **(kwargs or {}))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "complex": (lambda: torch.ones(3, dtype=torch.complex64), "complex"),
    "meta": (lambda: torch.ones(3, device="meta"), "meta"),
    "sparse": (lambda: torch.eye(3).to_sparse(), "sparse"),
    "sparse rows": (lambda: torch.eye(3).to_sparse_csr(), "sparse"),
    "float8": (lambda: torch.ones(3).to(torch.float8_e4m3fn), "float8_e4m3fn"),
    "wrapper": (lambda: Wrapper(torch.ones(3)), "Wrapper"),
    "gaps": (lambda: torch.ones(3, 4)[:, ::2], "contiguous"),
    "expanded": (lambda: torch.ones(1).expand(3), "contiguous"),
}


@ours_only
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_parameters_that_are_refused(name: str, kind: str, backend: str) -> None:
    """By name, with what to do, when they have a gradient at the latest; nothing changes."""
    make, text = REFUSED[kind]
    first, bad = torch.nn.Parameter(torch.ones(3)), make()
    first.grad = torch.ones(3)
    bad.grad = bad.detach().clone()
    error = ValueError if text == "contiguous" else TypeError
    with pytest.raises(error, match=rf"parameter '1' .*{text}"):
        getattr(front, name)([first, bad]).step()
    assert torch.equal(first, torch.ones(3))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize("kind", ["integers", "quantised", "complex", "meta"])
@pytest.mark.parametrize("name", SHARED)
def test_what_never_has_a_gradient_may_be_anything(name: str, kind: str, backend: str) -> None:
    """As the frozen weights of a quantised model beside its trained ones."""
    if name == "Adagrad" and kind == "quantised":
        pytest.skip("torch itself refuses it: its state is there from the start")

    def train(optim: Any) -> Any:
        frozen = {
            "integers": lambda: torch.arange(3, dtype=torch.uint8),
            "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            "complex": lambda: torch.ones(3, dtype=torch.complex64),
            "meta": lambda: torch.ones(3, device="meta"),
        }[kind]()
        trained = few()
        opt = getattr(optim, name)([frozen, *trained], **STATEFUL.get(name, {}))
        for step in range(4):
            set_gradients(trained, step)
            opt.step()
        opt.param_groups[0]["params"].pop(0)  # it cannot be compared
        opt.state.pop(frozen, None)
        return opt

    assert_alike(train, 2e-7)


@ours_only
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_sparse_gradients_are_refused(name: str, backend: str) -> None:
    torch.manual_seed(1)
    embedding = torch.nn.Embedding(10, 3, sparse=True)
    first = torch.nn.Parameter(torch.ones(3))
    opt = getattr(front, name)([first, embedding.weight])
    first.grad = torch.ones(3)
    embedding(torch.tensor([1, 2])).sum().backward()
    kept = embedding.weight.detach().clone()
    with pytest.raises(TypeError, match=r"gradient '1' .*sparse.*(to_dense|SparseAdam|sparse=)"):
        opt.step()
    assert torch.equal(first, torch.ones(3))
    assert torch.equal(embedding.weight, kept)
    assert not opt.state


def as_imaginary_part(grad: Any) -> Any:
    """Its memory holds the negative of its values."""
    lazy = torch.complex(torch.zeros_like(grad), -grad).conj().imag
    assert lazy.is_neg()
    return lazy


GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda g: g.transpose(0, -1).contiguous().transpose(0, -1),
    "every second": lambda g: torch.stack([g, -g], dim=-1)[..., 0],
    "offset": lambda g: torch.cat([g.new_zeros(3), g.reshape(-1)])[3:].view(g.shape),
    "expanded": lambda g: g.mean().expand(g.shape),
    "negative bit": as_imaginary_part,
    "with graph": lambda g: g.clone().requires_grad_() * 1.0,
    "requires grad": lambda g: g.clone().requires_grad_(),
    "parameter": lambda g: torch.nn.Parameter(g),
    "buffer": lambda g: torch.nn.Buffer(g),
}


@pytest.mark.usefixtures("float64_numbers")
@pytest.mark.parametrize("form", GRADIENTS)
@pytest.mark.parametrize("name", ["SGD", "AdamW", "Rprop"])
def test_gradients_of_every_form(name: str, form: str, backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = getattr(optim, name)(few(), **STATEFUL.get(name, {}))
        for step in range(4):
            set_gradients(params_of(opt), step)
            for param in params_of(opt):
                if param.grad is not None and param.ndim:
                    grad = GRADIENTS[form](param.grad)
                    param.grad = None
                    param.grad = grad
            opt.step()
        return opt

    assert_alike(train)


def test_one_gradient_for_two_parameters(backend: str) -> None:
    def train(optim: Any) -> Any:
        params = [torch.nn.Parameter(torch.full((5,), float(i))) for i in range(2)]
        opt = optim.AdamW(params)
        for step in range(3):
            params[0].grad = params[1].grad = torch.arange(5.0) - step
            opt.step()
        return opt

    assert_alike(train, 2e-6)


def test_a_gradient_that_is_its_parameter_s_memory(backend: str) -> None:
    """The step of half the square's loss, without a copy."""

    def train(optim: Any) -> Any:
        opt = optim.AdamW(few())
        for _ in range(3):
            for param in params_of(opt):
                param.grad = param.detach()
            opt.step()
        return opt

    assert_alike(train)


def test_tied_weights_are_stepped_once(backend: str) -> None:
    def train(optim: Any) -> Any:
        torch.manual_seed(3)
        embedding, output = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7, bias=False)
        output.weight = embedding.weight
        model = torch.nn.Sequential(embedding, output).double()
        opt = optim.AdamW(model.parameters(), lr=0.1)
        assert len(params_of(opt)) == 1
        for step in range(5):
            opt.zero_grad()
            model(torch.arange(step, step + 3) % 7).square().sum().backward()
            opt.step()
        assert output.weight is embedding.weight
        return opt

    assert_alike(train)


def test_a_parameter_given_twice_is_warned_of(backend: str) -> None:
    param = torch.nn.Parameter(torch.ones(3))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        opt = front.SGD([param, param], lr=0.25)
    param.grad = torch.ones(3)
    opt.step()
    once_or_twice = {0.75, 0.5}
    assert {*param.tolist()} <= once_or_twice


def test_parameters_that_share_memory(backend: str) -> None:
    """torch steps them in turn; gradstep may refuse it, but not write it twice at once."""
    values = torch.ones(6)
    params = [torch.nn.Parameter(values[:4]), torch.nn.Parameter(values[2:])]
    for param in params:
        param.grad = torch.ones(4)
    try:
        front.SGD(params, lr=0.25).step()
    except ValueError as error:
        assert "memory" in str(error)  # noqa: PT017
        assert values.tolist() == [1.0] * 6
    else:
        assert values.tolist() == [0.75, 0.75, 0.5, 0.5, 0.75, 0.75]


def test_steps_in_inference_mode(backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = optim.AdamW(few())
        for step in range(4):
            set_gradients(params_of(opt), step)
            with torch.inference_mode():
                opt.step()
        return opt

    assert_alike(train)


def test_gradients_made_in_inference_mode(backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = optim.AdamW(few())
        for step in range(4):
            with torch.inference_mode():
                set_gradients(params_of(opt), step)
            opt.step()
        return opt

    assert_alike(train)


def test_parameters_made_in_inference_mode_are_refused(backend: str) -> None:
    """As by torch: nobody would know that they were written."""
    with torch.inference_mode():
        param, grad = torch.ones(3), torch.ones(3)
        param.grad = grad
    error = RuntimeError if front is torch.optim else ValueError
    with pytest.raises(error, match=r"[Ii]nference"):
        front.AdamW([param]).step()
    if front is not torch.optim:
        assert torch.equal(param, torch.ones(3))
