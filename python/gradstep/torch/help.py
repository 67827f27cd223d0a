"""What ``help`` says of an optimizer over tensors, from its method's declarations."""

from __future__ import annotations

from inspect import cleandoc

from gradstep.method.help import described
from gradstep.method.method import Method

PARAMS = """params : iterable of tensors, of (name, tensor), or of dicts
    As torch.optim takes them: dense tensors of float32, float64, bfloat16 or float16 on the CPU, of
    any shape, updated in place; or groups with their own options."""
COPIES = """copies : list of tensors or None, for each parameter
    float16 or bfloat16 tensors that are given the float32 parameters rounded to nearest: steps
    write both at once. In a group ``"copies"`` are of its parameters."""
HOW = """foreach, fused, capturable, differentiable
    As torch.optim takes them. The first two change nothing but that with ``fused=True``
    torch.amp.GradScaler leaves its scale for the step to take off; the others cannot be had."""
EXAMPLE = """Examples
--------
>>> import torch
>>> from gradstep.torch import {name}
>>> w = torch.nn.Parameter(torch.ones(3))
>>> opt = {name}([w], lr=0.1, clip_norm=1.0)
>>> w.square().sum().backward()
>>> opt.step()
>>> opt.steps, round(opt.last_info.grad_norm, 4)
(1, 3.4641)"""


def help_of(name: str, method: Method) -> str:
    """The method's equation and notes, its hyperparameters between them, and an example."""
    text, _, rest = cleandoc(type(method).__doc__ or "").partition("\nNotes\n")
    notes = "Notes\n" + rest.partition("\nExamples\n")[0]
    declared = method.hyperparameters
    own = [described(declared[option]) for option in method.positional]
    shared = [described(declared[option]) for option in declared if option not in method.positional]
    return "\n\n".join(
        [
            text.rstrip(),
            "\n".join(["Parameters\n----------", PARAMS, *own]),
            "\n".join(["Other Parameters\n----------------", COPIES, *shared, HOW]),
            notes.rstrip(),
            EXAMPLE.format(name=name),
        ]
    )
