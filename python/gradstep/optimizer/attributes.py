"""What an optimizer's class has of its method: hyperparameters as attributes, help, signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradstep.method.hyperparameters import Hyperparameter
from gradstep.method.method import Method
from gradstep.optimizer.group import Group


class KnownAttributes:
    """An object that can be given no attributes but those that its class has, and private ones.

    A subclass has those that its body assigns or annotates.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name.startswith("_") or is_declared(type(self), name)):
            kind = type(self)
            options = ", ".join(kind.method.hyperparameters)  # type: ignore[attr-defined]
            raise AttributeError(
                f"{kind.__name__} has no attribute {name!r} to set; its options are {options}. "
                "A subclass may have others: it declares them in its body."
            )
        super().__setattr__(name, value)


def is_declared(cls: type, name: str) -> bool:
    return any(
        name in vars(klass) or name in getattr(klass, "__annotations__", ())
        for klass in cls.__mro__
    )


class OfAllGroups:
    """A hyperparameter as an attribute: the value that all groups share, or that all are to have.

    >>> import numpy as np, gradstep as gs
    >>> opt = gs.SGD([np.zeros(3)], lr=0.1)
    >>> opt.lr = -1.0
    Traceback (most recent call last):
        ...
    ValueError: lr must be a finite number ≥ 0 or a schedule (of the completed steps), got -1.0
    """

    def __init__(self, declared: Hyperparameter) -> None:
        self.declared = declared
        self.__doc__ = declared.doc

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self.declared
        name = self.declared.name
        values = [group[name] for group in instance.groups]
        if any(value != values[0] for value in values[1:]):
            raise AttributeError(
                f"{name} differs between groups: {values}; read opt.groups[i][{name!r}] instead"
            )
        return values[0]

    def __set__(self, instance: Any, value: Any) -> None:
        Group.update_all(instance.groups, self.declared.name, value)


class MadeOfMethod:
    """An attribute of the class that is made of its method when somebody looks."""

    def __init__(self, make: Callable[[Method], Any]) -> None:
        self._make = make

    def __get__(self, instance: Any, owner: type) -> Any:
        return self._make(owner.method)  # type: ignore[attr-defined]
