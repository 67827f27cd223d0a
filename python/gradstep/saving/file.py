"""Checkpoints: one file from which training continues bit for bit."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from gradstep.around.base import Around, call_for
from gradstep.arrays.at_once import at_once, filled
from gradstep.arrays.groups import named_arrays
from gradstep.arrays.loans import refuse_lent
from gradstep.closures.lbfgs import LBFGS
from gradstep.distributed.sharded import Sharded
from gradstep.optimizer.front import Optimizer
from gradstep.saving.atomic import write_atomically
from gradstep.saving.closures import ClosurePart
from gradstep.saving.parts import (
    Part,
    check_names,
    check_params,
    content_of,
    is_plain,
    part_of,
    put_back,
    with_state,
)
from gradstep.saving.reading import KEY, VERSION, import_safetensors, read
from gradstep.saving.sharded import ShardedPart, load_together, save_together
from gradstep.saving.tensors import to_bytes
from gradstep.saving.tree_json import to_json
from gradstep.values import check_flag

Path = str | os.PathLike[str]
Write = Callable[[dict[str, Any]], None]
Agree = Callable[[Mapping[str, Any]], None]

KEEP = "load(..., hyperparameters=False) keeps what the optimizer was constructed with"


def save(
    path: Path, opt: Optimizer | LBFGS | Sharded, *, params: bool = True, **others: Any
) -> None:
    """Write a checkpoint: everything that training depends on, in one safetensors file.

    At any moment `path` is the old file or the new one, whole, even if the process is killed or the
    machine loses power. The optimizer cannot step meanwhile.

    Parameters
    ----------
    path : str or path-like
        The file; its folder has to exist. A symbolic link stays, and what it points to is replaced.
        Permissions are those that ``open`` would give.
    opt : Optimizer, LBFGS or Sharded
        Its state, averages, step counts, position in its schedules, and hyperparameters. Schedules
        are functions and not in the file: the optimizer that loads it has its own. Of a Sharded the
        first rank writes the file, which is that of one process, and its `others`; all ranks call.
    params : bool
        Save the parameters, too.
    **others : objects with ``state_dict()`` and ``load_state_dict()``, or plain values
        What else has a memory, under names of your choice: a :class:`LossScaler`,
        ``ReduceLROnPlateau``, :class:`EarlyStopping`, other optimizers, with their parameters, and
        random generators of NumPy's. State is made of dicts with text keys, lists, numbers, text,
        None and NumPy arrays; what is made of these itself, like ``epoch=3``, is returned by
        :func:`load`.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    TypeError
        If `params` is no flag, or one of `others` is neither, or has a state that cannot be saved.
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
    ...     gs.save(f"{folder}/run.safetensors", opt, stopping=stopping, epoch=3)
    ...     resumed = gs.Adam({"w": np.zeros(2)})
    ...     rest = gs.load(f"{folder}/run.safetensors", resumed, stopping=gs.EarlyStopping())
    >>> resumed.steps, resumed.params["w"], rest["epoch"]
    (1, array([0.999, 0.999]), 3)
    """
    prepared = partial(prepare_to_save, path, params, others)
    if isinstance(opt, Sharded):
        opt._turn.during("save()", save_together, opt, prepared, params)
        return
    write = prepared()
    check_optimizer(opt)
    opt._turn.during("save()", lambda: write(content_of(opt, params, copied=False)))


def prepare_to_save(path: Path, params: Any, others: Mapping[str, Any]) -> Write:
    """What writes the file, of what a checkpoint holds of the optimizer."""
    import_safetensors()  # what reads it
    check_flag("params", params)
    for name in others.keys() & {"hyperparameters", "convert"}:
        raise TypeError(f"load() has an option {name!r}; give what you save another name")
    values = {name: value for name, value in others.items() if is_plain(value)}
    objects = {
        name: with_state(name, other, params=params)
        for name, other in others.items()
        if name not in values
    }

    def write(of_optimizer: dict[str, Any]) -> None:
        content = {
            "version": VERSION,
            **of_optimizer,
            "others": {name: other.state_dict() for name, other in objects.items()},
            "values": values,
        }
        text, tensors = to_json(content)
        write_atomically(os.fspath(path), to_bytes(tensors, {KEY: text}))

    return write


def load(
    path: Path,
    opt: Optimizer | LBFGS | Sharded | None = None,
    *,
    params: Any = None,
    hyperparameters: bool = True,
    convert: bool = False,
    **others: Any,
) -> dict[str, Any]:
    """Continue, bit for bit, where :func:`save` was called.

    Parameters, state and averages are written into the live arrays. Parameters that are not in the
    file stay as they are. Everything is checked before anything is changed.

    Parameters
    ----------
    path : str or path-like
    opt : Optimizer, LBFGS, Sharded or None
        Of the same kind, over parameters of the same names, shapes and dtypes in the same groups.
        Instruction set, threads, backend and memory order may differ. None leaves the optimizer's
        part out, to load parameters alone, say.
    params : array, list, dict or groups, or None
        Without `opt`, where parameters are written, of the same names, shapes and dtypes. With it
        they are those of `opt`, and are checked to be: see :meth:`Optimizer.check`.
    hyperparameters : bool
        Go on with the hyperparameters in the file, schedules of `opt` excepted; where `opt` was
        constructed with others than the optimizer that was saved, a warning lists what is replaced.
        False keeps those of `opt`; state that they need and the file lacks begins anew.
    convert : bool
        Bring state that is stored in other formats than those of `opt` into these: exactly where
        they are wider, rounded where they are not. ``rounding``, ``state_dtype`` and ``ema_dtype``
        of `opt` stay. Without it such a file is refused.
    **others : objects as for :func:`save`
        Those under the names that they were saved under; None leaves one out. With an `opt` all
        have to be named.

    Returns
    -------
    dict
        The plain values that were saved, by name, with lists for tuples.

    Warns
    -----
    UserWarning
        If hyperparameters that `opt` was constructed with are replaced.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    TypeError
        If `opt` is no optimizer, or one of `others` has no state.
    ValueError
        If the file is damaged, is not a checkpoint, or does not fit; the text says where. The
        optimizer, its parameters and `others` are unchanged then.
    OSError
        If the file cannot be read.
    RuntimeError
        If the optimizer is busy.

    Examples
    --------
    :func:`save` has one. Parameters alone:

    >>> import tempfile, numpy as np, gradstep as gs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gs.save(f"{folder}/run.safetensors", gs.Adam({"w": np.ones(2)}), epoch=3)
    ...     params = {"w": np.zeros(2)}
    ...     rest = gs.load(f"{folder}/run.safetensors", params=params)
    >>> params["w"], rest
    (array([1., 1.]), {'epoch': 3})
    """
    check_flag("hyperparameters", hyperparameters)
    check_flag("convert", convert)
    wanted = {
        name: with_state(name, other, hyperparameters=hyperparameters, convert=convert)
        for name, other in others.items()
        if other is not None
    }
    path = os.fspath(path)
    if opt is not None:
        check_optimizer(opt)
        if params is not None:
            opt.check(params)
    live = {} if params is None or opt is not None else named_arrays(params)
    levels = 3 if opt is None else 4  # from the warning up to who called load()

    def read_and_take_over(agree: Agree = nothing) -> dict[str, Any]:
        done: list[bool] = []
        refuse_lent("load()", live.values())
        with saying(f"cannot load {path}: "), ExitStack() as undo:
            content = read(path)
            part = None if opt is None else part_for(opt, content, hyperparameters, convert)
            given = content["params"]
            if live and given is None:
                raise ValueError("it was saved without parameters")
            check_names(content, others, all_named=opt is not None)
            for name, other in wanted.items():
                undo.callback(put_back, other, copy.deepcopy(other.state_dict()), done)
                with saying(f"{name}: "):
                    other.load_state_dict(content["others"][name])
            replaced = [] if part is None else part.replaced()
            for name, other in wanted.items():
                replaced += [f"{name}: {text}" for text in getattr(other, "replaced", [])]
            if replaced:
                warnings.warn(f"{path} has {', '.join(replaced)}; {KEEP}", stacklevel=levels)
            if part is not None:
                part.check()
            if live:
                check_params(live, given)
            changes = [filled(array, given[name]) for name, array in live.items()]
            agree(content)
            changes.append(partial(done.append, True))
            if part is None:
                at_once(changes)()
            else:
                part.take_over(changes)
        return {name: value for name, value in content["values"].items() if name not in others}

    if opt is None:
        return read_and_take_over()
    if isinstance(opt, Sharded):
        return opt._turn.during("load()", load_together, opt, read_and_take_over)
    return opt._turn.during("load()", read_and_take_over)


def nothing(content: Mapping[str, Any]) -> None:
    """One process agrees with itself."""


def part_for(
    opt: Optimizer | LBFGS | Sharded, content: dict[str, Any], hyperparameters: bool, convert: bool
) -> Part | ClosurePart | ShardedPart:
    if isinstance(opt, Sharded):
        return ShardedPart(opt, content, hyperparameters, convert)
    return part_of(opt, content, hyperparameters, convert)


def check_optimizer(opt: Any) -> None:
    if isinstance(opt, Around):
        raise TypeError(
            f"opt must be the optimizer within the {type(opt).__name__}; save and load it as "
            f"{call_for(opt)}"
        )
    if not isinstance(opt, (Optimizer, LBFGS, Sharded)):
        kind = f"{type(opt).__module__}.{type(opt).__name__}"
        raise TypeError(
            f"opt must be an optimizer over arrays, got {kind}; "
            "one over PyTorch's tensors is saved by torch.save(opt.state_dict(), path)"
        )


@contextmanager
def saying(prefix: str) -> Iterator[None]:
    """Where the content of a file is to blame, a ValueError that begins with `prefix`."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{prefix}{error}") from error
