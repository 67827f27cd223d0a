"""Arrays that are stored in fewer bits than float32 has, as csrc/engine/packing.hpp has them.

Integer operations and exact ones only, so that the bits are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Read = Callable[[Array], Array]
Write = Callable[..., Array]
Key = tuple[int, int]  # what stands for a step and a tensor where stochastic rounding draws

MAGNITUDE, INFINITY = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)
SCALE_BLOCK = 256  # elements of 8 bits that share a scale


class Packing(NamedTuple):
    """How a format is read, ``unpack(stored, beside)``, and written, for elements from `first` on:
    ``pack(values, key, first)`` gives what is stored and what lies beside, or None.

    All are flat: `stored` of the type `dtype`, beside which lies `beside` for each `per` elements.
    """

    dtype: str
    unpack: Callable[[Array, Any], Array]
    pack: Callable[[Array, Key, int], tuple[Array, Any]]
    beside: str | None = None
    per: int = 1


def is_nan(bits: Array) -> Array:
    return (bits & MAGNITUDE) > INFINITY


def half_of(bits: Array, dropped: int) -> Array:
    """What rounds to nearest when added, and a tie to even."""
    odd = (bits >> np.uint32(dropped)) & np.uint32(1)
    return np.uint32((1 << (dropped - 1)) - 1) + odd


def drawn(key: Key, first: int, count: int) -> Array:
    """Uniform 16 bits for each element."""
    element = np.arange(first, first + count, dtype=np.uint64).astype(np.uint32)
    x = element ^ np.uint32(key[0])
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = ((x ^ (x >> np.uint32(15))) + np.uint32(key[1])) * np.uint32(0x846CA68B)
    return (x ^ (x >> np.uint32(16))) >> np.uint32(16)


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
    def pack(values: Array, key: Key, first: int) -> tuple[Array, Any]:
        return write(values, drawn(key, first, values.size) & np.uint32((1 << bits) - 1)), None

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
    upper = stored.view(np.uint16).astype(np.uint32) - (rest >> np.uint16(15))
    return ((upper << np.uint32(16)) | rest).view(np.float32)


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


def in_blocks(
    decode: Callable[[Array, Array], Array], encode: Callable[[Array, Array], Array], top: float
) -> Packing:
    """Codes of 8 bits, relative to the largest of a block, which lies beside."""

    def unpack(stored: Array, scales: Array) -> Array:
        values = decode(blocks(stored).astype(np.uint32), scales[:, None])
        return values.reshape(-1)[: stored.size]

    def pack(values: Array, *_: Any) -> tuple[Array, Array]:
        rows = blocks(values)
        magnitudes = rows.view(np.uint32) & MAGNITUDE
        largest = np.where(magnitudes < INFINITY, magnitudes, np.uint32(0)).max(1, initial=0)
        most = np.where(largest < 0x01000000, np.uint32(0), largest).view(np.float32)
        inverse = np.where(most > 0, np.float32(top) / most, np.float32(0))
        codes = encode(rows, inverse[:, None]).astype(np.uint8)
        return codes.reshape(-1)[: values.size], most / np.float32(top)

    return Packing("uint8", unpack, pack, "float32", SCALE_BLOCK)


OFFSET = np.float32(4096.0)


def encode_moments(values: Array, inverse: Array) -> Array:
    bits = values.view(np.uint32)
    relative = (bits & MAGNITUDE).view(np.float32) * inverse
    of = relative.view(np.uint32)
    normal = ((of + half_of(of, 19)) >> np.uint32(19)) - np.uint32(1904)
    small = (relative + OFFSET).view(np.uint32) - OFFSET.view(np.uint32)
    code = np.minimum(np.where(relative < np.float32(2.0**-7), small, normal), np.uint32(125))
    code = np.where((bits & MAGNITUDE) < INFINITY, code, np.uint32(126))
    code |= (bits >> np.uint32(24)) & np.uint32(0x80)
    return np.where(is_nan(bits), np.uint32(127), code)


def decode_moments(code: Array, scale: Array) -> Array:
    magnitude = code & np.uint32(0x7F)
    small = (OFFSET.view(np.uint32) + magnitude).view(np.float32) - OFFSET
    normal = ((magnitude + np.uint32(1904)) << np.uint32(19)).view(np.float32)
    bits = (np.where(magnitude < 16, small, normal) * scale).view(np.uint32)
    special = INFINITY | ((magnitude & np.uint32(1)) << np.uint32(22))
    bits = np.where(magnitude > 125, special, bits)
    return (bits | ((code & np.uint32(0x80)) << np.uint32(24))).view(np.float32)


def encode_squares(values: Array, inverse: Array) -> Array:
    bits = values.view(np.uint32)
    of = (values * inverse).view(np.uint32)
    rounded = (of + half_of(of, 20)) >> np.uint32(20)
    code = np.where(rounded > 763, rounded - np.uint32(763), np.uint32(1))
    code = np.where(bits == 0, np.uint32(0), np.minimum(code, np.uint32(253)))
    special = np.where(is_nan(bits), np.uint32(255), np.uint32(254))
    return np.where((bits & MAGNITUDE) < INFINITY, code, special)


def decode_squares(code: Array, scale: Array) -> Array:
    relative = ((code + np.uint32(763)) << np.uint32(20)).view(np.float32)
    bits = (np.where(code == 0, np.float32(0), relative) * scale).view(np.uint32)
    special = INFINITY | ((code & np.uint32(1)) << np.uint32(22))
    return np.where(code > 253, special, bits).view(np.float32)


BFLOAT16 = "bfloat16", from_bfloat16, to_bfloat16
FLOAT16 = "float16", from_float16, to_float16

PACKINGS: dict[str, Packing] = {
    "float16": nearest(*FLOAT16),
    "bfloat16": nearest(*BFLOAT16),
    "float16 stochastic": stochastic(*FLOAT16, bits=13),
    "bfloat16 stochastic": stochastic(*BFLOAT16, bits=16),
    "float16 kahan": kahan(*FLOAT16),
    "bfloat16 kahan": kahan(*BFLOAT16),
    "bfloat16 split": Packing("bfloat16", unpack_split, pack_split, "uint16"),
    "moments8": in_blocks(decode_moments, encode_moments, 0.90625),
    "squares8": in_blocks(decode_squares, encode_squares, 1.0),
}
