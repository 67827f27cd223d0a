"""gradstep as a contestant: its settings, where it is installed, and when it is imported."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

# Each names a function of gradstep.runtime, which may not be there, and what it is given.
SETTINGS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "": ("", ()),
    ", 1 thread": ("set_num_threads", (1,)),
    ", parking pool": ("set_pool", ("parking",)),
    ", OpenMP pool": ("set_pool", ("openmp",)),
}
WHEEL = " wheel"
EDITABLE = "_editable_skbc_gradstep"  # the module whose finder an editable installation adds
FIRST = ", imported first"
EVERY_NAME = [
    f"gradstep{wheel}{setting}{first}"
    for wheel in ("", WHEEL)
    for setting in SETTINGS
    for first in ("", FIRST)
]


def imported_first(contestant: str) -> bool:
    """Whether it imports gradstep before the library that computes gradients."""
    return contestant.endswith(FIRST)


def installed(contestant: str, wheel: Path | None) -> Any:
    """gradstep, from the folder that a wheel was installed into where the name says so."""
    if WHEEL not in contestant:
        return importlib.import_module("gradstep")
    if wheel is None:
        raise LookupError("no wheel was installed: see --wheel")
    # An editable installation's finder goes before every folder.
    sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__module__.startswith(EDITABLE)]
    sys.path.insert(0, str(wheel))
    gradstep = importlib.import_module("gradstep")
    if wheel.resolve() not in Path(str(gradstep.__file__)).resolve().parents:
        raise LookupError(f"gradstep comes from {gradstep.__file__}, expected the wheel's {wheel}")
    return gradstep


def apply_setting(gradstep: Any, contestant: str) -> object:
    """Put the setting that the name says in force; what is returned keeps it there.

    LookupError says why it cannot be.
    """
    setting = contestant.removesuffix(FIRST).removeprefix("gradstep").removeprefix(WHEEL)
    function, arguments = SETTINGS[setting]
    if not function:
        return None
    if not hasattr(gradstep.runtime, function):
        raise LookupError(f"gradstep {gradstep.__version__} has no runtime.{function}")
    try:
        return getattr(gradstep.runtime, function)(*arguments)
    except (RuntimeError, ValueError) as error:
        raise LookupError(f"runtime.{function}: {error}") from error
