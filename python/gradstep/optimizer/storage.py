"""How parameters and their state are stored: in which format, and in which arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.memory import allocate, flat, memory_order
from gradstep.arrays.parameters import is_bfloat16
from gradstep.arrays.parts import Part
from gradstep.arrays.stored import Factored, Stored, compute_dtype
from gradstep.directions.dropped import dropped_bases, outside
from gradstep.method.rows import Plan
from gradstep.method.slots import Kind, Slot
from gradstep.reference import RULES
from gradstep.reference.draws import Halfway
from gradstep.reference.packing import PACKINGS, SCALE_BLOCK
from gradstep.reference.places import place_of

Array = NDArray[Any]
Arrays = dict[str, Array]
Formats = Mapping[str, str | None]

RUN = 16384  # elements converted at a time
LEAST_FOR_8BIT = 4096  # elements; below, float32 costs nothing
# What lies beside a parameter, by its rounding.
BESIDE_PARAM = {"split": "trailing_bits", "kahan": "compensation"}
FACTORS: tuple[Kind, Kind] = ("row", "column")
HALVES = {"bfloat16", "float16"}
RAW = {"bfloat16": "uint16", "uint16": "uint16", "float16": "float16", "uint8": "uint8"}


def is_narrow(param: Array) -> bool:
    return param.dtype.itemsize == 2


def format_of_param(param: Array, rounding: str) -> str | None:
    """None: it is stored as it is computed with, and nothing is rounded."""
    if not is_narrow(param):
        return None
    name = "bfloat16" if is_bfloat16(param.dtype) else "float16"
    return name if rounding == "nearest" else f"{name} {rounding}"


def raw_beside(param: Array, rounding: str) -> str:
    """The dtype of what lies beside a parameter in half precision."""
    return RAW[PACKINGS[format_of_param(param, rounding) or ""].beside or ""]


def format_of_slot(
    slot: Slot, param: Array, state_dtype: str | None, part: Part | None = None
) -> str | None:
    """With `part` the parameter is one of a whole tensor, whose size decides."""
    if slot.kind != "element":
        return None
    if state_dtype == "param":
        state_dtype = format_of_param(param, "nearest")
        # Squares below 6e-8 would be zero in it.
        if state_dtype == "float16" and slot.values == "squares":
            return None
    if state_dtype in (None, "float32") or param.dtype == np.float64:
        return None
    if state_dtype != "8bit":
        return state_dtype
    if (part.total if part else param.size) < LEAST_FOR_8BIT:
        return None
    return "squares8" if slot.values == "squares" else "moments8"


def format_of_average(ema_dtype: str | None) -> str | None:
    return None if ema_dtype == "float32" else ema_dtype


def check_storage(name: str, param: Array, plan: Plan) -> None:
    """Raise a ValueError where a parameter of this dtype cannot be stored like that."""
    rounding = plan.rounding
    if rounding != "nearest" and not is_narrow(param):
        raise ValueError(
            f"rounding={rounding!r} is for parameters in bfloat16 or float16, and {name!r} is "
            f"{param.dtype}, which a step does not round; leave rounding out, or give it for a "
            "group of its own"
        )
    if rounding == "split" and not is_bfloat16(param.dtype):
        raise ValueError(
            f"rounding='split' is for bfloat16 parameters, which are the upper half of a float32; "
            f"{name!r} is {param.dtype}: use rounding='kahan' or 'stochastic'"
        )
    for option, value in (("state_dtype", plan.state_dtype), ("ema_dtype", plan.ema_dtype)):
        if value not in (None, "param") and param.dtype == np.float64:
            raise ValueError(
                f"{option}={value!r} is for parameters of at most 32 bits, and {name!r} is "
                f"float64; leave {option} out, or give it for a group of its own"
            )


class Kept:
    """The arrays of one parameter's state, and their formats, as they are being made.

    What is there in the format that is wanted stays; what is in another one is converted.
    """

    def __init__(
        self, param: Array, arrays: Arrays, formats: Formats, part: Part | None = None
    ) -> None:
        self.param, self.part = param, part
        self.arrays = dict(arrays)
        self.formats = dict(formats)
        self.workspaces: Arrays = {}

    def of_param(self, rounding: str) -> Array | Stored:
        format = format_of_param(self.param, rounding)
        if format is None:
            return self.param
        wanted = BESIDE_PARAM.get(rounding)
        for name in BESIDE_PARAM.values():
            if name != wanted:
                self.arrays.pop(name, None)
                self.formats.pop(name, None)
        if rounding == "kahan":
            self.formats["compensation"] = format_of_param(self.param, "nearest")
        if wanted is not None and wanted not in self.arrays:
            dtype = raw_beside(self.param, rounding)
            self.arrays[wanted] = allocate(self.param, 0.0, len(self.arrays), dtype)
        return Stored(self.param, format, self.arrays.get(wanted or ""))

    def of_slot(self, slot: Slot, plan: Plan, h: Mapping[str, Any]) -> Array | Stored | Factored:
        if slot.kind == "workspace":
            place = len(self.arrays) + len(self.workspaces)
            made = self.workspaces[slot.name] = new_array(self.param, None, place)
            return made
        if slot.kind == "matrix":
            return self._matrix(slot, plan)
        if slot.kept(self.param.shape) == slot.factors:
            return self._factors(slot)
        name, format = slot.name, format_of_slot(slot, self.param, plan.state_dtype, self.part)
        if name not in self.arrays:
            self._make(name, format)
            if first := slot.first_value(h):
                fill(self.stored(name), first)
        elif (
            dropped := dropped_bases(slot, self.arrays, self.param.shape, plan.longest)
        ) or self.formats.get(name) != format:
            values = outside(values_of(self.stored(name)), dropped)
            del self.arrays[name]
            self.arrays.pop(scale_of(name), None)
            self._make(name, format)
            fill(self.stored(name), values)
        return dithered(self.stored(name))

    def of_scalar(self, slot: Slot, h: Mapping[str, Any]) -> Array:
        if slot.name not in self.arrays:
            self.formats[slot.name] = None
            array = allocate(np.empty((), np.float64), 0.0, 0)
            array[()] = slot.first_value(h)
            self.arrays[slot.name] = array
        return self.arrays[slot.name]

    def _factors(self, slot: Slot) -> Factored:
        names, dtype = slot.factors or (), compute_dtype(self.param)
        for name, kind in zip(names, FACTORS, strict=True):
            if name not in self.arrays:
                self.formats[name] = None
                like = np.empty(Slot(kind=kind).shape(self.param.shape), dtype)
                self.arrays[name] = allocate(like, 0.0, 0)
        return Factored(*(self.arrays[name] for name in names))

    def _matrix(self, slot: Slot, plan: Plan) -> Array:
        shape, array = slot.shape(self.param.shape, plan.longest), self.arrays.get(slot.name)
        if array is None or array.shape != shape:
            like = np.empty(shape, compute_dtype(self.param))
            array = self.arrays[slot.name] = allocate(like, 0.0, 0)
            self.formats[slot.name] = None
        return array

    def of_average(self, average: Array | None, plan: Plan) -> Array | Stored:
        """Of the parameter, beginning as it is."""
        format = format_of_average(plan.ema_dtype)
        before = self.formats.get("ema")
        if average is not None and before == format:
            return dithered(stored(average, format))
        values = self.values_of_param() if average is None else values_of(stored(average, before))
        new = stored(new_array(self.param, format, len(self.arrays)), format)
        fill(new, values)
        self.formats["ema"] = format
        return dithered(new)

    def written_by(self, rule: str, slots: Mapping[str, Slot]) -> list[str]:
        """The arrays of the state that steps of this rule write."""
        state = [name for s in RULES[rule].state for name in slots[s].kept(self.param.shape)]
        names = (*state, *map(scale_of, state), *BESIDE_PARAM.values())
        return [name for name in names if name in self.arrays]

    def values_of_param(self) -> Array:
        for rounding, beside in BESIDE_PARAM.items():
            if beside in self.arrays:
                return values_of(self.of_param(rounding))
        return values_of(self.of_param("nearest"))

    def _make(self, name: str, format: str | None) -> None:
        self.formats[name] = format
        self.arrays[name] = new_array(self.param, format, len(self.arrays))
        if format is not None and PACKINGS[format].per > 1:
            scales = -(-self.param.size // PACKINGS[format].per)
            self.arrays[scale_of(name)] = allocate(np.empty(scales, np.float32), 0.0, 0)

    def stored(self, name: str) -> Array | Stored:
        return stored(self.arrays[name], self.formats.get(name), self.arrays.get(scale_of(name)))


def scale_of(slot: str) -> str:
    return f"{slot}_scale"


def format_of_array(array: Array, slot: Slot) -> str | None:
    """The format of a slot's array, as its dtype says."""
    if array.dtype == np.uint8:
        return "squares8" if slot.values == "squares" else "moments8"
    return {"uint16": "bfloat16", "float16": "float16"}.get(array.dtype.name)


