"""Parameters and their averages, exchanged in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from operator import setitem
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.at_once import Change, at_once, filled
from gradstep.arrays.memory import flat, held
from gradstep.arrays.parameters import check_writeable
from gradstep.method.method import WithAverage
from gradstep.optimizer.decoding import decoded
from gradstep.optimizer.half_copies import bits
from gradstep.optimizer.storage import format_of_param, rounded_as
from gradstep.reference.arithmetic import subtract_scaled

if TYPE_CHECKING:
    from gradstep.optimizer.layout import Layout

Array = NDArray[Any]
Pair = tuple[Array, Array]

RUN = 16384  # elements exchanged at a time, so that the copy stays in cache


def pairs_of(layout: Layout) -> list[Pair]:
    """Every average with its parameter, and with that's copy; an error where they cannot be
    exchanged."""
    if isinstance(layout.method, WithAverage):
        return pairs_of_method(layout, layout.method)
    if not layout.ema:
        raise RuntimeError("there are no averages to swap in; set ema_decay")
    layout.check_params(layout.ema)
    for name, average in layout.ema.items():
        check_writeable(f"the average of {name!r}", average)
    pairs = [pair_of(layout, name) for name in layout.ema]
    for name in layout.ema:
        if (copy := layout.copies.arrays.get(name)) is not None:
            pairs.append((bits(copy), bits(rounded_as(copy, decoded(layout, name, "ema")))))
    return pairs


def pairs_of_method(layout: Layout, method: WithAverage) -> list[Pair]:
    """The same where averages follow from parameters and state."""
    factors = [method.beyond(group.at(layout.steps)) for group in layout.groups]
    layout.check_params(layout.params)  # after the schedules
    have_stepped = stepped(layout)
    pairs, copies = [], []
    for group, factor in zip(layout.groups, factors, strict=True):
        for name in group.names:
            param, values = layout.params[name], decoded(layout, name, "param").copy(order="K")
            if name in have_stepped:
                other = decoded(layout, name, method.average_from)
                subtract_scaled(values, factor, values - other)
            pairs.append((flat(param), flat(rounded_as(param, values))))
            if (copy := layout.copies.arrays.get(name)) is not None:
                copies.append((bits(copy), bits(rounded_as(copy, values))))
    return pairs + copies


def stepped(layout: Layout) -> set[str]:
    """The parameters that have taken a step."""
    names = list(layout.params)
    return {
        names[i]
        for cohort in layout.cohorts
        if cohort.behind < layout.steps
        for i in cohort.members
    }


def averaged(layout: Layout) -> list[str]:
    """The parameters that have an average, in the order of the pairs."""
    if isinstance(layout.method, WithAverage):
        return [name for group in layout.groups for name in group.names]
    return list(layout.ema)


def pair_of(layout: Layout, name: str) -> Pair:
    """A parameter and its average, or that rounded to the parameter's format if it has another."""
    param = layout.params[name]
    if layout.formats[name]["ema"] == format_of_param(param, "nearest"):
        average = flat(layout.ema[name])
        return flat(param).view(average.dtype), average
    return flat(param), flat(rounded_as(param, decoded(layout, name, "ema")))


def exchanged(pairs: Sequence[Pair]) -> Iterator[None]:
    """The values of both swapped, to the bit, and swapped back at the end.

    Meanwhile neither can be resized.
    """
    swaps, swapped = exchanges(pairs), [False]
    swap = at_once([*swaps, partial(setitem, swapped, 0, True)])
    back = at_once(swaps)
    memory = held(array for pair in pairs for array in pair)
    try:
        swap()
        yield
    finally:
        if swapped[0]:
            back()
        del memory


def exchanges(pairs: Sequence[Pair]) -> list[Change]:
    """The assignments that swap the values of both."""
    kept = np.empty(RUN * 8, np.uint8)
    found: list[Change] = []
    for ours, theirs in pairs:
        for start in range(0, ours.size, RUN):
            our, their = ours[start : start + RUN], theirs[start : start + RUN]
            aside = kept[: our.nbytes].view(our.dtype)
            found += [filled(aside, our), filled(our, their), filled(their, aside)]
    return found
