# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results decoded without numpy and Qiskit are what IBM's client makes of the same text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._results import counts_of, decode
from tests.clients.client import MARKS, SAID, WITH_SMALL, has_aer, run
from tests.emulator.testing import EmulatorProcess

pytestmark = MARKS
ARGUMENTS = WITH_SMALL
needs_aer = pytest.mark.skipif(not has_aer(), reason="the clients' Python has no Qiskit Aer: requirements-worker.txt")

HEAD = (
    SAID
    + """
import json, random, warnings
warnings.simplefilter("ignore")
from qiskit.primitives.containers import DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
"""
)
ENCODED = (
    HEAD
    + """
rng = np.random.default_rng(20260704)
pick = random.Random(20260704)
SHAPES = [(), (), (1,), (3,), (2, 3), (2, 1, 2), (0,), (2, 0)]
TYPES = ["f8", "f4", "f2", ">f8", "i8", "u2"]

def bit_array(shape, bits):
    shots, width = pick.randint(1, 40), (bits + 7) // 8
    array = rng.integers(0, 256, (*shape, shots, width), dtype=np.uint8)
    if pick.random() < 0.3:
        array[...] = array[..., :1, :]  # all shots are the same
    kind = pick.randrange(4)
    if kind == 0:
        return BitArray(np.asfortranarray(array), bits)
    if kind == 1:
        return BitArray.from_bool_array(rng.integers(0, 2, (*shape, shots, bits), dtype=bool), order="little")
    if kind == 2 and bits > 2:
        return BitArray(array, bits).slice_bits(range(1, bits))
    return BitArray(array, bits)

def numbers(shape):
    array = np.asarray(abs(rng.normal(size=shape)) * 100).astype(pick.choice(TYPES))
    return np.asfortranarray(array) if pick.random() < 0.3 else array

out = []
for number in range(120):
    shape = pick.choice(SHAPES)
    metadata = {"n": np.int64(7), "words": np.array([["a", "bcd"], ["", "e"]]), "any": {"z": 1 - 2j}}
    if number % 2:
        names = pick.sample(["a", "meas", "c0", "evs_", "data"], pick.randint(1, 3))
        fields = {name: bit_array(shape, pick.choice([1, 2, 5, 7, 8, 9, 16, 17, 33, 64, 127, 156])) for name in names}
        pub = SamplerPubResult(DataBin(**fields, shape=shape), metadata)
    else:
        fields = {name: numbers(shape) for name in ("evs", "stds", "ensemble_standard_error")[: pick.randint(1, 3)]}
        pub = PubResult(DataBin(**fields, shape=shape), metadata)
    text = json.dumps(PrimitiveResult([pub, pub], metadata={"version": 2}), cls=RuntimeEncoder)
    out.append([text, said(json.loads(text, cls=RuntimeDecoder))])
special = DataBin(evs=np.array([np.nan, np.inf]), stds=np.float64(0.25))
points = DataBin(meas=rng.normal(size=(2, 5, 3)) + 1j, shape=(2,))
text = json.dumps(PrimitiveResult([PubResult(special), SamplerPubResult(points)]), cls=RuntimeEncoder)
found = said(json.loads(text, cls=RuntimeDecoder))
print(json.dumps([out, [text, [found[0], {"tensors": found[1]}]]]))
"""
)


def plain(data: Any) -> str:
    """JSON that is the same for the same data; not-a-number is like itself in it."""
    return json.dumps(data, sort_keys=True)


def test_what_ibms_encoder_writes(emulator: EmulatorProcess, tmp_path: Path) -> None:
    several, special = run(emulator, tmp_path, ENCODED)
    assert len(several) == 120
    for text, wanted in several:
        found = decode(text)
        for pub in found:
            metadata = pub.pop("metadata")
            assert metadata == {"n": 7, "words": [["a", "bcd"], ["", "e"]], "any": {"z": [1.0, -2.0]}}
        wanted = [{**pub, **{key: floats(pub[key]) for key in pub if key != "counts"}} for pub in wanted]
        assert plain(found) == plain(wanted)
    text, wanted = special
    assert plain([{**pub, "metadata": {}} for pub in wanted]) == plain(decode(text))


def floats(value: Any) -> Any:
    return [floats(each) for each in value] if isinstance(value, list) else float(value)


