"""Checkpoints: one file from which training continues bit for bit."""

from __future__ import annotations

import copy
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import setitem
from typing import Any, Protocol

from numpy.typing import NDArray

from gradstep.arrays.at_once import filled
from gradstep.arrays.parameters import check_writeable
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.front import Optimizer
from gradstep.saving.atomic import write_atomically
from gradstep.saving.tree_json import decode, parse, to_json
from gradstep.values import check_flag

Array = NDArray[Any]
Path = str | os.PathLike[str]

VERSION = 1
KEY = "gradstep"  # of our JSON among the file's metadata
PARTS = {"params": (dict, type(None)), "optimizer": (dict,), "others": (dict,)}


class Stateful(Protocol):
    """What can go into a checkpoint beside the optimizer."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


def save(path: Path, opt: Optimizer, *, params: bool = True, **others: Stateful) -> None:
    """Write a checkpoint: everything that training depends on, in one safetensors file.

    At any moment `path` is the old file or the new one, whole, even if the process is killed or the
    machine loses power. The optimizer cannot step meanwhile.

    Parameters
    ----------
    path : str or path-like
        The file; its folder has to exist. A symbolic link stays, and what it points to is replaced.
        Permissions are those that ``open`` would give.
    opt : Optimizer
        Its state, averages, step counts, position in its schedules, and hyperparameters. Schedules
        are functions and not in the file: the optimizer that loads it has its own.
    params : bool
        Save the parameters, too.
    **others : objects with ``state_dict()`` and ``load_state_dict()``
        What else has a memory, under names of your choice: a :class:`LossScaler`,
        ``ReduceLROnPlateau``, :class:`EarlyStopping`, a second optimizer (without its parameters).
        State is made of dicts with text keys, lists, numbers, text, None and NumPy arrays.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    TypeError
        If `params` is no flag, or one of `others` has no state, or one that cannot be saved.
    OSError
        If the file cannot be written. The old file is unchanged then, unless only its folder could
        not be brought to the disk: the new one is in place then.
    RuntimeError
        If the optimizer is busy.

    Examples
    --------
    >>> import tempfile, numpy as np, gradstep as gs
    >>> params = {"w": np.ones(2)}
    >>> opt, stopping = gs.Adam(params), gs.EarlyStopping()
    >>> info, stop = opt.step({"w": np.ones(2)}), stopping.update(0.5, params)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gs.save(f"{folder}/run.safetensors", opt, stopping=stopping)
    ...     resumed = gs.Adam({"w": np.zeros(2)})
    ...     gs.load(f"{folder}/run.safetensors", resumed, stopping=gs.EarlyStopping())
    >>> resumed.steps, resumed.params["w"]
    (1, array([0.999, 0.999]))
    """
    safetensors = import_safetensors()
    check_flag("params", params)
    check_given(opt, others)

    def write() -> None:
        content = {
            "version": VERSION,
            "params": dict(opt.params) if params else None,
            "optimizer": states.to_dict(opt._layout),
            "others": {name: other.state_dict() for name, other in others.items()},
        }
        text, tensors = to_json(content)
        write_atomically(os.fspath(path), safetensors.numpy.save(tensors, {KEY: text}))

    opt._turn.during("save()", write)


def load(path: Path, opt: Optimizer, **others: Stateful | None) -> None:
    """Continue, bit for bit, where :func:`save` was called.

    Parameters, state and averages are written into the live arrays. Parameters that are not in the
    file stay as they are. Everything is checked before anything is changed.

    Parameters
    ----------
    path : str or path-like
    opt : Optimizer
        Of the same kind, over parameters of the same names, shapes and dtypes in the same groups.
        Instruction set, threads, backend and memory order may differ.
    **others : objects with ``state_dict()`` and ``load_state_dict()``
        Those under the names that they were saved under; None leaves one out.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    ValueError
        If the file is damaged, is not a checkpoint, or does not fit; the text says where. The
        optimizer, its parameters and `others` are unchanged then.
    OSError
        If the file cannot be read.
    RuntimeError
        If the optimizer is busy.

    Examples
    --------
    :func:`save` has one.
    """
    wanted = {name: other for name, other in others.items() if other is not None}
    check_given(opt, wanted)
    path = os.fspath(path)
    with saying(f"cannot load {path}: "):
        opt._turn.during("load()", load_all, opt, path, others)


def load_all(opt: Optimizer, path: str, others: Mapping[str, Stateful | None]) -> None:
    content = read(path)
    checked = states.check(opt._layout, content["optimizer"])
    params = content["params"]
    if params is not None:  # else it was saved without them
        check_params(opt, params)
    check_names(content["others"], others)
    before: dict[str, Any] = {}
    done = [False]
    try:
        for name, other in others.items():
            if other is not None:
                before[name] = copy.deepcopy(other.state_dict())
                with saying(f"{name}: "):
                    other.load_state_dict(content["others"][name])
        checked.check_schedules()
        if params is not None:
            check_params(opt, params)
        changes = [filled(opt.params[name], values) for name, values in (params or {}).items()]
        checked.take_over([*changes, partial(setitem, done, 0, True)])
    except BaseException:
        if not done[0]:
            for name, state in before.items():
                others[name].load_state_dict(state)  # type: ignore[union-attr]
        raise


def import_safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            'a checkpoint needs the package safetensors: pip install "gradstep[checkpoint]"'
        ) from None
    return safetensors


def check_given(opt: Any, others: Mapping[str, Any]) -> None:
    if not isinstance(opt, Optimizer):
        raise TypeError(f"opt must be an optimizer, got a {type(opt).__name__}")
    for name, other in others.items():
        if not (hasattr(other, "state_dict") and hasattr(other, "load_state_dict")):
            raise TypeError(
                f"{name} must have state_dict() and load_state_dict(), got a {type(other).__name__}"
            )


def read(path: str) -> dict[str, Any]:
    """What a checkpoint holds, its parts being there and of their types."""
    safetensors = import_safetensors()
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is not a regular file")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise ValueError("it is a safetensors file, but not one that gradstep.save() made")
            names = file.keys()
            tensors = {name: read_tensor(file, name) for name in names}
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is damaged or no safetensors file: {error}") from error
    plain = parse(text)
    if not isinstance(plain, dict) or plain.get("version") != VERSION:
        version = plain.get("version") if isinstance(plain, dict) else plain
        raise ValueError(f"it has version {version!r}; this gradstep reads version {VERSION}")
    check_parts(plain)
    content: dict[str, Any] = decode(plain, tensors)
    check_parts(content)
    return content


def check_parts(content: Mapping[str, Any]) -> None:
    for part, kinds in PARTS.items():
        if part not in content or not isinstance(content[part], kinds):
            raise ValueError(f"its part {part!r} is missing or not a dict")


def read_tensor(file: Any, name: str) -> Array:
    try:
        array: Array = file.get_tensor(name)
        if array.dtype.kind not in "biuf":  # from a package that adds dtypes to NumPy
            raise TypeError(f"its dtype is {array.dtype}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"tensor {name!r} is none that NumPy can hold: {error}") from error
    return array


def check_params(opt: Optimizer, given: Mapping[str, Any]) -> None:
    """Raise an error where these are no values of the parameters, or cannot be written there."""
    live = opt.params
    if set(given) != set(live):
        raise ValueError(f"its parameters are {list(given)}; those of opt are {list(live)}")
    for name, values in given.items():
        states.check_array(f"parameter {name!r} in it", values, live[name])
        check_writeable(f"parameter {name!r} of opt", live[name])


def check_names(saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if set(saved) != set(given):
        raise ValueError(
            f"beside the optimizer it holds {list(saved)}, but load() was given {list(given)}; "
            "give each by its name, and None for one to leave out"
        )


@contextmanager
def saying(prefix: str) -> Iterator[None]:
    """Where the content of a file is to blame, a ValueError that begins with `prefix`."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{prefix}{error}") from error
