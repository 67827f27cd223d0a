"""What a contestant is."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from numpy.typing import NDArray

from benchmarks.tensor_sets import Shapes, elements
from benchmarks.works import Work

Array = NDArray[Any]
Step = Callable[[], object]


@dataclass(frozen=True)
class Racer:
    """A contestant at the start: its step, a look at its parameters, and what it does, outside the
    timing, about gradients that were written anew."""

    step: Step
    params: Callable[[], list[Array]]
    renew: Callable[[], object] = lambda: None


class Contestant:
    """A library's way to take a step.

    `tolerance` is how far its parameters may be from gradstep's after a few steps, as a share of
    the longest way that one of them went.

    `extra_arrays` is how many arrays of the parameters' size it needs beside parameters and state,
    for its own gradients or for intermediate results. Where it takes long to compile or to run,
    `most_tensors`, `most_elements` and `most_works` keep it out of larger cases and other works,
    unless everything is asked for.
    """

    name: str
    requires: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32", "float64")
    tolerance: ClassVar[dict[str, float]] = {"float32": 1e-4, "float64": 1e-9}
    extra_arrays: int = 0
    most_tensors: float = math.inf
    most_elements: float = math.inf
    most_works: tuple[str, ...] | None = None

    def offers(self, work: Work) -> bool:
        """Whether it has this optimizer, with these options and results."""
        raise NotImplementedError

    def prepare(self, work: Work, params: list[Array], grads: list[Array]) -> Racer:
        """Take `params` as its own, and `grads` to read only."""
        raise NotImplementedError

    def takes_long(self, work: Work, shapes: Shapes) -> bool:
        """Whether this case takes too long for the default selection."""
        known = self.most_works is None or work.name in self.most_works
        large = len(shapes) > self.most_tensors or elements(shapes) > self.most_elements
        return large or not known

    def try_out(self) -> None:
        """Raise an exception where it is installed but cannot run."""

    def set_threads(self, count: int) -> None:
        """Use `count` threads from here on, where the library has more than one."""

    def fits_threads(self, count: int) -> bool:
        """Whether it can run on `count` threads at most."""
        return True


def first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


@cache
def why_missing(contestant: Contestant) -> str | None:
    """Why a contestant cannot take part here at all; None where it can."""
    for module in contestant.requires:
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{module} cannot be imported ({error}): pip install '.[peers]'"
        except Exception as error:
            return f"{module} is broken: {first_line(error)}"
    try:
        contestant.try_out()
    except Exception as error:
        return f"it does not run: {first_line(error)}"
    return None
