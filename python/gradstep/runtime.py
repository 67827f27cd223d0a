"""Which code takes the steps: backend, instruction set, threads, flushing of denormals.

Every setter takes effect at once and for all optimizers. Used in a ``with`` statement it is undone
at the end:

>>> from gradstep import runtime
>>> with runtime.set_backend("numpy"):
...     runtime.backend()
'numpy'

Results do not depend on any of these settings, not in a single bit, but for
:func:`set_flush_denormals`.

Environment, read at import: ``GRADSTEP_BACKEND`` (``native`` or ``numpy``), ``GRADSTEP_ISA``
(one of :func:`available_isas`), ``GRADSTEP_POOL`` (as :func:`set_pool`), and OpenMP's
``OMP_NUM_THREADS``.
"""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Any, NamedTuple

from gradstep import reference

_native: Any
try:
    _native = import_module("gradstep._native")
except ImportError as error:
    _native = None
    _missing = str(error)

__all__ = [
    "BackendWarning",
    "LastStep",
    "available_backends",
    "available_isas",
    "backend",
    "flush_denormals",
    "isa",
    "last_step",
    "num_threads",
    "openmp_library",
    "pool",
    "set_backend",
    "set_flush_denormals",
    "set_isa",
    "set_num_threads",
    "set_pool",
]


POOLS = ("auto", "parking", "openmp")  # the native backend has their numbers


class BackendWarning(RuntimeWarning):
    """gradstep works, but on its slow NumPy backend."""


class Setting:
    """What a setter returns: used in a ``with`` statement, it restores the value from before."""

    def __init__(self, restore: Callable[[], object]) -> None:
        self._restore = restore

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()


def set_native(name: str, value: object) -> Setting:
    """Set what only the native backend has; nothing where it was not compiled."""
    if not _native:
        return Setting(lambda: None)
    change = getattr(_native, f"set_{name}")
    before = change(value)
    return Setting(lambda: change(before))


def available_backends() -> list[str]:
    """The backends of this installation: ``"native"`` where it was compiled, and ``"numpy"``."""
    return ["native", "numpy"] if _native else ["numpy"]


def backend() -> str:
    """The backend in force: ``"native"`` (compiled kernels) or ``"numpy"`` (the reference)."""
    return _backend


def set_backend(name: str) -> Setting:
    """Take all further steps on the backend `name`, of existing optimizers too.

    Raises
    ------
    ValueError
        If `name` is not one of :func:`available_backends`.
    """
    global _backend, table_type, vectors_type
    if name not in available_backends():
        why = "" if _native else f"; the compiled kernels could not be imported ({_missing})"
        raise ValueError(f"backend must be one of {available_backends()}, got {name!r}{why}")
    before, _backend = _backend, name
    table_type = _native.ParamTable if name == "native" else reference.ParamTable
    vectors_type = _native.Vectors if name == "native" else reference.Vectors
    return Setting(lambda: set_backend(before))


def native() -> Any:
    """The compiled kernels' module; None while the backend is another."""
    return _native if _backend == "native" else None


def available_isas() -> list[str]:
    """The instruction sets that are built in and that this CPU has, narrowest first."""
    return list(_native.available_isas()) if _native else []


def isa() -> str | None:
    """The instruction set that the native backend uses; None where it was not compiled."""
    return _native.isa() if _native else None


def set_isa(name: str) -> Setting:
    """Use the instruction set `name` in the native backend.

    Raises
    ------
    ValueError
        If `name` is not one of :func:`available_isas`.
    """
    if not _native:
        raise ValueError(
            f"isa cannot be set to {name!r}: the compiled kernels could not be imported "
            f"({_missing}); reinstall gradstep where a C++17 compiler is found"
        )
    return set_native("isa", name)


def num_threads() -> int:
    """How many threads a large step uses; a small one runs on the calling thread.

    By default one for each physical core that the process may use, by its CPU affinity and the
    quota of its control group, or ``OMP_NUM_THREADS``.
    """
    return _native.num_threads() if _native else 1


def set_num_threads(count: int) -> Setting:
    """Use `count` threads for large steps.

    The NumPy backend always uses one. Where fewer threads can be had, fewer are used.

    Raises
    ------
    TypeError, ValueError
        If `count` is not a positive integer.
    """
    try:
        wanted = operator.index(count)
    except TypeError:
        raise TypeError(f"count must be an integer ≥ 1, got {count!r}") from None
    if not 1 <= wanted <= 1024:
        raise ValueError(f"count must be from 1 to 1024 threads, got {count!r}")
    return set_native("num_threads", wanted)


