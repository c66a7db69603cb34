# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Shots counted by their bit strings. Standard library only.

The counts of a register are {bit string: shots} in the order of the bit strings, whose rightmost character is bit 0.
A pub with a shape has lists in lists of that shape with such dicts in them. All functions raise ArrayError.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from typing import Any, Callable, Iterable, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._arrays import (
    Array,
    ArrayError,
    Budget,
    count,
    is_size,
)

_SAMPLE = re.compile(r"0x[0-9a-fA-F]+")
_DIGITS = bytes.maketrans(b"\0\1", b"01")


def of_bytes(array: Array, bits: Any, budget: Budget) -> Any:
    """The counts of Qiskit's ``BitArray``: bytes of shape (..., shots, bytes), the highest bits in the first byte."""
    if (array.kind, array.size) != ("u", 1) or len(array.shape) < 2:
        raise ArrayError("its array is not one of bytes with an axis for shots and one for bits")
    if not _is_length(bits) or (bits + 7) // 8 != array.shape[-1]:
        raise ArrayError(f"its num_bits is {str(bits)[:80]}, with {array.shape[-1]} bytes a shot")
    mask = (1 << bits) - 1  # the bits in front of the register's own may be anything, Qiskit does not read them either

    def written(row: bytes) -> str:
        return _written(int.from_bytes(row, "big") & mask, bits)

    return _of_rows(array.data, array.shape, written, budget)


def of_bools(array: Array, budget: Budget) -> Any:
    """The counts of booleans of shape (..., shots, bits), bit 0 first, as the executor sends them."""

    def written(row: bytes) -> str:
        return row[::-1].translate(_DIGITS).decode() or "0"

    return _of_rows(array.data, array.shape, written, budget)


def of_samples(samples: Any, bits: Any, budget: Budget) -> Any:
    """The counts of hexadecimal text such as ``0x3``, in lists of the shape (..., shots).

    ``bits`` is the length of the register. Where it is None the bit strings are as long as the largest sample needs.
    """
    if bits is not None and not _is_length(bits):
        raise ArrayError(f"its num_bits is {str(bits)[:80]}")
    longest = 1

    def tallied(samples: Any) -> Any:
        nonlocal longest
        if isinstance(samples, list) and samples and all(isinstance(each, list) for each in samples):
            return [tallied(each) for each in samples]
        if not isinstance(samples, list) or not all(isinstance(each, str) for each in samples):
            raise ArrayError("its samples are no list of text such as '0x3'")
        values = Counter(samples)
        for sample in values:
            if not _SAMPLE.fullmatch(sample):
                raise ArrayError(f"{sample[:80]!r} is no sample such as '0x3'")
            longest = max(longest, int(sample, 16).bit_length())
        return values

    def written(tallies: Any) -> Any:
        if isinstance(tallies, list):
            return [written(each) for each in tallies]
        budget.take(len(tallies) * length)
        return _in_order((_written(int(sample, 16), length), shots) for sample, shots in tallies.items())

    tallies = tallied(samples)
    length = longest if bits is None else bits
    if longest > max(length, 1):
        raise ArrayError(f"it has samples of {longest} bits, more than its num_bits {bits}")
    return written(tallies)


def unflipped(array: Array, flips: Array, budget: Budget) -> Array:
    """The bits without what measurement twirling flipped; the flips are of the same shape, or 1 where it repeats."""
    fits = len(flips.shape) == len(array.shape) and all(
        have in (1, want) for have, want in zip(flips.shape, array.shape)
    )
    if flips.kind != "b" or not fits:
        raise ArrayError(f"its measurement flips have the shape {list(flips.shape)}, it has {list(array.shape)}")
    budget.take(len(array.data))
    repeated = _repeated(flips.data, flips.shape, array.shape)
    bits = int.from_bytes(array.data, "big") ^ int.from_bytes(repeated, "big")
    return array._replace(data=bits.to_bytes(len(array.data), "big"))


def added(parts: Sequence[Any]) -> Any:
    """Counts of one shape added up."""
    if all(isinstance(part, dict) for part in parts):
        return _in_order(pair for part in parts for pair in part.items())
    return [added(same) for same in zip(*parts)]


def _is_length(bits: Any) -> bool:
    return is_size(bits) and bits < 1 << 16  # far more than IBM has qubits


def _of_rows(data: bytes, shape: Sequence[int], written: Callable[[bytes], str], budget: Budget) -> Any:
    """The counts of rows of bytes, of shape (..., shots, bytes)."""
    budget.take(8 * count(shape[:-2], at_least=1))

    def counted(data: bytes, shape: Sequence[int]) -> Any:
        if len(shape) > 2:
            step = len(data) // (shape[0] or 1)
            return [counted(data[at * step : (at + 1) * step], shape[1:]) for at in range(shape[0])]
        shots, width = shape
        rows = Counter({b"": shots} if shots else {})
        if width:
            rows = Counter(row for (row,) in struct.iter_unpack(f"{width}s", data))
        budget.take(8 * len(rows) * width)
        return _in_order((written(row), times) for row, times in rows.items())

    return counted(data, shape)


def _in_order(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Each bit string once, with all its shots."""
    counts: dict[str, int] = {}
    for bits, shots in pairs:
        counts[bits] = counts.get(bits, 0) + shots
    return dict(sorted(counts.items()))


def _written(value: int, bits: int) -> str:
    return format(value, "b").zfill(bits)


def _repeated(data: bytes, have: Sequence[int], want: Sequence[int]) -> bytes:
    """Items of a byte, repeated along each axis of length 1 to the length that is wanted."""
    if tuple(have) == tuple(want):
        return data
    step = len(data) // (have[0] or 1)
    parts = [_repeated(data[at * step : (at + 1) * step], have[1:], want[1:]) for at in range(have[0])]
    return b"".join(parts * want[0] if have[0] == 1 else parts)
