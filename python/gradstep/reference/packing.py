"""Arrays that are stored in fewer bits than float32 has, as csrc/engine/packing.hpp has them.

Integer operations and exact ones only, so that the bits are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradstep.reference.draws import Drawn

Array = NDArray[Any]
Read = Callable[[Array], Array]
Write = Callable[..., Array]

MAGNITUDE, INFINITY = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)
SCALE_BLOCK = 256  # elements of 8 bits that share a scale


class Packing(NamedTuple):
    """How a format is read, ``unpack(stored, beside)``, and written: ``pack(values, drawn)`` gives
    what is stored and what lies beside, or None.

    All are flat: `stored` of the type `dtype`, beside which lies `beside` for each `per` elements.
    """

    dtype: str
    unpack: Callable[[Array, Any], Array]
    pack: Callable[[Array, Drawn], tuple[Array, Any]]
    beside: str | None = None
    per: int = 1


def is_nan(bits: Array) -> Array:
    return (bits & MAGNITUDE) > INFINITY


def half_of(bits: Array, dropped: int) -> Array:
    """What rounds to nearest when added, and a tie to even."""
    odd = (bits >> np.uint32(dropped)) & np.uint32(1)
    return np.uint32((1 << (dropped - 1)) - 1) + odd


def from_bfloat16(stored: Array) -> Array:
    return (stored.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_bfloat16(values: Array, added: Array | None = None) -> Array:
    bits = values.view(np.uint32)
    added = half_of(bits, 16) if added is None else added
    rounded = np.where(is_nan(bits), np.uint32(0x7FC00000), bits + added)
    return (rounded >> np.uint32(16)).astype(np.uint16)


def from_float16(stored: Array) -> Array:
    return stored.view(np.float16).astype(np.float32)


def to_float16(values: Array, added: Array | None = None) -> Array:
    bits = values.view(np.uint32)
    sign, magnitude = (bits & ~MAGNITUDE) >> np.uint32(16), bits & MAGNITUDE
    small = np.where(magnitude < 0x38800000, magnitude, np.uint32(0)).view(np.float32)
    if added is None:
        added = half_of(bits, 13)
        half = np.float32(0.5)
        denormal = (small + half).view(np.uint32) - half.view(np.uint32)
    else:
        units = (small * np.float32(2.0**37)).astype(np.int32).view(np.uint32)
        denormal = (units + added) >> np.uint32(13)
    moved = (magnitude + added - np.uint32((127 - 15) << 23)) >> np.uint32(13)
    result = np.where(magnitude < 0x38800000, denormal, moved)
    result = np.where((result > 0x7C00) | (magnitude >= INFINITY), np.uint32(0x7C00), result)
    return np.where(is_nan(bits), np.uint32(0x7E00), result | sign).astype(np.uint16)


def nearest(dtype: str, read: Read, write: Write) -> Packing:
    return Packing(dtype, lambda stored, _: read(stored), lambda values, *_: (write(values), None))


def stochastic(dtype: str, read: Read, write: Write, bits: int) -> Packing:
    def pack(values: Array, drawn: Drawn) -> tuple[Array, Any]:
        return write(values, drawn.hashed() & np.uint32((1 << bits) - 1)), None

    return Packing(dtype, lambda stored, _: read(stored), pack)


def dithered(dtype: str, read: Read, write: Write, bits: int) -> Packing:
    def pack(values: Array, drawn: Drawn) -> tuple[Array, Any]:
        return write(values, drawn.dithered() >> np.uint32(32 - bits)), None

    return Packing(dtype, lambda stored, _: read(stored), pack)


def kahan(dtype: str, read: Read, write: Write) -> Packing:
    """What rounding took lies beside, in the same format."""

    def pack(values: Array, *_: Any) -> tuple[Array, Any]:
        stored = write(values)
        kept = read(stored)
        lost = np.where(np.isfinite(kept), write(values - kept), np.uint16(0))
        return stored, lost

    return Packing(dtype, lambda stored, rest: read(stored) + read(rest), pack, dtype)


def unpack_split(stored: Array, rest: Array) -> Array:
    written = stored.view(np.uint16).astype(np.uint32)
    bits = ((written - (rest >> np.uint16(15))) << np.uint32(16)) | rest
    return np.where(is_nan(bits), written << np.uint32(16), bits).view(np.float32)


def pack_split(values: Array, *_: Any) -> tuple[Array, Array]:
    bits = values.view(np.uint32)
    bits = np.where(is_nan(bits), np.uint32(0x7FC00000), bits)
    upper = (bits + np.uint32(0x8000)) >> np.uint32(16)
    return upper.astype(np.uint16), bits.astype(np.uint16)


def blocks(flat: Array) -> Array:
    """A row for each scale, the last one filled with zeros."""
    rows = -(-flat.size // SCALE_BLOCK)
    padded = np.zeros(rows * SCALE_BLOCK, flat.dtype)
    padded[: flat.size] = flat
    return padded.reshape(rows, SCALE_BLOCK)


class Code8(NamedTuple):
    """Numbers of 8 bits relative to the largest of a block: see csrc/engine/packing8.hpp."""

    magnitudes: int  # the bits of a code that are not its sign
    least: int  # the code of whatever is above zero is at least this
    smallest: float  # the value of the smallest normal code
    top: float  # that of the highest finite one

    @property
    def infinity(self) -> int:
        return self.magnitudes - 1

    @property
    def in_all(self) -> Any:
        """What the normal numbers that codes are made of have in common."""
        return np.float32(self.smallest).view(np.uint32) - (SMALLEST_NORMAL << DROPPED)

    def sign(self, bits: Array) -> Array:
        return (bits >> np.uint32(24)) & np.uint32(0x80 & ~self.magnitudes)


MOMENTS8 = Code8(0x7F, 0, 4.0, 464.0)
SQUARES8 = Code8(0xFF, 1, 2.0**-14, 1.8125)
DROPPED, SMALLEST_NORMAL = np.uint32(19), np.uint32(16)


def decode(of: Code8, code: Array, scale: Array) -> Array:
    magnitude = code & np.uint32(of.magnitudes)
    sign = (code ^ magnitude) << np.uint32(24)
    even = np.float32(of.smallest * 2**19)  # its last place is a step of the codes below
    small = (even.view(np.uint32) + magnitude).view(np.float32) - even
    normal = ((magnitude << DROPPED) + of.in_all).view(np.float32)
    value = np.where(magnitude < SMALLEST_NORMAL, small, normal) * np.abs(scale)
    special = np.where(magnitude == of.infinity, INFINITY, np.uint32(0x7FC00000))
    is_special = np.signbit(scale) & (magnitude >= of.infinity)
    return (np.where(is_special, special, value.view(np.uint32)) | sign).view(np.float32)


def encode(of: Code8, values: Array, inverse: Array, drawn: Array) -> Array:
    smallest = np.float32(of.smallest)
    relative = (values.view(np.uint32) & MAGNITUDE).view(np.float32) * inverse
    small = (relative + smallest).view(np.uint32) - (SMALLEST_NORMAL << DROPPED)
    bits = np.where(relative < smallest, small, relative.view(np.uint32))
    code = ((bits + (drawn >> (np.uint32(32) - DROPPED))) >> DROPPED) & np.uint32(0xFF)
    return np.maximum(code, np.where(values != 0, np.uint32(of.least), np.uint32(0)))


def in_blocks(of: Code8) -> Packing:
    """Codes with the largest of each block beside, whose sign says whether all are finite."""

    def unpack(stored: Array, scales: Array) -> Array:
        values = decode(of, blocks(stored).astype(np.uint32), scales[:, None])
        return values.reshape(-1)[: stored.size]

    def pack(values: Array, drawn: Drawn) -> tuple[Array, Array]:
        rows = blocks(values)
        bits = rows.view(np.uint32)
        magnitudes = bits & MAGNITUDE
        finite = magnitudes < INFINITY
        largest = np.where(finite, magnitudes, np.uint32(0)).max(1, initial=0)
        top, most = np.float32(of.top), largest.view(np.float32)
        most = np.where(most < top * np.float32(2.0**-126), np.float32(0), most)
        inverse = np.where(most > 0, top / most, np.float32(0))
        draws = blocks(np.broadcast_to(drawn.dithered(numbered_in_memory=True), values.shape))
        codes = encode(of, rows, inverse[:, None], draws)
        all_finite = finite.all(1)
        most_finite = np.where(all_finite, of.magnitudes, of.infinity - 1).astype(np.uint32)
        codes = np.minimum(codes, most_finite[:, None])
        codes = np.where(finite, codes, np.uint32(of.infinity)) | of.sign(bits)
        codes = np.where(is_nan(bits), np.uint32(of.magnitudes), codes).astype(np.uint8)
        scales = np.where(all_finite, most / top, -(most / top))
        return codes.reshape(-1)[: values.size], scales

    return Packing("uint8", unpack, pack, "float32", SCALE_BLOCK)


BFLOAT16 = "bfloat16", from_bfloat16, to_bfloat16
FLOAT16 = "float16", from_float16, to_float16

PACKINGS: dict[str, Packing] = {
    "float16": nearest(*FLOAT16),
    "bfloat16": nearest(*BFLOAT16),
    "float16 stochastic": stochastic(*FLOAT16, bits=13),
    "bfloat16 stochastic": stochastic(*BFLOAT16, bits=16),
    "float16 kahan": kahan(*FLOAT16),
    "bfloat16 kahan": kahan(*BFLOAT16),
    "float16 dithered": dithered(*FLOAT16, bits=13),
    "bfloat16 dithered": dithered(*BFLOAT16, bits=16),
    "bfloat16 split": Packing("bfloat16", unpack_split, pack_split, "uint16"),
    "moments8": in_blocks(MOMENTS8),
    "squares8": in_blocks(SQUARES8),
}
