"""State of PyTorch's optimizers: continuing here what began there, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.method.method import Method
from gradstep.methods.adam_variants import momentum_product
from gradstep.optimizer import state_checks
from gradstep.optimizer import state_dict as states
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.group import Group
from gradstep.optimizer.storage import BESIDE_PARAM, Kept, format_of_array, stored, values_of
from gradstep.reference import RULES
from gradstep.saving.torch_kinds import (
    DERIVED,
    derived,
    kind_of,
    options_of,
    plain,
    refuse_what_it_lacks,
)
from gradstep.saving.torch_tensors import array_of, tensor_of
from gradstep.values import check_count, check_flag, is_number, own_dict, reading, shown

Array = NDArray[Any]


def load_torch_state_dict(
    opt: Optimizer,
    state_dict: Mapping[str, Any],
    *,
    steps: int | None = None,
    convert: bool = False,
) -> None:
    """Continue where ``state_dict()`` of the optimizer of this kind in torch.optim was taken.

    Hyperparameters that PyTorch has are taken over, except where `opt` has a schedule; the others
    stay as they are. Parameters are not in such a state: copy them on their own.

    Parameters
    ----------
    opt : Optimizer
        One that PyTorch has too, but for Muon and LBFGS, over parameters of the same shapes in the
        same order and groups.
    state_dict : dict
        Tensors may be on any device; their dtypes are those of the state of `opt`.
    steps : int or None
        The number of completed steps, which schedules are functions of. By default the largest of
        the parameters' step counts. PyTorch's SGD keeps none: then ``opt.steps`` stays as it is.
    convert : bool
        Take tensors of other dtypes, too: exactly where the state of `opt` is wider, rounded where
        it is not. PyTorch keeps the state of bfloat16 parameters in bfloat16; `opt` keeps it in
        float32 unless it has ``state_dtype="bfloat16"``.

    Raises
    ------
    TypeError, ValueError
        If it does not fit `opt`, or has something that has no meaning here. Nothing has been
        changed then.
    RuntimeError
        If the optimizer is busy.

    Examples
    --------
    >>> import numpy as np, torch, gradstep as gs
    >>> tensor = torch.ones(2, requires_grad=True)
    >>> theirs = torch.optim.Adam([tensor], lr=0.5)
    >>> tensor.sum().backward()
    >>> theirs.step()
    >>> opt = gs.Adam([tensor.detach().numpy().copy()])
    >>> gs.load_torch_state_dict(opt, theirs.state_dict())
    >>> opt.steps, opt.lr, opt.state["0"]["exp_avg"]
    (1, 0.5, array([0.1, 0.1], dtype=float32))
    """
    kind = kind_of(opt)
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
        raise TypeError(
            f"state_dict must be that of a torch.optim.{kind}, a dict with the entries 'state' and "
            f"'param_groups'; got {type(state_dict).__name__}"
        )
    check_flag("convert", convert)
    if steps is not None:
        steps = check_count("steps", steps, 0)

    def take_over() -> None:
        given = states.to_dict(opt._layout)
        groups = opt._layout.groups
        with reading("state_dict"):
            theirs, saved = own_parts(groups, state_dict)
        counts = []
        for group, of_group, entry in zip(groups, theirs, given["groups"], strict=True):
            with reading("state_dict"):
                changes = options_of(kind, of_group)
            entry |= changes
            values = group.changed({k: v for k, v in changes.items() if k in group.numbers()})
            plan = group.plan_of(values)
            slots = RULES[plan.rule].slots
            h = group.evaluated(values, opt.steps if steps is None else steps)
            for name, position in zip(group.names, of_group["params"], strict=True):
                with reading("state_dict"):
                    count, arrays = state_of(kind, name, saved.get(position, {}), h, steps or 0)
                if count == 0:
                    fresh = Kept(opt.params[name], {}, {})
                    for slot in slots:
                        fresh.of_slot(opt.method.slots[slot], plan, h)
                    arrays = fresh.arrays | arrays
                arrays = {key: widened(opt.method, key, a) for key, a in arrays.items()}
                kept = given["state"][name]
                beside = {key: kept[key] for key in BESIDE_PARAM.values() if key in kept}
                given["state"][name] = {"step": count, **arrays, **beside}
                counts.append(count)
        given["steps"] = steps_of(kind, opt, counts) if steps is None else steps
        checked = states.check(opt._layout, given, convert=convert)
        checked.check_schedules()
        checked.take_over()

    opt._turn.during("load_torch_state_dict()", take_over)


def torch_state_dict(opt: Optimizer) -> dict[str, Any]:
    """The state as one that the optimizer of this kind in torch.optim loads, in copies.

    Schedules give their values for the next step. Options that only PyTorch has get its defaults.

    Parameters
    ----------
    opt : Optimizer
        One that PyTorch has too, but for Muon and LBFGS.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    ValueError
        If a hyperparameter has a value that PyTorch does not have.
    RuntimeError
        If the optimizer is busy.

    Examples
    --------
    >>> import numpy as np, torch, gradstep as gs
    >>> opt = gs.SGD(np.ones(2), lr=0.5, momentum=0.9)
    >>> info = opt.step(np.ones(2))
    >>> theirs = torch.optim.SGD([torch.ones(2, dtype=torch.float64)], lr=0.1)
    >>> theirs.load_state_dict(gs.torch_state_dict(opt))
    >>> theirs.param_groups[0]["lr"], theirs.state_dict()["state"]
    (0.5, {0: {'momentum_buffer': tensor([1., 1.], dtype=torch.float64)}})
    """
    kind = kind_of(opt)
    try:
        import torch
    except ImportError:
        raise ImportError(
            'torch_state_dict() needs PyTorch: pip install "gradstep[torch]"'
        ) from None
    defaults = getattr(torch.optim, kind)([torch.nn.Parameter(torch.empty(0))]).defaults
    default = torch.get_default_dtype()
    scalar = torch.float64 if default == torch.float64 else torch.float32  # as torch.optim does

    def collect() -> dict[str, Any]:
        state, groups = {}, []
        given = states.to_dict(opt._layout)
        first = 0
        for group in opt._layout.groups:
            h = group.at(opt.steps)
            refuse_what_it_lacks(kind, h, defaults)
            positions = list(range(first, first + len(group.names)))
            first += len(group.names)
            own = {name: h[name] for name in defaults if name in h}
            if kind == "AdamW":
                own["decoupled_weight_decay"] = True
            groups.append({**defaults, **own, "params": positions})
            for name, position in zip(group.names, positions, strict=True):
                of_one = given["state"][name]
                slots = opt.method.state_slots(group.plan.rule, opt.params[name].shape)
                tensors = {slot: tensor_of(torch, opt._layout, name, slot) for slot in slots}
                if kind != "SGD":
                    numbers = {"step": of_one["step"], **derived(kind, h, of_one["step"])}
                    tensors |= {k: torch.tensor(v, dtype=scalar) for k, v in numbers.items()}
                elif of_one["step"] == 0:
                    tensors = {}
                if tensors:
                    state[position] = tensors
        return {"state": state, "param_groups": groups}

    return opt._turn.during("torch_state_dict()", collect)


def own_parts(
    groups: Sequence[Group], given: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[Any, dict[str, Any]]]:
    """PyTorch's groups and states in lists and dicts of our own, which fit `groups`."""
    sizes = [len(group.names) for group in groups]
    theirs = given["param_groups"]
    try:
        theirs = [{**group, "params": list(group["params"])} for group in theirs]
        came = [len(group["params"]) for group in theirs]
    except (KeyError, TypeError):
        came = theirs
    if came != sizes:
        raise ValueError(
            "state_dict['param_groups'] must be groups of "
            f"{sizes} parameters, got {shown(came)}; parameters correspond by their order"
        )
    positions = [position for group in theirs for position in group["params"]]
    indices = all(isinstance(position, (int, str)) for position in positions)
    if not indices or len(set(positions)) < len(positions):
        raise ValueError(
            "the groups in state_dict['param_groups'] must list the index of each parameter once, "
            f"got {shown(positions)}"
        )
    states = own_dict(given["state"])
    if not isinstance(states, dict):
        raise TypeError(f"state_dict['state'] must be a dict, got a {type(states).__name__}")
    for position, state in states.items():
        if not isinstance(state, Mapping):
            raise TypeError(
                f"state_dict['state'][{position!r}] must be a dict of the parameter's state, got a "
                f"{type(state).__name__}"
            )
    stray = [position for position in states if position not in positions]
    if stray:
        raise ValueError(f"state_dict['state'] has parameters {stray}, which are in no group")
    return theirs, {position: dict(state) for position, state in states.items()}