def new_like(param: Array, array: Array, place: int) -> Array:
    """Zeros for what goes with `param`, of the shape and dtype of `array`."""
    if array.shape == param.shape:
        return allocate(param, 0.0, place, array.dtype)
    return allocate(np.empty(array.shape, np.uint8), 0.0, 0, array.dtype)


def legal_array(param: Array, key: str, slots: Mapping[str, Slot]) -> tuple[Any, tuple[str, ...]]:
    """Of an array of the state: its shape, and the dtypes that it may have."""
    if key in slots and slots[key].kind != "element":
        slot = slots[key]
        return slot.shape(param.shape), (slot.dtype(compute_dtype(param).name),)
    if key in slots:
        plain = compute_dtype(param).name
        return param.shape, (plain,) if plain == "float64" else (plain, *RAW.values())
    for rounding, beside in BESIDE_PARAM.items():
        if key == beside:
            return param.shape, (raw_beside(param, rounding),)
    return (-(-param.size // SCALE_BLOCK),), ("float32",)


def new_array(param: Array, format: str | None, place: int) -> Array:
    """Zeros for each element of `param` in this format."""
    dtype = compute_dtype(param) if format is None else RAW[PACKINGS[format].dtype]
    return allocate(param, 0.0, place, dtype)


def stored(array: Array, format: str | None, beside: Array | None = None) -> Array | Stored:
    """As parameter tables take it."""
    return array if format is None else Stored(array, format, beside)


def dithered(given: Array | Stored) -> Array | Stored:
    """As steps write it: what they change by little at a time is not rounded to nearest."""
    if isinstance(given, Stored) and given.format in HALVES:
        return given._replace(format=f"{given.format} dithered")
    return given


def array_of(given: Array | Stored | Factored) -> Array:
    """Of an array of its own, not of factors."""
    assert not isinstance(given, Factored)
    return given.array if isinstance(given, Stored) else given


def fill(target: Array | Stored, values: Array | float) -> None:
    """Give a new array these values, in the compute type, rounded as its format has it."""
    place = place_of(target)
    in_order = None
    if isinstance(values, np.ndarray):
        in_order = flat(np.asarray(values, order=memory_order(place.shaped)))
    with np.errstate(all="ignore"):
        for start in range(0, place.size, RUN):
            run = slice(start, min(start + RUN, place.size))
            if in_order is None:
                part = np.full(run.stop - start, values, place.dtype)
            else:
                part = in_order[run]
            for change in place.write(run, part, Halfway()):
                change()


def rounded_as(array: Array, values: Array) -> Array:
    """A new array like `array` with these values, rounded to nearest."""
    new = np.empty_like(array)
    fill(stored(new, format_of_param(array, "nearest")), values)
    return new


def values_of(array: Array | Stored) -> Array:
    """All of it in the compute type."""
    with np.errstate(all="ignore"):
        return place_of(array).whole()
