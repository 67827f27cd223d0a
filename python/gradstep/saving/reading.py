"""What is read of a checkpoint's file, as far as it can be checked without an optimizer."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from gradstep.saving.parts import PARTS, check_kinds
from gradstep.saving.tensors import read_tensors
from gradstep.saving.tree_json import decode, parse

VERSION = 1
KEY = "gradstep"  # of our JSON among the file's metadata
WHOLE: Mapping[str, tuple[type, ...]] = {**PARTS, "others": (dict,), "values": (dict,)}


def import_safetensors() -> Any:
    try:
        import safetensors
    except ImportError:
        raise ImportError(
            'a checkpoint needs the package safetensors: pip install "gradstep[checkpoint]"'
        ) from None
    return safetensors


def read(path: str) -> dict[str, Any]:
    """What a checkpoint holds, its parts being there and of their types."""
    safetensors = import_safetensors()
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is not a regular file")
    metadata, tensors = read_tensors(path, safetensors)
    text = metadata.get(KEY)
    if text is None:
        raise ValueError("it is a safetensors file, but not one that gradstep.save() made")
    plain = parse(text)
    if not isinstance(plain, dict) or plain.get("version") != VERSION:
        version = plain.get("version") if isinstance(plain, dict) else plain
        raise ValueError(f"it has version {version!r}; this gradstep reads version {VERSION}")
    plain.setdefault("values", {})  # of a file of before
    check_kinds(plain, WHOLE)
    content: dict[str, Any] = decode(plain, tensors)
    check_kinds(content, WHOLE)
    return content
