"""What a checkpoint has of one optimizer, and what else of a training loop can be in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, attribute, filled
from gradstep.arrays.parameters import check_writeable
from gradstep.closures.lbfgs import LBFGS
from gradstep.distributed.sharded import Sharded
from gradstep.method.hyperparameters import Hyperparameter
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.state_checks import STORAGE, check_array
from gradstep.saving.closures import ClosurePart, content_with_closure
from gradstep.saving.tensors import BFLOAT16_BITS

Array = NDArray[Any]
Constructed = list[dict[str, Any]]  # what each group was constructed with, but for schedules

PARTS: Mapping[str, tuple[type, ...]] = {"params": (dict, type(None)), "optimizer": (dict,)}
PLAIN = (type(None), bool, int, float, str, np.generic, np.ndarray, list, tuple, Mapping)


class Stateful(Protocol):
    """What can go into a checkpoint beside the optimizer."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


class RandomState:
    """A random generator of NumPy's as an object with a state."""

    def __init__(self, generator: Any) -> None:
        self._generator = getattr(generator, "bit_generator", generator)

    def state_dict(self) -> Mapping[str, Any]:
        if isinstance(self._generator, np.random.RandomState):
            legacy: Any = self._generator.get_state(legacy=False)
            return dict(legacy)
        return dict(self._generator.state)

    def load_state_dict(self, state: Any) -> None:
        if isinstance(self._generator, np.random.RandomState):
            self._generator.set_state(state)
        else:
            self._generator.state = state


GENERATORS = np.random.Generator, np.random.BitGenerator, np.random.RandomState


class Part:
    """What a checkpoint has of `opt`, which fits it. The caller holds the optimizer's lock."""

    def __init__(
        self,
        opt: Optimizer,
        content: Mapping[str, Any],
        hyperparameters: bool,
        convert: bool = False,
    ) -> None:
        check_kinds(content, PARTS)
        self._opt = opt
        self._params = content["params"]  # None: it was saved without them
        self._state = states.check(opt._layout, content["optimizer"], hyperparameters, convert)
        self._constructed = read_constructed(opt, content) if hyperparameters else None
        self._check_params()

    def _check_params(self) -> None:
        if self._params is not None:
            check_params(self._opt.params, self._params)

    def replaced(self) -> list[str]:
        """What the optimizer was constructed with otherwise than the one that was saved."""
        texts = []
        groups = self._opt.groups
        for i, (group, was) in enumerate(zip(groups, self._constructed or [], strict=False)):
            to_be = self._state.groups[i]
            for name in self._opt.method.hyperparameters:
                value = group.constructed.get(name, ...)
                if value is not ... and name in was and was[name] != value != to_be[name]:
                    where = f"groups[{i}]: " if len(groups) > 1 else ""
                    texts.append(f"{where}{name} = {to_be[name]!r} in the place of {value!r}")
        return texts

    def check(self) -> None:
        """Once more, after anybody's code; nobody's runs from here on until all is taken over."""
        self._state.check_schedules()
        self._check_params()

    def take_over(self, others: Iterable[Change] = ()) -> None:
        """Make it the state, and these changes with it, at once."""
        params = self._params or {}
        changes = [filled(self._opt.params[name], values) for name, values in params.items()]
        changes += others
        for group, was in zip(self._opt.groups, self._constructed or [], strict=False):
            kept = {name: group.constructed[name] for name in STORAGE if name in group.constructed}
            changes.append(attribute(group, "constructed", group.constructed | was | kept))
        self._state.take_over(changes, params)


class WithParams:
    """An optimizer with its parameters, as one of the objects beside the first."""

    def __init__(
        self,
        opt: Optimizer | LBFGS,
        params: bool = True,
        hyperparameters: bool = True,
        convert: bool = False,
    ) -> None:
        self._opt = opt
        self._with_params = params
        self._hyperparameters = hyperparameters
        self._convert = convert
        self.replaced: list[str] = []

    def state_dict(self) -> Mapping[str, Any]:
        opt, params = self._opt, self._with_params
        return opt._turn.during("save()", partial(content_of, opt, params, copied=True))

    def load_state_dict(self, content: Any) -> None:
        self._opt._turn.during("load()", self._load, content)

    def _load(self, content: Any) -> None:
        part = part_of(self._opt, content, self._hyperparameters, self._convert)
        part.check()
        self.replaced = part.replaced()
        part.take_over()


