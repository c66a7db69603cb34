# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""qrmi, IBM's client in Rust that schedulers use, unmodified: acquire a QPU, run a job on it, release it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.clients.client import DEAD_PROXY, MARKS, interpreter
from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

pytestmark = MARKS

SCRIPT = """
import json, sys, time
from qrmi import Payload, QuantumResource, ResourceType, TaskStatus
qpu = QuantumResource("ibm_fez", ResourceType.IBMQiskitRuntimeService)
found = {"accessible": qpu.is_accessible(), "target": json.loads(qpu.target().value)["configuration"]["n_qubits"]}
session = found["session"] = qpu.acquire()
task = found["task"] = qpu.task_start(Payload.QiskitPrimitive(input=sys.argv[1], program_id="sampler"))
for turn in range(600):
    status = qpu.task_status(task)
    if status not in (TaskStatus.Queued, TaskStatus.Running):
        break
    time.sleep(0.05)
found.update(status=str(status), result=qpu.task_result(task).value, logs=qpu.task_logs(task))
qpu.task_stop(task)
qpu.release(session)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(args=["--worker-python", "none"]) as running:
        yield running


def installed() -> bool:
    if os.environ.get("IBM_CLIENTS_PYTHON"):
        command = [interpreter(), "-c", "import qrmi"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return importlib.util.find_spec("qrmi") is not None


@pytest.mark.skipif(not installed(), reason="qrmi is not installed")
def test_a_job_of_a_scheduler(emulator: EmulatorProcess, tmp_path: Path) -> None:
    own = {
        "ENDPOINT": emulator.runtime_url + "/v1",
        "IAM_ENDPOINT": emulator.url,
        "IAM_APIKEY": data.API_KEY,
        "SERVICE_CRN": data.INSTANCE_US,
        "SESSION_MODE": "dedicated",
    }
    environment = {f"ibm_fez_QRMI_IBM_QRS_{name}": value for name, value in own.items()}
    environment |= {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "https_proxy": DEAD_PROXY}
    params: dict[str, Any] = {"pubs": [[data.BELL, None, 200]], "version": 2, "support_qiskit": False, "options": {}}
    done = subprocess.run(
        [interpreter(), "-c", SCRIPT, json.dumps(params)],
        env=environment,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["accessible"], found["target"]) == (True, 156)
    assert found["status"].endswith("Completed")
    counts = Counter(json.loads(found["result"])["results"][0]["data"]["meas"]["samples"])
    assert set(counts) == {"0x0", "0x3"} and sum(counts.values()) == 200
    (job,) = emulator.jobs()
    assert (job["id"], job["session_id"], job["executions"]) == (found["task"], found["session"], 1)
    assert {row["status"] for row in emulator.journal()} <= {200, 204, 409}
