"""How an optimizer over tensors is made: PyTorch's arguments, then our options."""

from __future__ import annotations

from functools import cache
from inspect import Parameter, Signature, signature
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gradstep.method.hyperparameters import UNSET
from gradstep.method.method import Method
from gradstep.optimizer.storage import check_storage
from gradstep.optimizer.turn import Turn
from gradstep.torch.copies import begin, paired
from gradstep.torch.groups import Followed
from gradstep.torch.help import OF_OURS, help_of
from gradstep.torch.sharding import Spread, is_made_by_zero, local_of
from gradstep.torch.tensors import DTYPES, FLOATS

Base = torch.optim.Optimizer

# How torch.optim computes; of these two mean something else than the same step.
HOW = {
    "foreach": None,
    "maximize": False,
    "capturable": False,
    "differentiable": False,
    "fused": None,
}
REFUSED = {
    "capturable": "it is for graphs of a GPU, and steps here run on the CPU",
    "differentiable": "steps here write in place, and autograd does not see how",
}


class Constructed(torch.optim.Optimizer):
    """The constructor, and groups that are added later."""

    method: ClassVar[Method]
    _by_zero = False  # made by a ZeroRedundancyOptimizer for some of its parameters

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "method" in vars(cls) and "__init__" not in vars(cls):
            cls.__init__ = initializer(cls)  # type: ignore[method-assign]
            cls.__doc__ = cls.__doc__ or help_of(cls.__name__, cls.method)

    def __init__(self, params: Any, *by_place: Any, copies: Any = None, **by_name: Any) -> None:
        cls: Any = type(self)
        try:
            given = signature_of(cls).bind(params, *by_place, **by_name).arguments
        except TypeError as error:
            raise TypeError(f"{cls.__name__}.__init__() {error}") from None
        del given["params"]
        for name, value in given.items():
            refuse(name, value)
        theirs = theirs_of(cls)
        own = Signature() if theirs is Base else signature(theirs.__init__)
        schedules = {name: given.pop(name) for name in own.parameters if varies(given.get(name))}
        passed = {name: given.pop(name) for name in own.parameters if name in given}
        defaults = {**defaults_of(cls), **given, **schedules}
        self._turn = Turn()
        self._copies: dict[Tensor, Tensor] = {}
        self._by_zero = is_made_by_zero()
        self._our_defaults = defaults
        if theirs is Base:
            Base.__init__(self, params, defaults)
        else:
            theirs.__init__(self, params, **passed)
        if copies is not None:
            params = [p for group in self.param_groups for p in group["params"]]
            self._take_copies(paired(params, copies))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with their options and perhaps ``"copies"`` of them.

        Raises
        ------
        TypeError, ValueError
            As torch.optim does, and where an option is not legal. Nothing has been added then.
        """
        self.defaults.update(self._our_defaults)
        groups = self.param_groups
        count = len(groups)
        copies = param_group.pop("copies", None) if isinstance(param_group, dict) else None
        try:
            super().add_param_group(param_group)
            group = groups[-1]
            for name, value in group.items():
                refuse(name, value)
            members = [param for each in groups for param in each["params"]]
            check_settings(self.method, group, Spread(members, self._by_zero))
            if copies is not None:
                self._take_copies(paired(group["params"], copies))
        except BaseException:
            del groups[count:]
            if copies is not None:
                param_group["copies"] = copies
            raise

    def _take_copies(self, copies: dict[Tensor, Tensor]) -> None:
        begin(copies)
        self._copies |= copies


def initializer(cls: Any) -> Any:
    """A constructor that shows its arguments, as tools want to know them."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        Constructed.__init__(self, *args, **kwargs)

    own = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    shown = signature_of(cls)
    parameters = [own, *shown.parameters.values()]
    __init__.__signature__ = shown.replace(parameters=parameters)  # type: ignore[attr-defined]
    __init__.__doc__ = f"Make the optimizer: see help({cls.__name__})."
    return __init__


def refuse(name: str, value: Any) -> None:
    if name in REFUSED and value:
        raise ValueError(
            f"{name}=True cannot be had: {REFUSED[name]}; leave it out, or use torch.optim"
        )


def check_settings(method: Method, group: dict[str, Any], spread: Spread) -> None:
    """Raise a ValueError where a group's options are not legal, or not for its parameters."""
    halves = (torch.bfloat16, torch.float16)
    narrow = any(local_of(p).dtype in halves for p in group["params"])
    settings = Followed(method, group, narrow).settings
    spread.check(settings)
    names = group.get("param_names", range(len(group["params"])))
    for name, param in zip(names, group["params"], strict=True):
        tensor = local_of(param)
        if tensor.dtype in FLOATS:
            check_storage(str(name), np.empty(0, DTYPES[tensor.dtype]), settings.plan)


def varies(value: Any) -> bool:
    """Whether it is a schedule, or holds one."""
    return any(map(callable, value if isinstance(value, (tuple, list)) else (value,)))


def theirs_of(cls: type) -> type[Any]:
    """The class of torch.optim that this one is in the place of; their base where there is none."""
    for klass in cls.__mro__:
        if klass.__module__.startswith("torch.optim"):
            return klass
    return Base


@cache
def signature_of(cls: Any) -> Signature:
    """PyTorch's, and our options after it by name."""
    theirs = theirs_of(cls)
    first = [Parameter("params", Parameter.POSITIONAL_OR_KEYWORD, annotation=Any)]
    if theirs is not Base:
        first = list(signature(theirs.__init__).parameters.values())[1:]
    parameters = {parameter.name: parameter for parameter in first}
    has_place = set(cls.method.positional) if theirs is Base else set()
    options = {
        name: declared.default for name, declared in cls.method.hyperparameters.items()
    } | OF_OURS
    for name, default in {**options, **HOW}.items():
        if name not in parameters:
            kind = Parameter.POSITIONAL_OR_KEYWORD if name in has_place else Parameter.KEYWORD_ONLY
            default = Parameter.empty if default is UNSET else default
            parameters[name] = Parameter(name, kind, default=default, annotation=Any)
    copies = Parameter("copies", Parameter.KEYWORD_ONLY, default=None, annotation=Any)
    parameters["copies"] = copies
    ordered = sorted(parameters.values(), key=lambda parameter: parameter.kind)
    return Signature(ordered, return_annotation=None)


@cache
def defaults_of(cls: Any) -> dict[str, Any]:
    """Of what PyTorch's class has not: our options, and how to compute."""
    theirs = theirs_of(cls)
    known = set() if theirs is Base else set(signature(theirs.__init__).parameters)
    defaults = {
        name: declared.default
        for name, declared in cls.method.hyperparameters.items()
        if declared.default is not UNSET
    }
    defaults = {**HOW, **defaults, **OF_OURS}
    return {name: value for name, value in defaults.items() if name not in known}