def part_of(
    opt: Optimizer | LBFGS,
    content: Mapping[str, Any],
    hyperparameters: bool,
    convert: bool = False,
) -> Part | ClosurePart:
    """What a checkpoint has of `opt`, which fits it. The caller holds its lock."""
    if isinstance(opt, Optimizer):
        return Part(opt, content, hyperparameters, convert)
    check_kinds(content, PARTS)
    if content["params"] is not None:
        check_params(opt.params, content["params"])
    return ClosurePart(opt, content, hyperparameters)


def content_of(opt: Optimizer | LBFGS, params: bool, *, copied: bool) -> dict[str, Any]:
    """What a checkpoint holds of `opt`, in copies or live. The caller holds its lock."""
    if not isinstance(opt, Optimizer):
        return content_with_closure(opt, params)
    arrays = states.copies(opt.params) if copied else dict(opt.params)
    state = states.copied(opt._layout) if copied else states.to_dict(opt._layout)
    return content_with(opt, state, arrays if params else None)


def content_with(
    opt: Optimizer, state: dict[str, Any], params: dict[str, Array] | None
) -> dict[str, Any]:
    """The same of a state of `opt`, whose arrays it names as they are stored."""
    for name, formats in opt._layout.formats.items():
        for key, format in formats.items():
            holder, entry = (state["ema"], name) if key == "ema" else (state["state"][name], key)
            if format == "bfloat16" and entry in holder:
                holder[entry] = holder[entry].view(BFLOAT16_BITS)
    return {
        "params": params,
        "optimizer": state,
        "constructed": [dict(group.constructed) for group in opt.groups],
    }


def with_state(name: str, value: Any, **options: bool) -> Stateful:
    """`value` as an object with a state, or a TypeError that says what it may be."""
    if isinstance(value, Sharded):
        raise TypeError(f"{name} is a Sharded, which all ranks save together; give it a file")
    if isinstance(value, (Optimizer, LBFGS)):
        return WithParams(value, **options)
    if isinstance(value, GENERATORS):
        return RandomState(value)
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        stateful: Stateful = value
        return stateful
    raise TypeError(
        f"{name} must have state_dict() and load_state_dict(), or be a random generator of "
        f"NumPy's, got a {type(value).__name__}; plain values (None, numbers, text, "
        "arrays, and lists, tuples and dicts of them) are saved, too, and returned by load(), not "
        "given to it"
    )


def put_back(value: Stateful, state: Any, done: Sequence[bool]) -> None:
    """Load the state of before, unless what it was changed for is done."""
    if not done:
        value.load_state_dict(state)


def is_plain(value: Any) -> bool:
    """Whether it is a value that is saved as it is, and not an object with a state."""
    return isinstance(value, PLAIN) and not hasattr(value, "load_state_dict")


def check_kinds(content: Any, kinds: Mapping[str, tuple[type, ...]]) -> None:
    for part, of in kinds.items():
        if not isinstance(content, dict) or not isinstance(content.get(part, ...), of):
            raise ValueError(f"its part {part!r} is missing or not a dict")


def check_names(content: Mapping[str, Any], given: Mapping[str, Any], *, all_named: bool) -> None:
    saved, values = content["others"], content["values"]
    for name, other in given.items():
        if name in values and other is not None:
            raise ValueError(f"{name} is a plain value, which load() returns; do not give it")
    asked = [name for name in given if name not in values]
    if not set(asked) <= set(saved) or (all_named and set(asked) != set(saved)):
        raise ValueError(
            f"beside the optimizer it holds {list(saved)}, but load() was given {asked}; "
            "give each by its name, and None for one to leave out"
        )


def read_constructed(opt: Optimizer, content: Mapping[str, Any]) -> Constructed | None:
    """None where it is a file of before, which does not say."""
    given = content.get("constructed")
    if given is None:
        return None
    groups, declared = opt.groups, opt.method.hyperparameters
    if not isinstance(given, list) or len(given) != len(groups):
        raise ValueError(f"its part 'constructed' must be a list of {len(groups)} groups")
    return [checked(declared, of_group) for of_group in given]


def checked(declared: Mapping[str, Hyperparameter], values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or not values.keys() <= declared.keys():
        raise ValueError(f"its part 'constructed' holds {values!r}, which are no hyperparameters")
    return {name: declared[name].check(value) for name, value in values.items()}


def check_params(live: Mapping[str, Array], given: Mapping[str, Any]) -> None:
    """Raise an error where these are no values of the parameters, or cannot be written there."""
    if set(given) != set(live):
        raise ValueError(f"its parameters are {list(given)}; those of opt are {list(live)}")
    for name, values in given.items():
        check_array(f"parameter {name!r} in it", values, live[name].shape, [live[name].dtype.name])
        check_writeable(f"parameter {name!r} of opt", live[name])
