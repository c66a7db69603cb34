# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a script with IBM's own clients, unmodified, in a process of its own.

Under the interpreter that IBM_CLIENTS_PYTHON names (or this one, if it has them), with no way out: every https request
would go through a proxy that is not there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

DEAD_PROXY = "http://127.0.0.1:9"


def interpreter() -> str:
    """A Python that has the clients; empty where there is none."""
    named = os.environ.get("IBM_CLIENTS_PYTHON", "")
    here = all(importlib.util.find_spec(name) for name in ("qiskit", "qiskit_ibm_runtime", "ibm_platform_services"))
    return named or (sys.executable if here else "")


def has(package: str) -> bool:
    """Whether that Python has a package too."""
    command = [interpreter(), "-c", f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({package!r}))"]
    return bool(interpreter()) and subprocess.run(command, capture_output=True, check=False).returncode == 0


def has_aer() -> bool:
    return has("qiskit_aer")


#: For tests that need the clients.
MARKS = [
    pytest.mark.skipif(not interpreter(), reason="IBM_CLIENTS_PYTHON does not name a Python with IBM's clients"),
    pytest.mark.timeout(300),
]

#: For tests whose jobs the emulator's worker runs.
AER_MARKS = [
    *MARKS,
    pytest.mark.skipif(not has_aer(), reason="the clients' Python has no Qiskit Aer: requirements-worker.txt"),
]

#: How a script starts that runs IBM's primitives; BACKEND is to be replaced.
_HEAD = """
import json, os, urllib.request, warnings
warnings.simplefilter("ignore")
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import Batch, EstimatorV2, QiskitRuntimeService, RuntimeEncoder, SamplerV2, Session
from qiskit_ibm_runtime.executor import Executor
from qiskit_ibm_runtime.executor_estimator import Estimator
from qiskit_ibm_runtime.executor_sampler import Sampler
from qiskit_ibm_runtime.quantum_program import QuantumProgram
service = QiskitRuntimeService()
backend = service.backend(BACKEND)
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
def control(path, **body):
    url = f"{os.environ['EMULATOR_URL']}/_emulator/{path}"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}))
"""
#: What a script may say of a result, in the form of the collection's `decode`: ``said(result)``.
SAID = """
import numpy as np
from qiskit.primitives.containers import BitArray
def lists(array):
    array = np.asarray(array)
    return np.stack([array.real, array.imag], -1).tolist() if array.dtype.kind == "c" else array.tolist()
def counts(bits, shape=None, at=()):
    shape = bits.shape if shape is None else shape
    if not shape:
        return bits.get_counts(at or None)
    return [counts(bits, shape[1:], (*at, number)) for number in range(shape[0])]
def said(result):
    pubs = []
    for pub in result:
        found = {}
        for name, value in pub.data.items():
            if isinstance(value, BitArray):
                found.setdefault("counts", {})[name] = counts(value)
            else:
                found[name] = lists(value)
        pubs.append(found)
    return pubs
"""
#: The small backend is what the client-side estimator twirls in seconds rather than minutes.
LARGE, SMALL = _HEAD.replace("BACKEND", "'ibm_fez'"), _HEAD.replace("BACKEND", "'ibmq_manila'")
#: The emulator's arguments for them.
WITH_SMALL = ["--backend", "manila", "--worker-python", interpreter() or "none"]


def near(counts: dict[str, int], shots: int) -> bool:
    """Whether the counts are a Bell pair's: the two outcomes, each within five standard deviations."""
    return (
        set(counts) == {"00", "11"}
        and sum(counts.values()) == shots
        and abs(counts["00"] - shots / 2) < 2.5 * shots**0.5
    )


def run(emulator: EmulatorProcess, home: Path, script: str, **changes: str) -> Any:
    """Run a script with IBM's clients; what it prints last is JSON. A change to nothing takes a variable away."""
    url = emulator.url
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "http_proxy": DEAD_PROXY,
        "https_proxy": DEAD_PROXY,
        "no_proxy": "127.0.0.1",
        "QISKIT_IBM_TOKEN": data.API_KEY,
        "QISKIT_IBM_INSTANCE": data.INSTANCE_US,
        "QISKIT_IBM_URL": f"{url}/experimental/api/v1",
        "IAM_URL": url,
        "GLOBAL_SEARCH_URL": url,
        "GLOBAL_CATALOG_URL": f"{url}/globalcatalog/api/v1",
        "EMULATOR_URL": url,
        **changes,
    }
    result = subprocess.run(
        [interpreter(), "-"],
        input=script,  # not an argument: scripts hold API keys, and other tests look for those in command lines
        env={name: value for name, value in environment.items() if value},
        cwd=home,
        text=True,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])