def share_threads(count: int) -> None:
    """Use `count` threads unless somebody has chosen how many: processes share their cores."""
    if _native and not os.environ.get("OMP_NUM_THREADS"):
        before = _native.set_num_threads(count)
        if before:
            _native.set_num_threads(before)


def pool() -> str:
    """Whose threads steps run on, as :func:`set_pool` has it."""
    return POOLS[_native.pool()] if _native else POOLS[0]


def set_pool(name: str) -> Setting:
    """Run steps on the threads of the pool `name`.

    - ``"parking"``: threads of gradstep's own. They sleep between steps, unless these follow one
      another at once, and so leave the cores to NumPy's matrix products.
    - ``"openmp"``: those of the OpenMP library that the process has loaded, see
      :func:`openmp_library`; as ``"parking"`` where there is none. PyTorch has one. Its threads
      spin for milliseconds after a step: right where PyTorch itself is next to use them.
    - ``"auto"``, the default: ``"openmp"`` for parameters that are views of PyTorch's tensors,
      ``"parking"`` for all others.

    Raises
    ------
    ValueError
        If `name` is none of these.
    """
    if name not in POOLS:
        raise ValueError(f"pool must be one of {list(POOLS)}, got {name!r}")
    return set_native("pool", POOLS.index(name))


def openmp_library() -> str | None:
    """The file of the GNU OpenMP library that the process has loaded, if any."""
    return _native.loaded_openmp() if _native else None


class LastStep(NamedTuple):
    """What a step ran on."""

    isa: str
    #: Whose threads helped: ``"parking"`` or ``"openmp"``; None where the calling thread was alone.
    pool: str | None
    #: How many threads ran some of it, with the calling one.
    threads: int


def last_step() -> LastStep | None:
    """What the last step of the calling thread ran on; None before its first.

    A step may use fewer threads than :func:`num_threads`: it is too small for them, they have not
    found a free core before it was over, or another thread's step had them. Steps on the NumPy
    backend, and those that were skipped, do not count.
    """
    isa, pool, threads = _native.last_step() if _native else (None, 0, 0)
    return LastStep(isa, POOLS[pool] if threads > 1 else None, threads) if isa else None


def flush_denormals() -> bool:
    """Whether the native backend takes denormal numbers for zero."""
    return _native.flush_denormals() if _native else False


def set_flush_denormals(on: bool) -> Setting:
    """Take numbers below 1.2e-38 (float32) or 2.2e-308 (float64) for zero within native steps.

    Averages of gradients that have ended decay to such numbers, and CPUs are slow with them: on
    some a step takes several times as long. Off by default: on, steps leave the promise of the same
    bits, as the NumPy backend does not flush. Of other code nothing changes.

    Raises
    ------
    TypeError
        If `on` is not True or False.
    """
    if not isinstance(on, bool):
        raise TypeError(f"on must be True or False, got {on!r}")
    return set_native("flush_denormals", on)


def build_info() -> dict[str, Any]:
    """Compiler and flags of the native backend; empty where it was not compiled."""
    return dict(_native.build_info()) if _native else {}


_backend = "native" if _native else "numpy"
# What a backend has to offer, of the one in force: the parameter table, and vectors.
table_type: Any = _native.ParamTable if _native else reference.ParamTable
vectors_type: Any = _native.Vectors if _native else reference.Vectors


def obey(variable: str, setting: Callable[[str], object]) -> None:
    """Set what an environment variable says, if it is there."""
    if value := os.environ.get(variable):
        try:
            setting(value)
        except ValueError as error:
            raise ValueError(f"the environment variable {variable}: {error}") from None


obey("GRADSTEP_BACKEND", set_backend)
obey("GRADSTEP_ISA", set_isa)
obey("GRADSTEP_POOL", set_pool)
if not _native and not os.environ.get("GRADSTEP_BACKEND"):
    warnings.warn(
        f"gradstep's compiled kernels could not be imported ({_missing}); steps run on the NumPy "
        "reference, with the same results but many times slower. Reinstall where a C++17 compiler "
        "is found, or set GRADSTEP_BACKEND=numpy to accept this silently.",
        BackendWarning,
        stacklevel=2,
    )
