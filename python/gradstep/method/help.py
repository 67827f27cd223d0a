"""What ``help`` and ``inspect.signature`` say of an optimizer, from its method's declarations."""

from __future__ import annotations

import textwrap
from inspect import Parameter, Signature, cleandoc

from gradstep.method.hyperparameters import UNSET, Hyperparameter
from gradstep.method.method import Method

WIDTH = 96
PARAMS = """params : array, list, dict or groups
    float32, float64, bfloat16 or float16 arrays of any shape, updated in place."""
GROUPS = """groups : list of (pattern or function, dict), or None
    Options for some of the parameters: ``[("*.b", {"weight_decay": 0})]``. A pattern matches the
    end of a dotted name (``"b"`` that of ``"encoder.0.b"``), with a shell's wildcards (``"b?"``,
    ``"[ab]*"``); a function takes name and array. A parameter belongs to the first that takes it.
    Gradients keep the structure of ``params``."""
COPIES = """copies : arrays in the structure of ``params``, or None
    float16 or bfloat16 arrays that hold the float32 parameters rounded to nearest, for a forward
    pass in half precision: steps write both at once. Where keys are left out, or None is given, a
    parameter has none. In a list of groups, ``{"params": ..., "copies": ...}`` does as well."""
RAISES = """Raises
------
TypeError, ValueError
    If a parameter cannot be updated in place, or a hyperparameter is out of its range."""


def help_of(method: Method) -> str:
    """The method's docstring, with its hyperparameters before its notes."""
    text, notes, rest = cleandoc(type(method).__doc__ or "").partition("\nNotes\n")
    declared = method.hyperparameters
    own = [described(declared[name]) for name in method.positional]
    shared = [described(declared[name]) for name in declared if name not in method.positional]
    shared[:0] = [GROUPS, COPIES]
    parts = [
        text.rstrip(),
        "\n".join(["Parameters\n----------", PARAMS, *own]),
        "\n".join(["Other Parameters\n----------------", *shared]),
        RAISES,
    ]
    return "\n\n".join(parts) + "\n" + notes + rest + "\n"


def described(declared: Hyperparameter) -> str:
    default = "" if declared.default is UNSET else f"; default {declared.default!r}"
    indent = " " * 4
    lines = textwrap.wrap(declared.doc, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return "\n".join([f"{declared.name} : {declared.form}{default}", *lines])


def signature_of(method: Method) -> Signature:
    """``params``, the options that have a place, and those by name."""
    parameters = [Parameter("params", Parameter.POSITIONAL_OR_KEYWORD, annotation="Any")]
    groups = Parameter("groups", Parameter.KEYWORD_ONLY, default=None, annotation="Groups | None")
    copies = Parameter("copies", Parameter.KEYWORD_ONLY, default=None, annotation="Any")
    by_name = [groups, copies]
    for name, declared in method.hyperparameters.items():
        has_place = name in method.positional
        kind = Parameter.POSITIONAL_OR_KEYWORD if has_place else Parameter.KEYWORD_ONLY
        default = Parameter.empty if declared.default is UNSET else declared.default
        (parameters if has_place else by_name).append(
            Parameter(name, kind, default=default, annotation=declared.annotation)
        )
    return Signature([*parameters, *by_name], return_annotation=None)
