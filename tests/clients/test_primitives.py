# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IBM's primitives, unmodified: what qiskit-ibm-runtime submits, the emulator runs with Aer, and the client decodes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from tests.clients.client import MARKS, interpreter, run
from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

SPEC = os.environ.get("OPENAPI_SPEC", "")


def has_aer() -> bool:
    command = [interpreter(), "-c", "import importlib.util, sys; sys.exit(not importlib.util.find_spec('qiskit_aer'))"]
    return bool(interpreter()) and subprocess.run(command, capture_output=True, check=False).returncode == 0


pytestmark = [
    *MARKS,
    pytest.mark.skipif(not has_aer(), reason="the clients' Python has no Qiskit Aer: requirements-worker.txt"),
]

#: The emulator's small backend is what the client-side estimator twirls in seconds rather than minutes.
HEAD = """
import json, warnings
warnings.simplefilter("ignore")
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import Batch, EstimatorV2, QiskitRuntimeService, RuntimeEncoder, SamplerV2, Session
from qiskit_ibm_runtime.executor_estimator import Estimator
from qiskit_ibm_runtime.executor_sampler import Sampler
service = QiskitRuntimeService()
backend = service.backend(NAME)
state = QuantumCircuit(2)
state.h(0)
state.cx(0, 1)
bell = transpile(state.measure_all(inplace=False), backend, seed_transpiler=1)
state = transpile(state, backend, seed_transpiler=1)
def refused(call):
    try:
        return ["nothing", str(call())]
    except Exception as error:
        return [type(error).__name__, str(error)]
"""
LARGE, SMALL = HEAD.replace("NAME", "'ibm_fez'"), HEAD.replace("NAME", "'ibmq_manila'")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """Its traffic, too, is checked against IBM's OpenAPI document, where there is one."""
    record = tmp_path_factory.mktemp("record") / "record.jsonl"
    arguments = ["--backend", "manila", "--worker-python", interpreter()]
    with EmulatorProcess(record=record, args=arguments) as running:
        yield running
    if SPEC:
        from tests.emulator.conformance import Checker

        lines = Checker(SPEC).check_file(record)
        assert [line for line in lines if not any(known in line for known in KNOWN)] == []


#: What the client sends or reads and IBM's document does not have, beyond openapi_exceptions.py.
KNOWN = (
    "/backends/ibmq_manila/configuration 200: response /",  # a snapshot of an old processor
    "is not valid under any of the given schemas",  # executor 2.0, newer than the document; capitals in log_level
)


def near(counts: dict[str, int], shots: int) -> bool:
    """Whether the counts are a Bell pair's: the two outcomes, each within five standard deviations."""
    return (
        set(counts) == {"00", "11"}
        and sum(counts.values()) == shots
        and abs(counts["00"] - shots / 2) < 2.5 * shots**0.5
    )


