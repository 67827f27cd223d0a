"""The types of the optimizers, as their declarations say: ``python -m tests.stubs`` writes them."""

from __future__ import annotations

import inspect
from inspect import Parameter
from pathlib import Path

import gradstep as gs
from gradstep.optimizer import classes

STUB = Path(classes.__file__).with_suffix(".pyi")
HEAD = '''"""Made by ``python -m tests.stubs``; do not edit."""

from typing import Any

from gradstep.arrays.selection import Groups
from gradstep.method.hyperparameters import Scalar
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.nesterov_point import NesterovPoint
'''


def optimizers() -> list[type[gs.Optimizer]]:
    return [cls for cls in vars(classes).values() if getattr(cls, "__module__", "") == STUB_MODULE]


STUB_MODULE = classes.__name__


def stub() -> str:
    """The text of ``classes.pyi``."""
    return HEAD + "".join(map(stub_of, optimizers()))


def stub_of(cls: type[gs.Optimizer]) -> str:
    own = [
        f"    {name}: {attribute_type(declared.annotation)}\n"
        for name, declared in cls.method.hyperparameters.items()
        if cls.__base__ in (gs.Optimizer, classes.NesterovPoint)
    ]
    parameters, by_name = ["self", "params: Any"], False
    for parameter in list(inspect.signature(cls).parameters.values())[1:]:
        if parameter.kind is Parameter.KEYWORD_ONLY and not by_name:
            parameters.append("*")
            by_name = True
        parameters.append(
            f"{parameter.name}: {parameter.annotation} = {literal(parameter.default)}"
        )
    lines = "".join(f"        {parameter},\n" for parameter in parameters)
    base = cls.__base__
    assert base is not None
    return (
        f"\nclass {cls.__name__}({base.__name__}):\n" + "".join(own)
        + ("\n" if own else "") + f"    def __init__(\n{lines}    ) -> None: ...\n"
    )  # fmt: skip


def literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def attribute_type(annotation: str) -> str:
    """Of what is read and set: a number can also be a schedule, which no type checker can know."""
    return "bool" if annotation == "bool" else "Any"


def main() -> None:
    STUB.write_text(stub(), "utf-8")
    print(f"wrote {STUB}")


if __name__ == "__main__":
    main()
