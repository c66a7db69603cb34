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


#: For tests that need them.
MARKS = [
    pytest.mark.skipif(not interpreter(), reason="IBM_CLIENTS_PYTHON does not name a Python with IBM's clients"),
    pytest.mark.timeout(300),
]


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
        [interpreter(), "-c", script],
        env={name: value for name, value in environment.items() if value},
        cwd=home,
        text=True,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])
