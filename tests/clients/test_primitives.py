# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IBM's primitives, unmodified: what qiskit-ibm-runtime submits, the emulator runs with Aer, and the client decodes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.clients.client import AER_MARKS, LARGE, SMALL, WITH_SMALL, interpreter, near, run
from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

pytestmark = AER_MARKS
ARGUMENTS = WITH_SMALL


def test_the_sampler(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        LARGE
        + """
angle = Parameter("a")
turned = QuantumCircuit(1)
turned.rx(angle, 0)
turned.measure_all()
turned = transpile(turned, backend)
sampler = SamplerV2(backend, options={"max_execution_time": 300, "environment": {
    "job_tags": ["one", "two"], "log_level": "INFO"}})
job = sampler.run([(bell, None, 1000), (turned, [[0.0], [3.141592653589793]], 64)])
result = job.result()
spans = result.metadata["execution"]["execution_spans"]
print(json.dumps({
    "id": job.job_id(), "counts": result[0].data.meas.get_counts(), "shape": result[1].data.meas.shape,
    "turned": [result[1].data.meas.get_counts(0), result[1].data.meas.get_counts(1)], "spans": len(spans),
    "usage": job.usage(), "estimate": job.usage_estimation, "metrics": job.metrics(), "logs": job.logs(),
    "created": job.creation_date, "tags": job.tags, "backend": job.backend().name, "status": job.status(),
    "inputs": list(job.inputs), "session": job.session_id, "date": job.properties().last_update_date,
    "cancel": refused(job.cancel),
}, default=str))
"""
    )
    found = run(emulator, tmp_path, script)
    assert near(found["counts"], 1000)
    assert (found["shape"], found["turned"], found["spans"]) == ([2], [{"0": 64}, {"1": 64}], 1)
    assert (found["usage"], found["estimate"], found["status"]) == (2, {"quantum_seconds": 2}, "DONE")
    assert set(found["metrics"]["timestamps"]) == {"created", "running", "finished"}
    assert found["metrics"]["qiskit_version"] and found["metrics"]["caller"].startswith("qiskit/")
    assert (sorted(found["tags"]), found["backend"], found["session"]) == (["one", "two"], "ibm_fez", None)
    assert "pubs" in found["inputs"] and found["logs"].endswith(" INFO Completed.\n")
    assert found["cancel"][0] == "RuntimeInvalidStateError"
    (job,) = emulator.jobs()
    assert (job["id"], job["cost"], job["executions"]) == (found["id"], 300, 1)
    assert len(emulator.executions()) == 1


def test_the_estimator(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        LARGE
        + """
observables = [[SparsePauliOp(name).apply_layout(state.layout)] for name in ("ZZ", "XX", "YY", "ZI")]
observables.append([SparsePauliOp.from_list([("ZZ", 2), ("XX", -0.5)]).apply_layout(state.layout)])
job = EstimatorV2(backend).run([(state, observables)], precision=0.01)
(result,) = job.result()
print(json.dumps([result.data.evs.tolist(), result.data.stds.tolist(), result.metadata["target_precision"]]))
"""
    )
    evs, stds, precision = run(emulator, tmp_path, script)
    exact = [1, 1, -1, 0, 1.5]
    assert all(abs(found[0] - wanted) < 0.1 for found, wanted in zip(evs, exact)), evs
    assert (stds, precision) == ([[0.01]] * 5, 0.01)


def test_the_client_side_primitives(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        SMALL
        + """
sampled = Sampler(backend).run([bell], shots=1000)
twirled = Sampler(backend, options={"twirling": {"enable_gates": True, "enable_measure": True}}).run([bell], shots=1024)
observable = SparsePauliOp.from_list([("ZZ", 1), ("XX", 0.5)]).apply_layout(state.layout)
estimated = Estimator(backend).run([(state, observable)])
again = QiskitRuntimeService().job(estimated.job_id())
print(json.dumps({
    "counts": sampled.result()[0].data.meas.get_counts(), "twirled": twirled.result()[0].data.meas.get_counts(),
    "evs": float(estimated.result()[0].data.evs), "again": float(again.result()[0].data.evs),
    "program": again.primitive_id,
}))
"""
    )
    found = run(emulator, tmp_path, script)
    assert near(found["counts"], 1000) and near(found["twirled"], 1024)
    assert abs(found["evs"] - 1.5) < 0.1 and found["again"] == found["evs"]
    assert found["program"] == "executor"


def test_every_version_of_the_executors_schema(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        LARGE
        + """
from qiskit_ibm_runtime.options_models.executor import ExecutorOptions
from qiskit_ibm_runtime.quantum_program import QuantumProgram
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS
client = service._get_api_client()
found = {}
for version, converter in QUANTUM_PROGRAM_PARAMS_CONVERTERS.items():
    program = QuantumProgram(shots=20)
    program.append_circuit_item(bell)
    params = json.loads(converter.encoder(program, ExecutorOptions()).model_dump_json())
    assert params["schema_version"] == version
    made = client.program_run("executor", "ibm_fez", params, None, None, None)
    job = service.job(made["id"])
    found[version] = job.result()[0]["meas"].shape
print(json.dumps(found))
"""
    )
    found = run(emulator, tmp_path, script)
    assert len(found) >= 5 and set(map(tuple, found.values())) == {(20, 2)}


