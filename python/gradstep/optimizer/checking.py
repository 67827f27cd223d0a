"""What a user asks of an optimizer: whether these are its parameters, what the next step uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from gradstep.arrays.groups import named_arrays
from gradstep.arrays.memory import address

if TYPE_CHECKING:
    from gradstep.optimizer.layout import Layout

Array = NDArray[Any]


def check_trained(layout: Layout, params: Any) -> None:
    """Raise a ValueError where `params` are not the arrays of `layout`."""
    given = named_arrays(params)
    if given.keys() != layout.params.keys():
        raise ValueError(
            f"params must hold what the optimizer trains, {list(layout.params)}; it holds "
            f"{list(given)}. Make a new optimizer of them, or add_group() what is new."
        )
    check_same_arrays(layout.params, given)


def check_same_arrays(trained: Mapping[str, Array], given: Mapping[str, Array]) -> None:
    for name, array in given.items():
        ours = trained[name]
        same_memory = address(array) == address(ours) and array.strides == ours.strides
        if not same_memory or array.shape != ours.shape or array.dtype != ours.dtype:
            raise ValueError(
                f"parameter {name!r} is not the array that the optimizer trains: another was put "
                f"in its place. Write its values into the old one, opt.params[{name!r}][...] = "
                "values, and put that back where the new one is; or make a new optimizer."
            )


def current_value(layout: Layout, name: str, group: int | None) -> Any:
    """The hyperparameter `name` as it is for the next step."""
    layout.method.refuse_unknown(layout.kind, {name: None})
    numbers = range(len(layout.groups))
    if group is not None and group not in numbers:
        raise IndexError(f"group must be a number in {numbers}, got {group!r}")
    groups = layout.groups if group is None else [layout.groups[group]]
    values = [each.evaluated({name: each[name]}, layout.steps)[name] for each in groups]
    if any(value != values[0] for value in values[1:]):
        raise ValueError(
            f"{name} differs between groups: {values}; ask for one: current({name!r}, group=0)"
        )
    return values[0]
