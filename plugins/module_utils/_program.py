# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a job runs: a program and its params, from the options of a task; checked before anything is sent.

Sources: IBM's OpenAPI document (``JobRunParams*``), the guides on the primitives' REST API and on job limits; for QPY
in a PUB, the encoder of IBM's client.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import zlib
from typing import Any, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

SAMPLER, ESTIMATOR = "sampler", "estimator"

#: IBM takes inputs of up to 50 MB.
LARGEST = 50_000_000
_LARGEST_FILE = LARGEST
#: The options that become params beside the circuits.
_OF_CIRCUITS = ("shots", "precision", "resilience_level", "options")
_QPY = b"QISKIT"
#: The newest version that IBM's client sends (qiskit_ibm_runtime, SERVICE_MAX_SUPPORTED_QPY_VERSION).
_NEWEST_QPY = 17
_OPENQASM = re.compile(r"^\s*(?:(?://[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)\s*)*OPENQASM\s+(\d+)(?:\.\d+)?\s*;", re.DOTALL)

#: The specs of an element of ``pubs``.
PUB_SPEC: dict[str, dict[str, Any]] = {
    "circuit": {"type": "str"},
    "circuit_file": {"type": "path"},
    "observables": {"type": "raw"},
    "parameter_values": {"type": "raw"},
    "shots": {"type": "int"},
    "precision": {"type": "float"},
}


class Program:
    """The program and params of one job.

    ``program_id`` and ``params`` are what IBM gets; ``digest`` (64 hexadecimal digits) tells equal params from others,
    however a circuit is packed. Raises OptionError for what cannot be right.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.program_id: str = options["program_id"]
        given = [name for name in ("circuit", "circuit_file", "pubs", "params") if options[name] is not None]
        if len(given) > 1:
            raise OptionError(f"give one of 'circuit', 'circuit_file', 'pubs' and 'params', not {_listed(given)}")
        if not given:
            raise OptionError("nothing to run: give 'circuit_file', 'circuit', 'pubs' or, for other programs, 'params'")
        if given == ["params"]:
            given_elsewhere = {**options, "support_qiskit": options["support_qiskit"] or None}
            _refuse(given_elsewhere, (*_OF_CIRCUITS, "support_qiskit"), "with 'params': write it into them")
            self.params: dict[str, Any] = options["params"]
            self.digest = digest_of(self.program_id, self.params)
        else:
            self.params, plain = self._of_circuits(options)
            self.digest = digest_of(self.program_id, plain)
        self.size = _size(self.params)

    def _of_circuits(self, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The params of a primitive, as they are sent, and with circuits as they were given."""
        if self.program_id not in (SAMPLER, ESTIMATOR):
            raise OptionError(
                f"'program_id': circuits are for sampler and estimator; {self.program_id!r} takes its whole 'params'"
            )
        sampler = self.program_id == SAMPLER
        wrong = "precision" if sampler else "shots"
        rows = options["pubs"]
        if rows is None:
            rows = [{name: options[name] for name in ("circuit", "circuit_file")}]
        if not rows:
            raise OptionError("'pubs' is empty: give at least one circuit")
        _refuse(options, (wrong, "resilience_level") if sampler else (wrong,), f"with {self.program_id}")
        where = "'pubs', element {}: " if options["pubs"] else ""
        pubs = [self._pub(where.format(number), row, wrong) for number, row in enumerate(rows, 1)]
        _positive("shots", options["shots"])
        _positive("precision", options["precision"])
        if options["resilience_level"] not in (None, 0, 1, 2):
            raise OptionError(f"'resilience_level' must be 0, 1 or 2, not {options['resilience_level']}")
        given = {name: options[name] for name in _OF_CIRCUITS if options[name] is not None}
        rest: dict[str, Any] = {"support_qiskit": options["support_qiskit"], "version": 2, **given}
        for name, value in (("pubs", [pub[1:] for pub in pubs]), ("options", options["options"])):
            _canonical(value, name)
        packed = [[_packed(pub[0]), *pub[1:]] for pub in pubs]
        plain = [[_named(pub[0]), *pub[1:]] for pub in pubs]
        return {"pubs": packed, **rest}, {"pubs": plain, **rest}

    def _pub(self, where: str, row: Mapping[str, Any], wrong: str) -> list[Any]:
        """Circuit, observables of an estimator, parameter values, shots or precision; without what lacks at the end."""
        full = {**dict.fromkeys(PUB_SPEC), **row}
        try:
            circuit = _circuit(full["circuit"], full["circuit_file"])
            _refuse(full, (wrong,), f"with {self.program_id}")
            _positive("shots", full["shots"])
            _positive("precision", full["precision"])
            if self.program_id == ESTIMATOR and full["observables"] is None:
                raise OptionError(
                    "'observables' is needed by the estimator: such as ZZ, or {ZZ: 0.5, XX: 0.5}; use 'pubs'"
                )
            if self.program_id == SAMPLER:
                _refuse(full, ("observables",), "with sampler")
        except OptionError as error:
            raise OptionError(f"{where}{error}") from None
        if self.program_id == SAMPLER:
            pub = [circuit, full["parameter_values"], full["shots"]]
        else:
            pub = [circuit, full["observables"], full["parameter_values"], full["precision"]]
        while pub[-1] is None:
            pub.pop()
        return pub


