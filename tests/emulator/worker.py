# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker process: runs jobs with Aer, in an environment of requirements-worker.txt. See engine.py, which starts it.

Params are checked with ibm-quantum-schemas, the models that IBM publishes of them, before anything runs.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import importlib.metadata
import json
import os
import signal
import struct
import sys
import traceback
import zlib
from datetime import datetime, timedelta, timezone
from typing import Any, BinaryIO

from tests.emulator import engine, programs, results

_NEEDED = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "ibm_quantum_schemas")
_LENGTH = struct.Struct(">Q")
#: SERVICE_MAX_SUPPORTED_QPY_VERSION of IBM's client 0.51, which writes no newer one whatever Qiskit can.
_NEWEST_QPY = 17


class Rejected(Exception):
    """A job that cannot run; ``outcome`` is what to answer."""

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__(outcome["error"])
        self.outcome = outcome


def _invalid(text: str) -> Rejected:
    return Rejected(engine.failure(text, engine.VALIDATION, "Check the params of the job."))


def _validated(model: Any, params: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return model.model_validate(params)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)[:3]]
        raise _invalid("The params do not fit IBM's schema: " + "; ".join(found)) from None


def _circuit(text: Any) -> Any:
    """A circuit of OpenQASM 3 text, or what the decoder made of the client's QPY."""
    from qiskit import QuantumCircuit, qasm3

    if isinstance(text, QuantumCircuit):
        return text
    try:
        return qasm3.loads(text)
    except Exception as error:  # the parser raises many kinds, all about the text
        raise _invalid(f"{engine.NO_OPENQASM}: {error}") from None


def _check_qpy(circuit: Any) -> None:
    """Refuse QPY that is newer than IBM's service reads, whatever the worker's Qiskit does."""
    if not isinstance(circuit, dict) or circuit.get("__type__") != "QuantumCircuit":
        return
    try:
        head = zlib.decompressobj().decompress(base64.b64decode(circuit["__value__"]), 7)
        name, version = struct.unpack(">6sB", head)
    except (KeyError, TypeError, ValueError, zlib.error, struct.error):
        name, version = b"", 0
    if name != b"QISKIT":
        raise _invalid("The circuit is no QPY, compressed and in base64.")
    if version > _NEWEST_QPY:
        text = f"The circuit is QPY of version {version}; the service reads versions up to {_NEWEST_QPY}."
        raise Rejected(engine.failure(text, engine.VALIDATION, f"Use qiskit.qpy.dump(..., version={_NEWEST_QPY})."))


def _check_native(circuit: Any, task: dict[str, Any]) -> None:
    if not task["native"]:
        return
    for instruction in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
        name = instruction.operation.name
        if not engine.native(name, qubits, task["backend"]):
            raise Rejected(engine.not_native(name, qubits, task["backend"]))


def _pubs(task: dict[str, Any]) -> list[list[Any]]:
    """The pubs with all their elements, checked with IBM's schema, decoded; the circuits are native."""
    import numpy as np
    from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

    params, program = task["params"], task["program"]
    shots, precision = programs.defaults(params)
    nothing = json.loads(json.dumps(np.empty(0), cls=RuntimeEncoder))
    full, formal = [], []
    for pub in params["pubs"]:
        parts = list(pub) if isinstance(pub, list) else [pub]
        _check_qpy(parts[0])
        if program == "sampler":
            circuit, values, amount = [*parts, None, None][:3]
            middle: list[Any] = []
            amount = shots if amount is None else amount
        else:
            circuit, observables, values, amount = [*parts, None, None][:4]
            middle = [observables]
            amount = precision if amount is None else amount
        encoded = values if isinstance(values, dict) and "__type__" in values else nothing
        formal.append([circuit, *([_formal(middle[0])] if middle else []), encoded, amount])
        full.append([circuit, *middle, values, amount])
    model = importlib.import_module(f"ibm_quantum_schemas.{program}.version_0_1").ParamsModel
    # What only plain REST users send is said by every pub now, and the schema does not know it.
    rest = {key: value for key, value in params.items() if key not in ("shots", "precision")}
    if rest.get("resilience_level", 1) is None:
        rest.pop("resilience_level")
    _validated(model, {**rest, "pubs": formal})
    decoded: list[list[Any]] = json.loads(json.dumps(full), cls=RuntimeDecoder)
    for parts in decoded:
        parts[0] = _circuit(parts[0])
        _check_native(parts[0], task)
    return decoded


