"""What a :class:`Sharded` shows: parameters, hyperparameters, and its own share of the state."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from numpy.typing import NDArray

from gradstep.arrays.groups import named_arrays
from gradstep.distributed.inner import Inner
from gradstep.distributed.shares import Shares
from gradstep.distributed.transport import Transport
from gradstep.distributed.whole import Whole
from gradstep.optimizer.checking import check_same_arrays
from gradstep.optimizer.front import Optimizer
from gradstep.optimizer.group import Group

Array = NDArray[Any]


class Views:
    """Hyperparameters are attributes, to be set alike on all ranks."""

    _optimizer: type[Optimizer]
    _transport: Transport
    _whole: Whole
    _shares: Shares
    _inner: Inner

    @property
    def rank(self) -> int:
        """This rank's number."""
        return self._transport.rank

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return self._transport.size

    @property
    def params(self) -> Mapping[str, Array]:
        """The parameters by name, whole."""
        return MappingProxyType(self._whole.params)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The parameter groups, as those of the optimizer; to be set alike on all ranks."""
        return self._inner.opt.groups

    @property
    def steps(self) -> int:
        """The number of completed steps."""
        return self._inner.layout.steps

    @property
    def state(self) -> Mapping[str, Mapping[str, Array]]:
        """The state of the elements that this rank owns, in one dimension."""
        return self._inner.opt.state

    @property
    def ema(self) -> Mapping[str, Array]:
        """The averages of the elements that this rank owns, in one dimension."""
        return self._inner.opt.ema

    def check(self, params: Any) -> None:
        """Raise a ValueError unless these are the arrays that are trained."""
        given = named_arrays(params)
        if given.keys() != self.params.keys():
            raise ValueError(
                f"params must hold what is trained, {list(self.params)}; it holds {list(given)}"
            )
        check_same_arrays(self.params, given)

    def owned(self, name: str) -> slice:
        """Which elements of a parameter this rank owns, in the order of memory."""
        return slice(*self._shares.part(self.rank, self._whole.places[name]))

    def current(self, name: str, group: int | None = None) -> Any:
        """What the next step will use for the hyperparameter `name`."""
        return self._inner.opt.current(name, group)

    def __repr__(self) -> str:
        return f"Sharded({self._inner.opt!r}, rank {self.rank} of {self.size})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Sharded cannot be copied or pickled; gs.save(path, opt) writes what it holds"
        )

    def __getattr__(self, name: str) -> Any:
        kind = self.__dict__.get("_optimizer")
        if kind is None or name not in kind.method.hyperparameters:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self._inner.opt, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._inner.opt, name, value)
