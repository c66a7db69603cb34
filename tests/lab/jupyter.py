# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code in a real Jupyter kernel of a host, started by its kernel spec as a notebook server starts it.

The host's virtual environment needs ``ipykernel``, which brings ``jupyter_client``:
``qiskit_extra_packages: [ipykernel]``.
"""

from __future__ import annotations

import json

from .host import Host

#: Where the role qiskit makes the environment.
PYTHON = "/opt/ibm_quantum/qiskit/bin/python"

#: Seconds for a kernel to start, and again for what it runs.
PATIENCE = 60

_SCRIPT = """
import json, sys
from jupyter_client.manager import KernelManager

name, code, patience = json.load(sys.stdin)
manager = KernelManager(kernel_name=name)
manager.start_kernel()
client = manager.client()
client.start_channels()
written, error = [], ""
def hook(message):
    if message["msg_type"] == "stream":
        written.append(message["content"]["text"])
try:
    client.wait_for_ready(timeout=patience)
    reply = client.execute_interactive(code, output_hook=hook, timeout=patience)["content"]
    error = "" if reply["status"] == "ok" else f"{reply['ename']}: {reply['evalue']}"
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
print(json.dumps(["".join(written), error]))
"""


def run_in_kernel(host: Host, code: str, kernel: str = "python3", user: str = "alice", python: str = PYTHON) -> str:
    """What code prints in the kernel of this name, started by the user from a login; AssertionError where it fails."""
    asked = json.dumps([kernel, code, PATIENCE])
    # The script is in argv, the code is not: it may hold what is being looked for in argv
    login = ["su", "-l", user, "-c", f'exec {python} -c "$1"', "sh", _SCRIPT]
    done = host.run(login, timeout=3 * PATIENCE, check=False, input=asked)
    assert done.returncode == 0, done.stdout + done.stderr
    written, error = json.loads(done.stdout.splitlines()[-1])
    assert not error, error
    return str(written)