def state_of(
    kind: str, name: str, saved: Mapping[str, Any], h: Mapping[str, Any], steps: int
) -> tuple[int, dict[str, Array]]:
    """The step count of a parameter, and its arrays by slot."""
    what = f"the state of parameter {name!r}"
    if h.get("lr_in_velocity"):
        raise ValueError(
            f"lr_in_velocity=True keeps another momentum_buffer than torch.optim.{kind}"
        )
    if kind == "SGD":
        saved = {slot: value for slot, value in saved.items() if value is not None}
        count = max(1, steps) if saved else 0
    elif saved:
        count = count_of(what, saved.get("step"))
    else:
        count = 0
    if kind == "NAdam" and "mu_product" in saved and not rounded_at_load(saved["mu_product"]):
        product = momentum_product(h["betas"][0], h["momentum_decay"], count)
        came = plain(saved["mu_product"])
        if not (is_number(came) and abs(product - came) <= 1e-4):  # float32, rounded at every step
            raise ValueError(
                f"{what} has mu_product = {came!r}, but betas and momentum_decay make {product!r}: "
                "they were changed during training, which NAdam here cannot carry over"
            )
    ignored = {"step"} | DERIVED.get(kind, set())
    return count, {
        slot: array_of(f"{slot!r} in {what}", value)
        for slot, value in saved.items()
        if slot not in ignored
    }


def widened(method: Method, key: str, array: Array) -> Array:
    """What is of a parameter as a whole, which is never narrow."""
    slot = method.slots.get(key)
    if slot is None or slot.kind == "element" or array.dtype not in (np.uint16, np.float16):
        return array
    return values_of(stored(array, format_of_array(array, slot)))


def rounded_at_load(value: Any) -> bool:
    """Whether PyTorch has brought a number to the format of bfloat16 parameters."""
    return str(getattr(value, "dtype", None)) == "torch.bfloat16"


def count_of(what: str, value: Any) -> int:
    number = plain(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return state_checks.check_count(f"'step' in {what}", number)


def steps_of(kind: str, opt: Optimizer, counts: Sequence[int]) -> int:
    if kind != "SGD":
        return max(counts)
    if any(len(group.numbers()) < len(group) - 1 for group in opt.groups):
        raise ValueError(
            "torch.optim.SGD keeps no count of its steps, which the schedules of opt are functions "
            "of; give it: load_torch_state_dict(opt, state_dict, steps=...)"
        )
    return opt.steps
