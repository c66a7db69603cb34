# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Arrays of numbers as IBM sends them within JSON, read without numpy. Standard library only.

Two forms, both in base64. What ``RuntimeEncoder`` of qiskit-ibm-runtime writes is a file of numpy's format .npy
(versions 1.0 to 3.0, "NEP 1"), compressed with zlib. The tensors of ibm-quantum-schemas (``TensorModel``,
``CompressedTensorModel``) are the items alone, little-endian, the last axis fastest, eight booleans in a byte from its
lowest bit on; type and shape stand beside them.

The content is somebody else's: nothing in it is executed, and sizes are checked before anything of that size is made.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Any, NamedTuple, Sequence

#: What the arrays of one result may come to, in bytes. IBM's largest sampler jobs need less: 10 million shots of 156
#: bits are 200 MB.
MOST = 1 << 28
_MOST_AXES = 64  # numpy has no more

#: numpy's kinds with their size in bytes, and what each is to the module struct; a complex number is two floats.
_TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
_CODES = dict(zip(_TYPES, "?bhiqBHIQefdfd"))
_MAGIC = b"\x93NUMPY"
#: A header as numpy writes it, a Python dict with sorted keys. Nothing else is read, so nothing has to be evaluated.
_HEADER = re.compile(
    rb"\{'descr': '([<>|])([a-zA-Z])(\d{1,9})', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,999})\), \}\s*"
)
_TENSOR = re.compile(r"(bool)|([fiuc])(8|16|32|64|128)")
_UNPACKED = [bytes(byte >> bit & 1 for bit in range(8)) for byte in range(256)]


class ArrayError(ValueError):
    """Not an array as IBM sends them, or too large a one; the text says what is wrong."""


class Budget:
    """What the arrays of one result may still come to, in bytes: a short text can be a very large array."""

    def __init__(self, most: int = MOST) -> None:
        self.most = self.left = most

    def take(self, amount: int) -> None:
        """Use that much of it. Raises ArrayError where there is not so much left."""
        if amount > self.left:
            raise ArrayError(f"its arrays are more than {self.most >> 20} MiB: too large to be decoded here")
        self.left -= amount


class Array(NamedTuple):
    """``data`` are the items, the last axis fastest. ``kind`` and ``size`` are numpy's, ``size`` in bytes."""

    kind: str
    size: int
    order: str
    shape: tuple[int, ...]
    data: bytes

    def nested(self, budget: Budget) -> Any:
        """Lists in lists, one level an axis, of bool, int, float, str, or [real, imaginary]; without axes, the item."""
        budget.take(8 * count(self.shape, at_least=1))
        flat = self._items()
        for axis in range(len(self.shape) - 1, 0, -1):
            length, rows = self.shape[axis], count(self.shape[:axis])
            flat = [flat[row * length : (row + 1) * length] for row in range(rows)]
        return flat if self.shape else flat[0]

    def _items(self) -> list[Any]:
        if self.kind in "US":
            parts = [self.data[at : at + self.size] for at in range(0, len(self.data), self.size)]
            coding = "latin-1" if self.kind == "S" else "utf-32-be" if self.order == ">" else "utf-32-le"
            try:
                return [part.decode(coding).rstrip("\0") for part in parts]
            except UnicodeDecodeError:
                raise ArrayError("its text is no Unicode") from None
        code = _CODES[f"{self.kind}{self.size}"]
        amount = len(self.data) // struct.calcsize(f"<{code}")
        flat = list(struct.unpack(f"{self.order}{amount}{code}", self.data))
        return [list(pair) for pair in zip(flat[::2], flat[1::2])] if self.kind == "c" else flat


def count(shape: Sequence[int], at_least: int = 0) -> int:
    """How many items an array of this shape has; with ``at_least=1`` no fewer than it has lists."""
    total = 1
    for length in shape:
        total *= max(length, at_least)
    return total


