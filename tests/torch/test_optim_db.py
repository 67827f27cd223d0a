"""torch's own test data of its optimizers: what it trains and what it refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.torch.twins import SHARED, TOLERANCE, assert_alike, front, mixed, ours_only, steps

torch = pytest.importorskip("torch", reason="torch is not installed: pip install '.[torch]'")
data = pytest.importorskip("torch.testing._internal.common_optimizers")

DB = {info.name: info for info in data.optim_db}

ELSEWHERE = {"LBFGS", "Adafactor"}  # test_lbfgs.py has closures, test_adafactor.py matrices

# What the data has and is not trained beside torch's, and why.
EXCLUDED = {
    "SparseAdam": "it takes sparse gradients only",
    "capturable": "it is for graphs of accelerators",
    "differentiable": "gradstep's kernels are not recorded by autograd",
}


def inputs(name: str) -> list[Any]:
    """Those of CPUs, and those for accelerators, which are `capturable`."""
    return DB[name].optim_inputs_func(device="cuda", dtype=torch.float32)


def refused(options: dict[str, Any]) -> bool:
    return any(options.get(name) for name in EXCLUDED)


TRAINED = [
    pytest.param(name, given.kwargs, id=f"{name}-{given.desc}")
    for name in SHARED
    for given in inputs(name)
    if not refused(given.kwargs)
]
ERRORS = [
    pytest.param(name, error, id=f"{name}-{error.optimizer_error_input.desc}")
    for name in SHARED
    for error in DB[name].optim_error_inputs_func(device="cpu", dtype=torch.float32)
]


@pytest.mark.parametrize(("name", "options"), TRAINED)
def test_trains_as_torch(name: str, options: dict[str, Any], dtype: Any, backend: str) -> None:
    def train(optim: Any) -> Any:
        opt = getattr(optim, name)(mixed(dtype), foreach=False, **options)
        steps(opt, 0, 10)
        return opt

    assert_alike(train, TOLERANCE[dtype])


@pytest.mark.parametrize(("name", "error"), ERRORS)
def test_refuses_what_torch_refuses(name: str, error: Any) -> None:
    given = error.optimizer_error_input
    params = mixed() if given.params is None else given.params
    assert error.error_on is data.OptimizerErrorEnum.CONSTRUCTION_ERROR
    expects = pytest.warns if issubclass(error.error_type, Warning) else pytest.raises
    with expects(error.error_type, match=error.error_regex):
        getattr(front, name)(params, **given.kwargs)


@pytest.mark.parametrize("implementation", ["foreach", "fused"])
@pytest.mark.parametrize("name", SHARED)
def test_the_choice_of_an_implementation_is_without_effect(
    name: str, implementation: str, backend: str
) -> None:
    def train(optim: Any) -> Any:
        choice = {implementation: True} if optim is front else {}
        opt = getattr(optim, name)(mixed(torch.float32), **choice)
        steps(opt, 0, 10)
        assert opt.param_groups[0].get(implementation) is choice.get(implementation)
        return opt

    if front is torch.optim and implementation not in DB[name].supported_impls:
        pytest.skip("torch has it for some optimizers only")
    assert_alike(train, TOLERANCE[torch.float32])


@pytest.mark.parametrize("name", [n for n in SHARED if "fused" in DB[n].supported_impls])
def test_two_implementations_at_once_are_refused_as_in_torch(name: str) -> None:
    with pytest.raises(RuntimeError) as expected:
        getattr(torch.optim, name)(mixed(), foreach=True, fused=True)
    with pytest.raises(RuntimeError, match=re.escape(str(expected.value))):
        getattr(front, name)(mixed(), foreach=True, fused=True)


def test_every_optimizer_of_the_data_is_trained_or_excluded() -> None:
    assert {*SHARED, "Muon"} == {*DB} - {*EXCLUDED} - ELSEWHERE


@ours_only
def test_excluded_optimizers_are_not_gradstep_s() -> None:
    assert not [name for name in EXCLUDED if name in DB and hasattr(front, name)]


@ours_only
@pytest.mark.parametrize("name", SHARED)
def test_excluded_options_are_refused(name: str) -> None:
    excluded = [given.kwargs for given in inputs(name) if refused(given.kwargs)]
    assert "differentiable" in DB[name].supported_impls
    for options in (*excluded, {"differentiable": True}):
        (reason,) = (option for option in EXCLUDED if options.get(option))
        with pytest.raises(ValueError, match=reason):
            getattr(front, name)(mixed(), **options)


def test_every_exclusion_is_of_something_in_the_data() -> None:
    options = {option for name in SHARED for given in inputs(name) for option in given.kwargs}
    assert {*EXCLUDED} <= {*DB} | options | {"differentiable"}