def _formal(observables: Any) -> Any:
    """Observables as the schema has them: from a Pauli string an observable, at any depth but only one list."""
    if isinstance(observables, str):
        return {observables: 1.0}
    if isinstance(observables, list):
        flat: list[Any] = []
        for each in observables:
            found = _formal(each)
            flat += found if isinstance(found, list) else [found]
        return flat
    return observables


def _options(task: dict[str, Any]) -> dict[str, Any]:
    options = task["params"].get("options") or {}
    simulator = options.get("simulator") or {}
    seed = simulator.get("seed_simulator")
    return {"seed": task["seed"] if seed is None else seed, "meas_type": options.get("execution", {}).get("meas_type")}


def sampler(task: dict[str, Any]) -> str:
    from qiskit.primitives.containers.sampler_pub import SamplerPub
    from qiskit_aer.primitives import SamplerV2

    options = _options(task)
    if options["meas_type"] not in (None, "classified"):
        raise _invalid(f"The emulator has no {options['meas_type']} measurements, only classified ones.")
    pubs = []
    for number, (circuit, values, shots) in enumerate(_pubs(task)):
        if not circuit.cregs:
            raise _invalid(engine.NO_REGISTER)
        pub = _coerced(SamplerPub, (circuit, _values(values), shots))
        (result,) = SamplerV2(seed=options["seed"] + number).run([pub]).result()
        fields = {}
        for name, bits in result.data.items():
            array = results.Array("|u1", tuple(bits.array.shape), bits.array.tobytes())
            fields[name] = results.Bits(bits.num_bits, array)
        metadata = {"circuit_metadata": circuit.metadata or {}}
        pubs.append(results.Pub(tuple(pub.shape), fields, shots, metadata))
    qiskit = bool(task["params"].get("support_qiskit", False))
    return json.dumps(results.sampler_result(pubs, qiskit, task["now"], task["now"]))


def estimator(task: dict[str, Any]) -> str:
    import numpy as np
    from qiskit.primitives.containers.estimator_pub import EstimatorPub
    from qiskit_aer.primitives import EstimatorV2

    seed, pubs = _options(task)["seed"], []
    for number, (circuit, observables, values, precision) in enumerate(_pubs(task)):
        _widen(circuit, observables, task["backend"]["n_qubits"])
        pub = _coerced(EstimatorPub, (circuit, observables, _values(values), precision))
        simulator = EstimatorV2(options={"run_options": {"seed_simulator": seed + number}})
        (result,) = simulator.run([pub]).result()
        evs = np.asarray(result.data.evs, dtype=float)
        stds = np.broadcast_to(np.asarray(precision, dtype=float), evs.shape)
        fields = {}
        for name, array in (("evs", evs), ("stds", stds), ("ensemble_standard_error", stds)):
            fields[name] = results.Array("<f8", evs.shape, np.ascontiguousarray(array, dtype="<f8").tobytes())
        shots = int(np.ceil(1 / precision**2))
        metadata = {"shots": shots, "target_precision": precision, "circuit_metadata": circuit.metadata or {}}
        pubs.append(results.Pub(evs.shape, fields, shots, metadata))
    qiskit = bool(task["params"].get("support_qiskit", False))
    return json.dumps(results.estimator_result(pubs, qiskit))


def _widen(circuit: Any, observables: Any, n_qubits: int) -> None:
    """Give a circuit of OpenQASM text, which ends with its highest ``$n``, the qubits of its observables."""
    from qiskit import QuantumRegister

    flat = _formal(observables)
    terms = [term for one in (flat if isinstance(flat, list) else [flat]) for term in (one or {})]
    missing = min(max(map(len, terms), default=0), n_qubits) - circuit.num_qubits
    if missing > 0:
        circuit.add_register(QuantumRegister(missing, "idle"))


def _values(values: Any) -> Any:
    return None if values is None or (not isinstance(values, dict) and not len(values)) else values


def _coerced(kind: Any, parts: tuple[Any, ...]) -> Any:
    try:
        return kind.coerce(parts)
    except Exception as error:  # Qiskit raises several kinds, all about what the user sent
        raise _invalid(f"The pub does not fit together: {error}") from None


