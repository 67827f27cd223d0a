"""Parameters that hold other values for a while, and will be put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from weakref import WeakSet

from numpy.typing import NDArray

from gradstep.arrays.memory import address

Array = NDArray[Any]


class Loan:
    """Arrays whose values are put back at the end; `what` is called to have them otherwise."""

    def __init__(self, what: str, addresses: Iterable[int]) -> None:
        self.what = what
        self.addresses = set(addresses)


LOANS: WeakSet[Loan] = WeakSet()  # one that is forgotten has ended


def addresses_of(arrays: Iterable[Array]) -> set[int]:
    return {address(array) for array in arrays if array.size}


def lent(what: str, arrays: Iterable[Array]) -> AbstractContextManager[None]:
    """Within the ``with`` block, :func:`refuse_lent` knows these arrays."""
    return lent_at(what, addresses_of(arrays))


@contextmanager
def lent_at(what: str, addresses: Iterable[int]) -> Iterator[None]:
    """The same of arrays that begin there."""
    loan = Loan(what, addresses)
    LOANS.add(loan)
    try:
        yield
    finally:
        loan.addresses.clear()


def refuse_lent(task: str, arrays: Iterable[Array]) -> None:
    """Raise a RuntimeError where what `task` writes into `arrays` would be lost."""
    addresses = {address(array) for array in arrays}
    for loan in list(LOANS):
        if not loan.addresses.isdisjoint(addresses):
            raise RuntimeError(
                f"the parameters hold other values for the time of {loan.what}, at whose end they "
                f"are put back; call {task} after its with block"
            )
