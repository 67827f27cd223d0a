"""State slots: what a method keeps of every parameter between steps, declared once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["element", "row", "column", "scalar", "workspace", "matrix"]
Values = Literal["signed", "squares", "exact"]


class Slot:
    """A state array that goes with a parameter.

    Parameters
    ----------
    first : float or str
        What it is filled with before the first step; the name of a hyperparameter for its value.
    kind : "element", "row", "column", "scalar", "workspace" or "matrix"
        How many numbers there are: one for each element of the parameter, for each row or column of
        the matrices that its last two axes make, or one. A workspace is like an element's, and no
        state: each step writes it before it is read. A matrix is square, along `axis` of the
        parameter, which has two: its first, and all others together; it is for no engine, and empty
        where that is longer than the group has it, or the parameter no matrix.
    format : str or None
        The dtype that it is stored in; None for the one that the group's ``state_dtype`` says.
    values : "signed", "squares" or "exact"
        What narrow formats have to hold: both signs; squares or magnitudes, which steps divide by;
        or what 8 bits are too few for, as small changes add up in it.
    factors : (str, str) or None
        The names of the row's and the column's slot that stand for this one where the parameter has
        several axes.
    bases : (str, str) or None
        The names of the slots of kind "matrix", along the first axis and the others, in whose
        coordinates this one is.
    """

    name: str

    def __init__(
        self,
        first: float | str = 0.0,
        *,
        kind: Kind = "element",
        format: str | None = None,
        values: Values = "signed",
        factors: tuple[str, str] | None = None,
        axis: int = 0,
        bases: tuple[str, str] | None = None,
    ) -> None:
        self.first = first
        self.kind = kind
        self.format = format
        self.values = values
        self.factors = factors
        self.axis = axis
        self.bases = bases

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def first_value(self, h: Mapping[str, Any]) -> float:
        return float(h[self.first]) if isinstance(self.first, str) else self.first

    def shape(self, of: tuple[int, ...], longest: float = math.inf) -> tuple[int, ...]:
        """Its shape beside a parameter of the shape `of`; of matrices that are not too large."""
        if self.kind == "matrix":
            length = math.prod(of[1:] if self.axis else of[:1]) if len(of) > 1 else 0
            return (length, length) if length <= longest else (0, 0)
        shapes = {"row": (*of[:-1], 1), "column": (*of[:-2], 1, *of[-1:]), "scalar": ()}
        return shapes.get(self.kind, of)

    def kept(self, of: tuple[int, ...]) -> tuple[str, ...]:
        """The names of the arrays that stand for it beside a parameter of the shape `of`."""
        if self.kind == "workspace":
            return ()
        if self.factors is not None and len(of) > 1 and 0 not in of:
            return self.factors
        return (self.name,)

    def dtype(self, of: str) -> str:
        """Its dtype beside a parameter of the dtype `of`."""
        return self.format or of