def test_the_sampler(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        LARGE
        + """
angle = Parameter("a")
turned = QuantumCircuit(1)
turned.rx(angle, 0)
turned.measure_all()
turned = transpile(turned, backend)
sampler = SamplerV2(backend, options={"max_execution_time": 300, "environment": {"job_tags": ["one", "two"]}})
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
    assert "pubs" in found["inputs"]
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


def test_sessions_and_batches(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        LARGE
        + """
found = {}
for name, mode in (("session", Session), ("batch", Batch)):
    with mode(backend, max_time="1h") as opened:
        before = opened.status()
        jobs = [SamplerV2(opened).run([bell], shots=10) for turn in range(2)]
        for job in jobs:
            job.result()
        during, details = opened.status(), opened.details()
        same = mode.from_id(opened.session_id, service).details()["id"]
    found[name] = [before, during, opened.status(), details["mode"], details["max_time"], opened.usage()]
    found[name] += [same == opened.session_id, len(service.jobs(session_id=opened.session_id))]
cancelled = Batch(backend)
cancelled.cancel()
found["cancelled"] = Batch.from_id(cancelled._session_id, service).status()
found["refused"] = refused(lambda: service._run("sampler", {"pubs": [(bell,)], "version": 2},
    {"backend": backend, "instance": None}, session_id=cancelled._session_id))
print(json.dumps(found))
"""
    )
    found = run(emulator, tmp_path, script)
    states = ["Pending", "In progress, accepting new jobs", "Closed"]
    assert found["session"][:5] == [*states, "dedicated", 3600]
    assert found["batch"] == [*states, "batch", 3600, 4.0, True, 2]
    assert found["session"][5] >= 0 and found["session"][6:] == [True, 2]
    assert found["cancelled"] == "Closed"
    assert "1217" in found["refused"][1]


def test_jobs_are_found_tagged_cancelled_and_deleted(emulator: EmulatorProcess, tmp_path: Path) -> None:
    emulator.settings(queue_seconds=100000)
    script = (
        LARGE
        + """
from datetime import datetime, timedelta
jobs = []
for number in range(23):
    options = {"environment": {"job_tags": [f"part-{number % 2}"]}}
    jobs.append(SamplerV2(backend, options=options).run([bell], shots=10))
ids = [job.job_id() for job in jobs]
fresh = QiskitRuntimeService()
listed = [job.job_id() for job in fresh.jobs(limit=None)]
hour = timedelta(hours=1)
found = {
    "all": listed == ids[::-1], "oldest": [job.job_id() for job in fresh.jobs(limit=3, descending=False)] == ids[:3],
    "skip": [job.job_id() for job in fresh.jobs(limit=2, skip=20)] == ids[2:0:-1],
    "tagged": len(fresh.jobs(limit=None, job_tags=["part-1"])), "both": len(fresh.jobs(job_tags=["part-0", "part-1"])),
    "pending": len(fresh.jobs(limit=None, pending=True)), "done": len(fresh.jobs(pending=False)),
    "elsewhere": len(fresh.jobs(backend_name="ibm_torino")),
    "program": len(fresh.jobs(limit=None, program_id="sampler")),
    "since": len(fresh.jobs(limit=None, created_after=datetime.now() - hour)),
    "before": len(fresh.jobs(limit=None, created_before=datetime.now() - hour)),
    "state": jobs[0].status(), "metrics": jobs[1].metrics(),
}
job = fresh.job(ids[0])
found["tags"] = job.update_tags(["new"])
found["too many"] = refused(lambda: fresh._get_api_client().update_tags(ids[0], ["a"] * 9))
found["early"] = refused(lambda: fresh.delete_job(ids[0]))
job.cancel()
found["cancelled"] = [fresh.job(ids[0]).status(), refused(job.result)[0]]
fresh.delete_job(ids[0])
found["gone"] = refused(lambda: fresh.job(ids[0]))[0]
print(json.dumps(found))
"""
    )
    found = run(emulator, tmp_path, script)
    assert found["all"] and found["oldest"] and found["skip"]
    assert (found["tagged"], found["both"], found["pending"], found["done"]) == (11, 0, 23, 0)
    assert (found["elsewhere"], found["program"], found["since"], found["before"]) == (0, 23, 23, 0)
    assert (found["state"], found["tags"]) == ("QUEUED", ["new"])
    assert found["metrics"]["position_in_queue"] == 2 and "estimated_start_time" in found["metrics"]
    assert "1204" in found["too many"][1] and "terminal" not in found["cancelled"]
    assert "cannot be deleted" in found["early"][1]
    assert (found["cancelled"], found["gone"]) == (["CANCELLED", "RuntimeInvalidStateError"], "RuntimeJobNotFound")
    assert emulator.executions() == []


def test_jobs_that_end_badly(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        LARGE
        + """
def run(params, **options):
    return service._run("sampler", params, {"backend": backend, "instance": None, **options})
found = {}
found["failed"] = refused(SamplerV2(backend).run([bell]).result)
good = {"pubs": [(bell, None, 10)], "version": 2, "support_qiskit": True}
strange = "OPENQASM 3.0; qubit q; bit[1] c; U(0, 0, 0) q; c[0] = measure q;"
found["native"] = refused(run({**good, "pubs": [(strange,)]}).result)
found["option"] = refused(run({**good, "options": {"colour": 1}}).result)
found["qasm"] = refused(run({**good, "pubs": [("nonsense",)]}).result)
found["long"] = refused(run(good, max_execution_time=1).result)
sampler = SamplerV2(backend, options={"environment": {"private": True}})
private = sampler.run([bell], shots=10)
found["private"] = [private.private, len(private.inputs), private.result()[0].data.meas.num_shots, private.result()]
print(json.dumps(found))
"""
    )
    emulator.fail_jobs(reason="Too deep.", code=1517)
    found = run(emulator, tmp_path, script)
    assert found["failed"][0] == "RuntimeJobFailureError" and "Error code 1517; Too deep." in found["failed"][1]
    assert "Error code 1517" in found["native"][1]
    assert "options.colour" in found["option"][1] and "Error code 1002" in found["option"][1]
    assert "OpenQASM 3" in found["qasm"][1]
    assert found["long"][0] == "RuntimeJobMaxTimeoutError"
    assert found["private"] == [True, 0, 10, None]


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
