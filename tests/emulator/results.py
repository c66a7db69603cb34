# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as IBM's service sends them: in the client's encoding or as plain JSON. Standard library only.

Sources: ibm-quantum-schemas (sampler and estimator 0.1) for the first, IBM's REST guides for the second.
"""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Sequence


def iso(seconds: float) -> str:
    """Seconds since the epoch like ``2026-07-04T16:13:56.562Z``."""
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@dataclass
class Array:
    """A numpy array without numpy: ``|u1`` or ``<f8``, the last axis fastest."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of_floats(cls, values: Sequence[float], shape: tuple[int, ...]) -> Array:
        return cls("<f8", shape, struct.pack(f"<{len(values)}d", *values))

    def floats(self) -> list[float]:
        return [value for (value,) in struct.iter_unpack("<d", self.data)]

    def encoded(self) -> dict[str, Any]:
        """As the client decodes it: an .npy file (version 1.0), compressed, in base64."""
        shape = f"({', '.join(map(str, self.shape))}{',' if len(self.shape) == 1 else ''})"
        header = f"{{'descr': '{self.dtype}', 'fortran_order': False, 'shape': {shape}, }}"
        header += " " * (-(len(header) + 11) % 64) + "\n"
        file = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + self.data
        return {"__type__": "ndarray", "__value__": base64.b64encode(zlib.compress(file)).decode()}


@dataclass
class Bits:
    """The outcomes of one classical register: ``packed`` has ``shape + (shots, bytes)``, the highest byte first."""

    num_bits: int
    packed: Array

    @classmethod
    def of_values(cls, num_bits: int, values: Sequence[int], shape: tuple[int, ...] = ()) -> Bits:
        width = (num_bits + 7) // 8
        data = b"".join(value.to_bytes(width, "big") for value in values)
        shots = len(values)
        for size in shape:
            shots //= size or 1
        return cls(num_bits, Array("|u1", (*shape, shots, width), data))

    def samples(self) -> list[str]:
        width = self.packed.shape[-1]
        data = self.packed.data
        return [hex(int.from_bytes(data[at : at + width], "big")) for at in range(0, len(data), width)]


@dataclass
class Pub:
    """What one pub gave: ``fields`` are its registers (:class:`Bits`) or its values (:class:`Array`)."""

    shape: tuple[int, ...]
    fields: dict[str, Any]
    shots: int
    metadata: dict[str, Any] = field(default_factory=dict)


def _nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    if not shape:
        return flat[0]
    step = len(flat) // (shape[0] or 1)
    return [_nested(flat[at * step : (at + 1) * step], shape[1:]) for at in range(shape[0])]


def _size(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def _slices(pubs: list[Pub]) -> dict[str, list[Any]]:
    return {
        str(number): [[*pub.shape, pub.shots], 0, _size(pub.shape), 0, pub.shots] for number, pub in enumerate(pubs)
    }


def _wrapped(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"__type__": kind, "__value__": value}


def for_client(kind: str, pubs: list[Pub], metadata: dict[str, Any]) -> dict[str, Any]:
    """A PrimitiveResult with results of the ``kind`` SamplerPubResult or PubResult, as IBM's client decodes it."""

    def value(item: Any) -> dict[str, Any]:
        if isinstance(item, Bits):
            return _wrapped("BitArray", {"array": item.packed.encoded(), "num_bits": item.num_bits})
        encoded: dict[str, Any] = item.encoded()
        return encoded

    def data(pub: Pub) -> dict[str, Any]:
        types = ["BitArray" if isinstance(item, Bits) else "numpy.ndarray" for item in pub.fields.values()]
        content = {
            "field_names": list(pub.fields),
            "field_types": types,
            "shape": list(pub.shape),
            "fields": {name: value(item) for name, item in pub.fields.items()},
        }
        return _wrapped("DataBin", content)

    rows = [_wrapped(kind, {"data": data(pub), "metadata": pub.metadata}) for pub in pubs]
    return _wrapped("PrimitiveResult", {"pub_results": rows, "metadata": metadata})


def plain(pubs: list[Pub], metadata: dict[str, Any]) -> dict[str, Any]:
    """The same for readers without Qiskit: ``results[i].data[register].samples``, or ``.evs`` and ``.stds``."""

    def value(pub: Pub, item: Any) -> Any:
        if isinstance(item, Bits):
            return {"samples": _nested_samples(item.samples(), pub), "num_bits": item.num_bits}
        return _nested(item.floats(), pub.shape)

    rows = [
        {"data": {name: value(pub, item) for name, item in pub.fields.items()}, "metadata": pub.metadata}
        for pub in pubs
    ]
    return {"results": rows, "metadata": metadata}


def _nested_samples(samples: list[str], pub: Pub) -> Any:
    shots = pub.shots
    return _nested([samples[at : at + shots] for at in range(0, len(samples), shots)], pub.shape)


def sampler_result(pubs: list[Pub], support_qiskit: bool, started: float, stopped: float) -> dict[str, Any]:
    """The result of a sampler job that ran between two times (seconds since the epoch)."""
    if not support_qiskit:
        span = [{"date": iso(started)}, {"date": iso(stopped)}, _slices(pubs)]
        return plain(pubs, {"execution": {"execution_spans": [span]}, "version": 2})
    moments = {
        name: _wrapped("datetime", {}) | {"__value__": datetime.fromtimestamp(at, tz=timezone.utc).isoformat()}
        for name, at in (("start", started), ("stop", stopped))
    }
    one = _wrapped("DoubleSliceSpan", {**moments, "data_slices": _slices(pubs)})
    spans = _wrapped("ExecutionSpans", {"spans": [one]})
    return for_client("SamplerPubResult", pubs, {"execution": {"execution_spans": spans}, "version": 2})


def estimator_result(pubs: list[Pub], support_qiskit: bool) -> dict[str, Any]:
    """The result of an estimator job. No mitigation is emulated, and the metadata says so."""
    metadata = {
        "dynamical_decoupling": {"enable": False, "sequence_type": "XX"},
        "twirling": {"enable_gates": False, "enable_measure": False},
        "resilience": {"measure_mitigation": False, "zne_mitigation": False, "pec_mitigation": False},
        "version": 2,
    }
    return for_client("PubResult", pubs, metadata) if support_qiskit else plain(pubs, metadata)