def is_size(value: Any) -> bool:
    """Whether it is an integer that can be a size. (Ansible's are of a class of their own, and a bool is an int.)"""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def npy(text: str, budget: Budget) -> Array:
    """The array of an .npy file in base64, compressed or not. Raises ArrayError."""
    file = _from_base64(text)
    if not file.startswith(_MAGIC):
        file = _decompressed(file, budget)
    if not file.startswith(_MAGIC) or len(file) < 12:
        raise ArrayError("it is no .npy file")
    start, length = (10, "<H") if file[6] == 1 else (12, "<I")
    end = start + int(struct.unpack(length, file[8:start])[0])
    found = _HEADER.fullmatch(file, start, end) if end <= len(file) else None
    if not found:
        if b"'|O'" in file[start:end]:
            raise ArrayError("it holds pickled Python objects, which are not read")
        raise ArrayError(f"its .npy header is not understood: {file[start : min(end, start + 80)].decode('latin-1')!r}")
    order, kind, size = found[1].decode(), found[2].decode(), int(found[3])
    if kind == "U":
        size *= 4
    if not size or (kind not in "US" and f"{kind}{size}" not in _CODES):
        raise ArrayError(f"its type {kind}{size} is not read here")
    shape = tuple(int(word) for word in found[5].replace(b",", b" ").split())
    array = _checked(Array(kind, size, ">" if order == ">" else "<", shape, file[end:]))
    return _last_axis_fastest(array) if found[4] == b"True" else array


def tensor(model: Any, compressed: bool, budget: Budget) -> Array:
    """The array of a ``TensorModel``, {data, shape, dtype}, or of a ``CompressedTensorModel``. Raises ArrayError."""
    if not isinstance(model, dict) or not {"data", "shape", "dtype"} <= set(model):
        raise ArrayError("it is no tensor with data, shape and dtype")
    shape, dtype = model["shape"], model["dtype"]
    if not isinstance(shape, list) or not all(is_size(length) for length in shape):
        raise ArrayError(f"its shape is {str(shape)[:80]}")
    found = _TENSOR.fullmatch(dtype) if isinstance(dtype, str) else None
    kind, size = ("b", 1) if found and found[1] else (found[2], int(found[3]) // 8) if found else ("", 0)
    if f"{kind}{size}" not in _CODES:
        raise ArrayError(f"its dtype {str(dtype)[:20]!r} is unknown")
    data = _from_base64(model["data"])
    if compressed:
        data = _decompressed(data, budget)
    if kind == "b":
        return _checked(Array(kind, size, "<", tuple(shape), _bools(data, shape, budget)))
    return _checked(Array(kind, size, "<", tuple(shape), data))


def _bools(packed: bytes, shape: list[int], budget: Budget) -> bytes:
    """A byte an item, 0 or 1."""
    total = count(shape)
    if len(packed) != (total + 7) // 8:
        raise ArrayError(f"its {len(packed)} bytes are not the {total} bits of its shape {str(shape)[:80]}")
    budget.take(total)
    return b"".join(map(_UNPACKED.__getitem__, packed))[:total]


def _checked(array: Array) -> Array:
    have, size, shape = len(array.data), array.size, list(array.shape)
    if len(shape) > _MOST_AXES:
        raise ArrayError(f"it has {len(shape)} axes")
    if count(shape) * size != have:
        raise ArrayError(f"its {have} bytes are not {size} for each item of its shape {str(shape)[:80]}")
    return array


def _last_axis_fastest(array: Array) -> Array:
    """The same array in C's order: numpy writes some, such as transposed ones, with the first axis fastest."""
    size = array.size
    parts = [array.data[at : at + size] for at in range(0, len(array.data), size)]

    def ordered(parts: list[bytes], shape: Sequence[int]) -> list[bytes]:
        if len(shape) < 2:
            return parts
        return [part for first in range(shape[0]) for part in ordered(parts[first :: shape[0]], shape[1:])]

    return array._replace(data=b"".join(ordered(parts, array.shape) if parts else []))


def _from_base64(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ArrayError(f"its data is {type(text).__name__}, not text in base64")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ArrayError("its data is no base64") from None


def _decompressed(data: bytes, budget: Budget) -> bytes:
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, budget.left + 1)
    except zlib.error:
        raise ArrayError("its data is not compressed with zlib") from None
    budget.take(len(out))
    if not stream.eof:
        raise ArrayError("its compressed data is cut off")
    return out
