# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""qrmi, IBM's client in Rust that schedulers use, unmodified: acquire a QPU, run a job on it, release it."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.clients.client import DEAD_PROXY, MARKS, WITH_SMALL, has, has_aer, interpreter, near
from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

pytestmark = [*MARKS, pytest.mark.skipif(not has("qrmi"), reason="qrmi is not installed")]
ARGUMENTS = WITH_SMALL

HEAD = """
import json, os, time, urllib.request, warnings
warnings.simplefilter("ignore")
from qrmi import Payload, QuantumResource, ResourceProvider, ResourceType, TaskStatus
qpu = QuantumResource(os.environ["BACKEND"], ResourceType.IBMQiskitRuntimeService)
def start(program="sampler"):
    return qpu.task_start(Payload.QiskitPrimitive(input=os.environ["PARAMS"], program_id=program))
def status(task):
    return str(qpu.task_status(task)).split(".")[1]
def ended(task):
    for turn in range(600):
        if status(task) not in ("Queued", "Running"):
            break
        time.sleep(0.05)
    return status(task)
def refused(call):
    try:
        return ["nothing", str(call())]
    except Exception as error:
        return [type(error).__name__, str(error)]
def control(path, **body):
    url = f"{os.environ['EMULATOR_URL']}/_emulator/{path}"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}))
"""


def run(emulator: EmulatorProcess, home: Path, script: str, mode: str, backend: str = "ibm_fez") -> Any:
    own = {
        "ENDPOINT": emulator.runtime_url + "/v1",
        "IAM_ENDPOINT": emulator.url,
        "IAM_APIKEY": data.API_KEY,
        "SERVICE_CRN": data.INSTANCE_US,
        "SESSION_MODE": mode,
    }
    params: dict[str, Any] = {"pubs": [[data.BELL, None, 200]], "version": 2, "support_qiskit": False, "options": {}}
    environment = {f"{backend}_QRMI_IBM_QRS_{name}": value for name, value in own.items()}
    environment |= {"PATH": os.environ["PATH"], "HOME": str(home), "https_proxy": DEAD_PROXY}
    environment |= {"BACKEND": backend, "PARAMS": json.dumps(params), "EMULATOR_URL": emulator.url}
    done = subprocess.run(
        [interpreter(), "-c", HEAD + script],
        env=environment,
        cwd=home,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("mode", ["dedicated", "batch"])
def test_a_job_of_a_scheduler(emulator: EmulatorProcess, tmp_path: Path, mode: str) -> None:
    emulator.settings(engine="builtin")
    script = """
found = {"accessible": qpu.is_accessible(), "target": json.loads(qpu.target().value)["configuration"]["n_qubits"]}
found["is"] = [qpu.resource_id(), qpu.metadata(), qpu.status().to_dict()["status"]]
session = found["session"] = qpu.acquire()
task = found["task"] = start()
found.update(status=ended(task), result=qpu.task_result(task).value, logs=qpu.task_logs(task))
qpu.task_stop(task)
qpu.release(session)
print(json.dumps(found))
"""
    found = run(emulator, tmp_path, script, mode)
    assert (found["accessible"], found["target"]) == (True, 156)
    assert found["is"] == ["ibm_fez", {"backend_name": "ibm_fez"}, "online"]
    assert found["status"] == "Completed" and found["logs"].endswith(" INFO Completed.\n")
    counts = Counter(json.loads(found["result"])["results"][0]["data"]["meas"]["samples"])
    assert set(counts) == {"0x0", "0x3"} and sum(counts.values()) == 200
    (job,) = emulator.jobs()
    assert (job["id"], job["session_id"], job["executions"]) == (found["task"], found["session"], 1)
    rows = emulator.journal()
    assert {row["status"] for row in rows} <= {200, 204, 409}
    assert [row["path"] for row in rows if row["method"] == "PATCH"] == [f"/api/v1/sessions/{found['session']}"]


def test_tasks_that_do_not_complete(emulator: EmulatorProcess, tmp_path: Path) -> None:
    emulator.settings(engine="builtin", run_seconds=1000)
    script = """
found, session = {}, qpu.acquire()
running, waiting = start(), start()
found["before"] = [status(running), status(waiting), qpu.task_logs(running)]
found["early"] = [refused(lambda: qpu.task_result(task))[0] for task in (running, waiting)]
for task in (waiting, running):
    qpu.task_stop(task)
found["stopped"] = [[status(task), refused(lambda: qpu.task_result(task))[0]] for task in (running, waiting)]
control("settings", run_seconds=0)
control("failures", reason="Too deep.", code=1517)
failed = start()
found["failed"] = [ended(failed), *refused(lambda: qpu.task_result(failed)), qpu.task_logs(failed)]
found["unknown"] = refused(lambda: qpu.task_status("nothing"))
control("settings", run_seconds=1000)
running, waiting = start(), start()
qpu.release(session)
found["released"] = [status(running), status(waiting)]
print(json.dumps(found))
"""
    found = run(emulator, tmp_path, script, "batch")
    assert found["before"] == ["Running", "Queued", ""]
    assert found["early"] == ["TaskNotReadyError"] * 2
    assert found["stopped"] == [["Cancelled", "TaskNotReadyError"]] * 2
    status, error, text, logs = found["failed"]
    assert (status, error) == ("Failed", "TaskNotReadyError") and "Failed" in text and "Failed: Too deep." in logs
    assert found["unknown"][0] == "TaskNotFoundError" and "1291" in found["unknown"][1]
    assert found["released"] == ["Running", "Cancelled"]


@pytest.mark.skipif(not has_aer(), reason="the clients' Python has no Qiskit Aer: requirements-worker.txt")
def test_primitives_over_it(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = """
from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import SparsePauliOp
from qrmi.primitives.ibm import EstimatorV2, SamplerV2, get_backend
session, backend = qpu.acquire(), get_backend(qpu)
state = QuantumCircuit(2)
state.h(0)
state.cx(0, 1)
bell = transpile(state.measure_all(inplace=False), backend, seed_transpiler=1)
state = transpile(state, backend, seed_transpiler=1)
observable = SparsePauliOp.from_list([("ZZ", 1), ("XX", 0.5)]).apply_layout(state.layout)
jobs = SamplerV2(qpu).run([bell], shots=1000), EstimatorV2(qpu).run([(state, observable)], precision=0.02)
counts, value = jobs[0].result()[0].data.meas.get_counts(), float(jobs[1].result()[0].data.evs)
qpu.release(session)
print(json.dumps([counts, value]))
"""
    counts, value = run(emulator, tmp_path, script, "dedicated", "ibmq_manila")
    assert near(counts, 1000) and abs(value - 1.5) < 0.2