PROGRAMS = (
    HEAD
    + """
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import EstimatorV2, QiskitRuntimeService, SamplerV2
from qiskit_ibm_runtime.executor_sampler import Sampler
from qiskit_ibm_runtime.options_models.executor import ExecutorOptions
from qiskit_ibm_runtime.quantum_program import QuantumProgram
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS
service = QiskitRuntimeService()
backend = service.backend("ibmq_manila")
client = service._get_api_client()
angle = Parameter("a")
qubits = QuantumRegister(3)
circuit = QuantumCircuit(qubits, ClassicalRegister(2, "low"), ClassicalRegister(1, "high"))
circuit.x(0)  # so that the order of bits shows
circuit.rx(angle, 2)
circuit.measure([0, 1, 2], [0, 1, 2])
circuit = transpile(circuit, backend, seed_transpiler=1)
angles = [[0.0], [1.0], [3.141592653589793]]
state = QuantumCircuit(2)
state.h(0)
state.cx(0, 1)
state = transpile(state, backend, seed_transpiler=1)
bound = circuit.assign_parameters([1.0])
def text(job):
    job.wait_for_final_state()
    return client.job_results(job.job_id())
"""
)


@needs_aer
def test_samplers_and_estimators(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        PROGRAMS
        + """
sampled = SamplerV2(backend).run([(circuit, angles), (bound,)], shots=100)
observables = [[SparsePauliOp("ZZ").apply_layout(state.layout)], [SparsePauliOp("XX").apply_layout(state.layout)]]
estimated = EstimatorV2(backend).run([(state, observables), (state, observables[0][0])], precision=0.05)
out = [[text(job), said(job.result())] for job in (sampled, estimated)]
# The same job in both forms; the seed makes its shots the same.
forms = []
for qiskit in (True, False):
    pubs = json.loads(json.dumps([(circuit, np.array(angles), 50), (bound, None, 50)], cls=RuntimeEncoder))
    params = {"pubs": pubs, "version": 2, "support_qiskit": qiskit, "options": {"simulator": {"seed_simulator": 7}}}
    made = client.program_run("sampler", "ibmq_manila", params, None, None, None)
    job = service.job(made["id"])
    forms.append(text(job))
print(json.dumps([out, forms]))
"""
    )
    out, forms = run(emulator, tmp_path, script)
    for text, wanted in out:
        assert [{key: pub[key] for key in pub if key != "metadata"} for pub in decode(text)] == wanted
    sweep, bound = decode(out[0][0])
    assert [set(counts) for counts in sweep["counts"]["low"]] == [{"01"}] * 3
    assert [counts.get("1", 0) for counts in sweep["counts"]["high"]][::2] == [0, 100]
    assert counts_of(out[0][0], 1, "low") == bound["counts"]["low"] == {"01": 100}
    qiskit, rest = map(decode, forms)
    assert "samples" in forms[1] and "BitArray" in forms[0]
    assert [pub["counts"] for pub in qiskit] == [pub["counts"] for pub in rest]


@needs_aer
def test_the_executor(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        PROGRAMS
        + """
out = []
for version, converter in QUANTUM_PROGRAM_PARAMS_CONVERTERS.items():
    program = QuantumProgram(shots=20)
    program.append_circuit_item(circuit, circuit_arguments=np.array(angles))
    program.append_circuit_item(bound)
    params = json.loads(converter.encoder(program, ExecutorOptions()).model_dump_json())
    job = service.job(client.program_run("executor", "ibmq_manila", params, None, None, None)["id"])
    items = []
    for item in job.result():
        bits = {name: BitArray.from_bool_array(array, order="little") for name, array in item.items()}
        tensors = {name: array.tolist() for name, array in item.items()}
        items.append({"counts": {name: counts(array) for name, array in bits.items()}, "tensors": tensors})
    out.append([version, text(job), items])
twirling = {"enable_gates": True, "enable_measure": True, "num_randomizations": 4, "shots_per_randomization": 10}
clients = []
for options in ({}, {"twirling": twirling}):
    job = Sampler(backend, options=options).run([(circuit, angles), (bound,)], shots=40)
    clients.append([text(job), said(job.result())])
print(json.dumps([out, clients]))
"""
    )
    out, clients = run(emulator, tmp_path, script)
    assert {"v0.1", "v1.1", "v2.0"} <= {version for version, *_rest in out}
    for version, text, wanted in out:
        assert json.loads(text)["schema_version"] == version
        found = decode(text)
        for item in found:
            item.pop("metadata")
        assert found == wanted
        assert counts_of(text, 1, "low") == {"01": 20}
    for text, wanted in clients:
        assert [{"counts": item["counts"]} for item in decode(text)] == wanted
    assert "measurement_flips" in clients[1][0]
    assert counts_of(clients[1][0], 1, "low") == {"01": 40}
