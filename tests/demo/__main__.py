# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main jobs on this machine alone: no root, no account, nothing left behind. Run by ``make demo``.

The emulator stands in for IBM; a temporary folder stands in for the home, so the user's own profile is not touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.emulator.testing import EmulatorProcess

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
RUN_LIMIT = 120  # seconds for one ansible-playbook


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ibm-quantum-demo-") as folder, EmulatorProcess() as emulator:
        home = Path(folder, "home")
        home.mkdir(mode=0o700)
        Path(home, ".profile").write_text("# the user's own profile\nexport EDITOR=vi\n")
        before = files(home)
        say(f"An emulator of the IBM Quantum Platform listens on {emulator.url}, your own files are left alone")
        environment = {**emulator.env(), **surroundings(home)}

        say("Onboard this machine: check the key, write the environment, verify the endpoints")
        play("ibm_quantum.platform.onboard", environment, variables(emulator.url))
        say("What other programs find now")
        show(home)

        say("The allowlist for the people who own the firewall, and the backends")
        play(str(ROOT / "tests/demo/look.yml"), environment)

        say("The same again: nothing changes, and the bearer token is reused")
        emulator.clear_journal()
        recap = play("ibm_quantum.platform.onboard", environment, variables(emulator.url))
        exchanges = sum(row["path"] == "/identity/token" for row in emulator.journal())
        say(f"Second run: {exchanges} token exchanges, {'nothing' if 'changed=0' in recap else 'something'} changed")

        say("Offboard: the home is as it was")
        play("ibm_quantum.platform.offboard", environment, variables(emulator.url))
        restored = files(home) == before

        say("Run a Bell circuit, which needs no host: its counts")
        printed = play("ibm_quantum.platform.run_job", environment, bell())
        counted = "'00':" in printed.replace('"', "'") and "'11':" in printed.replace('"', "'")
        ran = len(emulator.executions())
        problems = [
            text
            for text, bad in (
                ("the second run changed something", "changed=0" not in recap),
                ("the second run exchanged the key again", exchanges > 0),
                (f"offboarding left the home different: {sorted(files(home))}", not restored),
                (
                    f"the Bell circuit ran {ran} times, and its counts were{'' if counted else ' not'} shown",
                    ran != 1 or not counted,
                ),
            )
            if bad
        ]
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    if not problems:
        say(f"Done in {time.monotonic() - started:.0f} s; emulator stopped, temporary home removed")
    return 1 if problems else 0


def variables(url: str) -> dict[str, object]:
    """What an inventory would say; the emulator takes the place of IBM's endpoints."""
    host, _sep, port = url.rpartition("/")[2].rpartition(":")
    probe = {"host": host, "port": int(port), "tls": False, "path": "/api/v1/versions"}
    return {
        "ibm_quantum_scope": "user",
        "ibm_quantum_firewall": False,  # needs root; `make lab-demo` shows it on real hosts
        "ibm_quantum_features": [],
        "verify_endpoints": [probe],
    }


def bell() -> dict[str, object]:
    """A first job; the emulator's own simulator runs it."""
    circuit = str(Path(__file__).with_name("bell.qasm"))
    return {"ibm_quantum_circuit": circuit, "ibm_quantum_backend": "ibm_fez", "ibm_quantum_shots": 1000}


def surroundings(home: Path) -> dict[str, str]:
    """The environment of ansible-playbook: this checkout's collection, all state below the temporary home."""
    return {
        **os.environ,
        "HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        "XDG_RUNTIME_DIR": "",
        "XDG_CACHE_HOME": str(home.with_name("cache")),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(home.with_name("ansible")),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOWS": "1",
    }


def play(playbook: str, environment: dict[str, str], extra: dict[str, object] | None = None) -> str:
    """Run a playbook on localhost, shown as it runs; returns what it printed. Ends the demo if it fails."""
    command = [str(PLAYBOOK), "-i", "localhost,", "-e", "ansible_connection=local"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "-e", json.dumps(extra or {}), playbook]
    print(f"$ ansible-playbook {playbook}", flush=True)
    printed: list[str] = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        deadline = threading.Timer(RUN_LIMIT, run.kill)
        deadline.start()
        for line in run.stdout or ():
            print(line, end="", flush=True)
            printed.append(line)
        deadline.cancel()
    if run.returncode:
        sys.exit(f"FAILED: {playbook} ended with {run.returncode}")
    return "".join(printed)


def show(home: Path) -> None:
    """What a login shell sees, the secrets cut short."""
    command = '. "$HOME/.profile"; env | grep -E "^(IQP|QISKIT)_" | sort | sed -E "s/(TOKEN=....).*/\\1.../"'
    subprocess.run(
        ["/bin/sh", "-c", command],
        env={"HOME": str(home), "NO_PROXY": "127.0.0.1", "PATH": os.environ["PATH"]},
        check=True,
        timeout=10,
    )


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: mode and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def say(text: str) -> None:
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