def executor(task: dict[str, Any]) -> str:
    """A quantum program of the client-side primitives; the result is of the schema version of the params."""
    from qiskit_aer import AerSimulator
    from qiskit_ibm_runtime.fake_provider.executor.run_quantum_program import run_quantum_program
    from qiskit_ibm_runtime.options_models.simulator import SimulatorOptions
    from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

    version = task["params"]["schema_version"]
    converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS.get(version)
    if converter is None:
        raise _invalid(f"Unknown schema_version {version!r}: there are {', '.join(QUANTUM_PROGRAM_PARAMS_CONVERTERS)}.")
    model = _validated(converter.model, task["params"])
    if getattr(model.quantum_program, "meas_level", "classified") != "classified":
        raise _invalid("The emulator has no kerneled measurements, only classified ones.")
    program, _executor_options = converter.decoder(model)
    for item in program.items:
        if hasattr(item, "samplex"):
            item.samplex.finalize()
    found = run_quantum_program(AerSimulator(), program, SimulatorOptions(seed_simulator=task["seed"]))
    schema = importlib.import_module(converter.model.__module__)
    return str(_executor_result(schema, model, program, found, task).model_dump_json())


def _executor_result(schema: Any, model: Any, program: Any, found: Any, task: dict[str, Any]) -> Any:
    start = datetime.fromtimestamp(task["now"], tz=timezone.utc)
    parts, items = [], []
    for number, (item, result) in enumerate(zip(program.items, found)):
        size = 1
        for length in item.shape:
            size *= length
        part: dict[str, Any] = {"idx_item": number, "size": size}
        if "permutation" in schema.ChunkPart.model_fields:
            part |= {"permutation": list(range(len(item.shape))), "element_range": (0, size, 1)}
        parts.append(schema.ChunkPart(**part))
        kind = schema.QuantumProgramResultItemModel
        tensor = kind.model_fields["results"].annotation.__args__[1]
        row: dict[str, Any] = {"results": {name: tensor.from_numpy(array) for name, array in result.items()}}
        if "metadata" in kind.model_fields:
            row["metadata"] = _default(kind.model_fields["metadata"].annotation)
        items.append(kind(**row))
    span = schema.ChunkSpan(start=start, stop=start + timedelta(seconds=1), parts=parts)
    whole = schema.QuantumProgramResultModel
    given: dict[str, Any] = {"data": items, "metadata": schema.MetadataModel(chunk_timing=[span])}
    # The client's post-processing finds its way by these two.
    for name in ("passthrough_data", "semantic_role"):
        if name in whole.model_fields:
            given[name] = getattr(model.quantum_program, name)
    return whole(**given)


def _default(annotation: Any) -> Any:
    """An instance of a model, or of the model in ``Model | None``, with nothing set; None where only that fits."""
    options = [each for each in getattr(annotation, "__args__", (annotation,)) if each not in (None, type(None))]
    return options[0]() if options else None


_PROGRAMS = {"sampler": sampler, "estimator": estimator, "executor": executor}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The outcome of one job."""
    try:
        return {"result": _PROGRAMS[task["program"]](task)}
    except Rejected as rejected:
        return rejected.outcome
    except Exception as error:  # whatever a simulator may raise ends this job, not the worker
        reason = f"{type(error).__name__}: {error}"
        return engine.failure(reason, engine.BACKEND_ERROR, "Check the circuit.", traceback.format_exc())


def _send(out: BinaryIO, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    out.write(_LENGTH.pack(len(body)) + body)
    out.flush()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the emulator's, which ends this one
    # What libraries print must not get between the messages.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    versions = {}
    for name in _NEEDED:
        try:
            importlib.import_module(name)
            versions[name] = importlib.metadata.version(name.replace("_", "-"))
        except ImportError:
            _send(out, {"missing": name})
            break
    else:
        _send(out, {"versions": versions})
    with contextlib.suppress(BrokenPipeError):
        while len(head := sys.stdin.buffer.read(_LENGTH.size)) == _LENGTH.size:
            _send(out, run(json.loads(sys.stdin.buffer.read(*_LENGTH.unpack(head)))))


if __name__ == "__main__":
    main()
