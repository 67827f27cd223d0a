"""Named arrays in the bytes of a safetensors file, and back: those that NumPy has no name for, too.

The library reads and writes NumPy's own dtypes. Here bfloat16 is one more: an array of
ml_dtypes.bfloat16, or its bits, where that package is not installed or an optimizer keeps them.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradstep.arrays.parameters import is_bfloat16

Array = NDArray[Any]

BFLOAT16_BITS = np.dtype(np.uint16, metadata={"format": "bfloat16"})  # as written; else as uint16
DTYPES = {"bool": "BOOL", "bfloat16": "BF16"} | {
    f"{kind}{bits}": f"{letter}{bits}"
    for kind, letter, sizes in (("float", "F", (16, 32, 64)), ("int", "I", (8, 16, 32, 64)))
    for bits in sizes
}
DTYPES |= {f"u{name}": f"U{code[1:]}" for name, code in DTYPES.items() if code[0] == "I"}


def is_tensor(array: Array) -> bool:
    """Whether a file can hold it."""
    return array.dtype.name in DTYPES and (array.dtype.kind != "V" or is_bfloat16(array.dtype))


def to_bytes(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """A whole file. The widest come first, so that each begins at a multiple of its item size."""
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in names:
        array = tensors[name]
        begin, end = end, end + array.nbytes
        named: Mapping[str, str] = array.dtype.metadata or {}
        header[name] = {
            "dtype": DTYPES[named.get("format", array.dtype.name)],
            "shape": array.shape,
            "data_offsets": (begin, end),
        }
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    data: Any = (little_endian(tensors[name]).reshape(-1).view(np.uint8) for name in names)
    return b"".join([struct.pack("<Q", len(text)), text, *data])


def little_endian(array: Array) -> Array:
    swapped = array.dtype.str[0] == ">"
    return np.ascontiguousarray(array.byteswap() if swapped else array)


def read_tensors(path: str, safetensors: Any) -> tuple[Mapping[str, str], dict[str, Array]]:
    """The metadata of a file, which the library has checked, and its arrays.

    Raises
    ------
    ValueError
        If it is damaged, or an array has a dtype that neither NumPy nor ml_dtypes has.
    """
    before = os.stat(path)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            header, start = read_header(path)
            tensors = {
                name: read_bfloat16(path, start, header[name])
                if header[name]["dtype"] == "BF16"
                else read_tensor(file, name)
                for name in file.keys()  # noqa: SIM118
            }
            metadata = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is damaged or no safetensors file: {error}") from error
    if identity(os.stat(path)) != identity(before):
        raise ValueError("another file took its place while it was read; load it again")
    return metadata, tensors


def identity(of: os.stat_result) -> tuple[int, ...]:
    return of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns


def read_header(path: str) -> tuple[Any, int]:
    """What the file says of its tensors, and where their bytes begin."""
    size = int(np.fromfile(path, "<u8", 1)[0])
    return json.loads(np.fromfile(path, np.uint8, size, offset=8).tobytes()), 8 + size


def read_bfloat16(path: str, start: int, entry: Mapping[str, Any]) -> Array:
    begin, end = entry["data_offsets"]
    stored = np.fromfile(path, "<u2", (end - begin) // 2, offset=start + begin)
    bits: Array = stored.astype(np.uint16, copy=False).reshape(entry["shape"])
    try:
        import ml_dtypes
    except ImportError:
        return bits
    array: Array = bits.view(ml_dtypes.bfloat16)
    return array


def read_tensor(file: Any, name: str) -> Array:
    try:
        array: Array = file.get_tensor(name)
        if not is_tensor(array):  # from a package that adds dtypes to NumPy
            raise TypeError(f"its dtype is {array.dtype}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"tensor {name!r} is none that NumPy can hold: {error}") from error
    return array
