"""What wrappers share: the optimizer within is reached through them, and copied with them."""

from __future__ import annotations

from typing import Any, NoReturn

from gradstep.closures.lbfgs import LBFGS
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.turn import Turn
from gradstep.values import shown


class Around:
    """An optimizer with another around it, whose attributes are its own: ``opt.lr = 0.1``.

    Parameters
    ----------
    opt : Optimizer
        Any, or another wrapper.
    """

    optimizer: Any
    takes_closures = False  # in the place of gradients
    _turn: Turn

    def __init__(self, opt: Any) -> None:
        if isinstance(opt, LBFGS):
            raise TypeError(without_closures(type(self).__name__, "an LBFGS"))
        if not isinstance(opt, (Optimizer, Around)):
            raise TypeError(
                f"opt must be an optimizer of gradstep's, got {shown(opt)}; make it first: "
                f"{type(self).__name__}(gs.AdamW(params)). PyTorch's go into "
                f"gradstep.torch.{type(self).__name__}"
            )
        self.__dict__.update(optimizer=opt, _turn=Turn())

    @property
    def _innermost(self) -> Optimizer:
        """What has the parameters."""
        opt = self.optimizer
        while isinstance(opt, Around):
            opt = opt.optimizer
        known: Optimizer = opt
        return known

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if name.startswith("__") or "optimizer" not in own:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(own["optimizer"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "optimizer":
            raise AttributeError(
                f"a {type(self).__name__} stays around the optimizer that it was made with; make "
                "another one"
            )
        if name.startswith("_") or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            setattr(self.optimizer, name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self.optimizer)})

    def __copy__(self) -> NoReturn:
        raise TypeError(
            "a shallow copy would share half of the optimizer; use copy.deepcopy(opt), or "
            "copy.deepcopy((params, opt)) to have its parameters in their structure, too"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_turn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _turn=Turn())


def without_closures(kind: str, got: str) -> str:
    """Why L-BFGS is refused."""
    return (
        f"opt must take one gradient for each step, got {got}: L-BFGS evaluates its closure "
        f"itself, many times in a step, and measures curvature from step to step, so no {kind} "
        "can go around it. Step it alone, or wrap another optimizer"
    )


def call_for(opt: Around) -> str:
    """What saves an optimizer that has others around it."""
    within, slow, path = opt, "", "opt"
    while isinstance(within, Around):
        slow = ", slow=opt.slow" if hasattr(type(within), "slow") else slow
        within, path = within.optimizer, f"{path}.optimizer"
    return f"gs.save(path, {path}{slow})"