def test_results_fit_ibms_schemas_from_every_engine(emulator: EmulatorProcess, tmp_path: Path) -> None:
    """What REST users send, run by Aer and by the built-in simulator: the same shape, and the same distribution."""
    script = f"""
import json, os, time, requests
from qiskit_ibm_runtime import RuntimeDecoder
from ibm_quantum_schemas.sampler.version_0_1 import PrimitiveResultWrapperModel
from ibm_quantum_schemas.estimator.version_0_1 import PrimitiveResultWrapperModel as EstimatorResult
url, bell = os.environ["EMULATOR_URL"], {data.BELL!r}
form = {{"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": {data.API_KEY!r}}}
web = requests.Session()
token = web.post(url + "/identity/token", data=form).json()["access_token"]
web.headers.update({{"Authorization": "Bearer " + token, "Service-CRN": {data.INSTANCE_US!r}}})
def run(program, **params):
    body = {{"program_id": program, "backend": "ibm_fez", "params": {{"version": 2, **params}}}}
    job = url + "/api/v1/jobs/" + web.post(url + "/api/v1/jobs", json=body).json()["id"]
    for turn in range(3000):
        state = web.get(job).json()["state"]
        if state["status"] not in ("Queued", "Running"):
            break
        time.sleep(0.01)
    assert state["status"] == "Completed", state
    return web.get(job + "/results").text
found = {{}}
for engine in ("auto", "builtin"):
    web.post(url + "/_emulator/settings", json={{"engine": engine}})
    text = run("sampler", pubs=[[bell, None, 1000]], support_qiskit=True)
    PrimitiveResultWrapperModel.model_validate_json(text)
    found[engine] = [json.loads(text, cls=RuntimeDecoder)[0].data.meas.get_counts()]
    (plain,) = json.loads(run("sampler", pubs=[bell], shots=1000))["results"]
    samples = plain["data"]["meas"]["samples"]
    found[engine].append({{f"{{value:02b}}": samples.count(hex(value)) for value in (0, 3)}})
web.post(url + "/_emulator/settings", json={{"engine": "auto"}})
state = bell[:bell.index("meas[0]")]
turned = 'OPENQASM 3.0; include "stdgates.inc"; input float[64] a; bit[1] c; sx $0; rz(a) $0; sx $0; c = measure $0;'
(plain,) = json.loads(run("sampler", pubs=[[turned, [[0.0], [3.141592653589793]], 8]]))["results"]
found["turned"] = plain["data"]["c"]["samples"]
zz = "I" * 154 + "ZZ"
EstimatorResult.model_validate_json(run("estimator", pubs=[[state, zz]], support_qiskit=True))
(plain,) = json.loads(run("estimator", pubs=[[state, [zz, "I" * 154 + "IZ"]]], precision=0.01))["results"]
found["estimator"] = [plain["data"]["evs"], plain["data"]["stds"]]
print(json.dumps(found))
"""
    found = run(emulator, tmp_path, script)
    assert all(near(counts, 1000) for engine in ("auto", "builtin") for counts in found[engine]), found
    assert found["turned"] == [["0x1"] * 8, ["0x0"] * 8]
    evs, stds = found["estimator"]
    assert abs(evs[0] - 1) < 0.1 and abs(evs[1]) < 0.1 and stds == [0.01, 0.01]


def test_the_built_in_simulator_against_aer(tmp_path: Path) -> None:
    """Random circuits of all its gates: the same probabilities as Aer's, to the twelfth digit."""
    root = Path(__file__).resolve().parents[2]
    script = """
import random
import numpy as np
from qiskit import qasm3
from qiskit_aer import AerSimulator
from tests.emulator.statevector import _GATES, parse, probabilities
shuffle, worst = random.Random(3), 0.0
for turn in range(60):
    size = shuffle.randrange(2, 6)
    lines = []
    for step in range(40):
        name = shuffle.choice([name for name in _GATES if name != "rzz"])
        count = _GATES[name][0]
        angles = f"({shuffle.uniform(-7, 7)!r})" if count else ""
        matrix = _GATES[name][1](*[0.1] * count)
        places = shuffle.sample(range(size), len(matrix).bit_length() - 1)
        lines.append(f"{name}{angles} {', '.join(f'q[{place}]' for place in places)};")
    head = f'OPENQASM 3.0; include "stdgates.inc"; qubit[{size}] q; bit[{size}] c; x q; x q; '
    text = head + " ".join(lines) + " c = measure q;"
    circuit = qasm3.loads(text).remove_final_measurements(inplace=False)
    circuit.save_statevector()
    exact = np.abs(AerSimulator(method="statevector").run(circuit).result().get_statevector().data) ** 2
    worst = max(worst, float(np.abs(exact - probabilities(parse(text))[1]).max()))
print(worst)
"""
    done = subprocess.run(
        [interpreter(), "-c", script], cwd=root, text=True, capture_output=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) < 1e-12