def _circuit(text: str | None, path: str | None) -> str | bytes:
    """OpenQASM 3 text, or QPY."""
    if (text is None) == (path is None):
        raise OptionError("give one of 'circuit' and 'circuit_file'")
    if path is not None:
        return _checked(f"'circuit_file': {path}", _read(path))
    given = str(text)
    try:  # QPY cannot stand in YAML but in base64
        decoded = base64.b64decode("".join(given.split()), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    return _checked("'circuit'", decoded if decoded.startswith(_QPY) else given.encode("utf-8", "replace"))


def _checked(where: str, content: bytes) -> str | bytes:
    if content.startswith(_QPY):
        version = content[len(_QPY)] if len(content) > len(_QPY) else 0
        if version > _NEWEST_QPY:
            raise OptionError(
                f"{where} is QPY of version {version}, and IBM takes {_NEWEST_QPY} at most: write it with "
                f"qiskit.qpy.dump(..., version={_NEWEST_QPY})"
            )
        return content
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise OptionError(f"{where} is neither OpenQASM 3 nor QPY") from None
    header = _OPENQASM.match(text)
    if not header:
        raise OptionError(f"{where} is neither OpenQASM 3 nor QPY: such a text begins with 'OPENQASM 3.0;'")
    if header[1] != "3":
        raise OptionError(
            f"{where} is OpenQASM {header[1]}, and IBM takes version 3: convert it with qiskit.qasm2.load and "
            "qiskit.qasm3.dumps"
        )
    return text


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise OptionError(f"'circuit_file': {path} cannot be read ({error.strerror}), in {os.getcwd()}") from None
    if len(content) > _LARGEST_FILE:
        raise OptionError(f"'circuit_file': {path} is larger than the {LARGEST // 1_000_000} MB that IBM takes")
    return content


def _packed(circuit: str | bytes) -> Any:
    """A circuit as it stands in a PUB: text, or QPY as IBM's client sends it."""
    if isinstance(circuit, str):
        return circuit
    return {"__type__": "QuantumCircuit", "__value__": base64.b64encode(zlib.compress(circuit)).decode("ascii")}


def _named(circuit: str | bytes) -> Any:
    """A circuit for the digest: not packed, as zlib's output differs from version to version."""
    return circuit if isinstance(circuit, str) else {"qpy": hashlib.sha256(circuit).hexdigest()}


def digest_of(*parts: Any) -> str:
    """A digest of some JSON, 64 hexadecimal digits."""
    return hashlib.sha256(_canonical(parts)).hexdigest()


def _canonical(data: Any, option: str = "params") -> bytes:
    try:
        return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise OptionError(f"{option!r}: what is there cannot be sent as JSON: {error}") from None


def _size(params: Any) -> int:
    size = len(_canonical(params))
    if size > LARGEST:
        raise OptionError(
            f"the job has {size / 1e6:.0f} MB, and IBM takes {LARGEST // 1_000_000}: spread its circuits over several "
            "jobs"
        )
    return size


def _positive(name: str, value: float | None) -> None:
    if value is not None and not 0 < value < 2**31:
        raise OptionError(f"{name!r} must be above 0 and below {2**31}, not {value}")


def _refuse(options: Mapping[str, Any], names: tuple[str, ...], why: str) -> None:
    for name in names:
        if options[name] is not None:
            raise OptionError(f"{name!r} has no meaning {why}")


def _listed(names: list[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
