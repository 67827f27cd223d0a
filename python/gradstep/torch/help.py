"""What ``help`` says of an optimizer over tensors, from its method's declarations."""

from __future__ import annotations

from copy import copy
from inspect import cleandoc

from gradstep.method.help import described
from gradstep.method.hyperparameters import Hyperparameter
from gradstep.method.method import Method

OF_OURS = {"clip_adaptive_axis": 0}  # weights are (fan_out, fan_in)
PARAMS = """params : iterable of tensors, of (name, tensor), or of dicts
    As torch.optim takes them: dense tensors of float32, float64, bfloat16 or float16 on the CPU, of
    any shape, updated in place; or groups with their own options."""
COPIES = """copies : list of tensors or None, for each parameter
    float16 or bfloat16 tensors that are given the float32 parameters rounded to nearest: steps
    write both at once. In a group ``"copies"`` are of its parameters."""
HOW = """foreach, fused, capturable, differentiable
    As torch.optim takes them. The first two change nothing but that with ``fused=True``
    torch.amp.GradScaler leaves its scale for the step to take off; the others cannot be had."""
ATTRIBUTES = """Attributes
----------
last_info : StepInfo or None
    Of the last step: ``grad_norm``, where an option needed it, and ``skipped``.
steps : int
    The number of completed steps, which schedules are functions of.
ema : dict
    With ``ema_decay`` the average of each parameter, by parameter."""
# What NumPy's front says in other words.
HERE = {
    "float32 by default;": "by default as each parameter, squares in float32 beside float16;",
    "float32, so that training is in float32 exactly.": 'float32; with ``state_dtype="float32"`` '
    "training is in float32 exactly.",
    "opt.ema[name]": "opt.ema[p]",
}
EXAMPLE = """Examples
--------
>>> import torch
>>> from gradstep.torch import {name}
>>> w = torch.nn.Parameter(torch.ones(1, 3))
>>> opt = {name}([w], lr=0.1, clip_norm=1.0)
>>> w.square().sum().backward()
>>> opt.step()
>>> opt.steps, round(opt.last_info.grad_norm, 4)
(1, 3.4641)"""


def help_of(name: str, method: Method) -> str:
    """The method's equation and notes, its hyperparameters between them, and an example."""
    text, _, rest = cleandoc(type(method).__doc__ or "").partition("\nNotes\n")
    notes = "Notes\n" + rest.partition("\nExamples\n")[0]
    declared = {name: here(option) for name, option in method.hyperparameters.items()}
    own = [described(declared[option]) for option in method.positional]
    shared = [described(declared[option]) for option in declared if option not in method.positional]
    return "\n\n".join(
        [
            text.rstrip(),
            "\n".join(["Parameters\n----------", PARAMS, *own]),
            "\n".join(["Other Parameters\n----------------", COPIES, *shared, HOW]),
            ATTRIBUTES,
            notes.rstrip(),
            EXAMPLE.format(name=name),
        ]
    )


def here(declared: Hyperparameter) -> Hyperparameter:
    """A declaration in the words, and with the default, that it has here."""
    changed = copy(declared)
    changed.default = OF_OURS.get(declared.name, declared.default)
    for words, ours in HERE.items():
        changed.doc = changed.doc.replace(words, ours)
    return changed
