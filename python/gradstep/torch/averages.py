"""Averages in the place of parameters, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch.autograd.graph import increment_version

from gradstep.arrays.at_once import at_once
from gradstep.optimizer.averages import Pair, averaged, exchanges, pairs_of
from gradstep.torch.holding import Holding
from gradstep.torch.watch import look_at


@contextmanager
def swapped_in(holding: Holding) -> Iterator[None]:
    """Within it parameters and their copies hold the averages, and afterwards what they held.

    Raises a RuntimeError at the end where a parameter was given other memory meanwhile, which then
    stays as it is.
    """
    places = places_of(holding)
    looks = [look_at(tensor) for _, tensor, _ in places]
    storages = [tensor.untyped_storage() for _, tensor, _ in places]  # kept from going away
    written = [*(tensor for _, tensor, _ in places), *holding.spread.distributed]
    increment_version(written)
    at_once(exchanges([pair for *_, pair in places]))()
    try:
        yield
    finally:
        same = [look_at(tensor) == look for (_, tensor, _), look in zip(places, looks, strict=True)]
        back = [pair for (*_, pair), is_same in zip(places, same, strict=True) if is_same]
        at_once(exchanges(back))()
        increment_version(written)
        del storages
        if moved := [name for (name, *_), is_same in zip(places, same, strict=True) if not is_same]:
            raise RuntimeError(
                f"{moved} were given other memory, or another shape or dtype, within "
                "swap_averages(), and keep their averages; do so before or after it"
            )


def places_of(holding: Holding) -> list[tuple[str, Tensor, Pair]]:
    """What is exchanged with what: its name, the tensor that it lies on, and both arrays."""
    tensors = dict(zip(holding.names, holding.tensors, strict=True))
    copies = dict(zip(holding.copies.arrays, holding.copy_tensors, strict=True))
    with_average = averaged(holding)
    names = [(name, tensors[name]) for name in with_average]
    names += [(f"the copy of {n!r}", copies[n]) for n in with_average if n in copies]
    return [
        (name, tensor, pair) for (name, tensor), pair in zip(names, pairs_of(holding), strict=True)
    ]
