"""What minimize returns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class MinimizeResult:
    """What :func:`minimize` found; the fields are those of SciPy's ``OptimizeResult``.

    They are attributes and, as there, entries: ``found.x`` is ``found["x"]``.
    """

    #: The parameters, in the structure of ``x0``, where they were last evaluated, and there
    x: Any
    #: the loss,
    fun: float
    #: and its gradients.
    jac: Any
    #: Iterations; for an optimizer without closures these are its steps.
    nit: int
    #: Calls of ``fun``.
    nfev: int
    #: Whether the gradient's norm is at most ``tol``.
    success: bool
    #: 0: it is. 1: ``max_steps`` were too few. 2: the optimizer moves no further. 3: losses or
    #: gradients are not finite. 99: the callback raised StopIteration.
    status: int
    message: str

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(f"{name!r}; there are {', '.join(self.keys())}")
        return getattr(self, name)

    def keys(self) -> list[str]:
        """The names of the fields."""
        return [field.name for field in fields(self)]


ENDED = {
    0: "the gradient's norm is at most tol",
    1: "the gradient's norm is above tol after max_steps steps",
    2: "the optimizer moves no further, with the gradient's norm above tol; ",
    3: "the loss or its gradient is not finite",
    99: "callback raised StopIteration",
}
LOWER = "lower its tolerance_grad and tolerance_change, or raise tol"
LIMIT = (
    "losses in {} cannot tell points apart any more here, or the gradients are not those of the "
    "loss: raise tol, or check the gradients"
)
