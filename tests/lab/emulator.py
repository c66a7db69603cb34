# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator as the lab runs it: inside the lab's namespace, at the addresses that IBM's names have there."""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path
from typing import Any

from tests.emulator.testing import EmulatorError, EmulatorProcess

from .dns import names_at_start
from .network import EMULATOR, OTHER, Address, Namespace
from .system import Group, LabError, spawn, wait_for

#: What starts it: the lab's own Python, which must have the emulator's requirements.
COMMAND = [sys.executable, "-m", "tests.emulator"]

#: Its control API and plain HTTP, on the namespace's own loopback address.
PORT = 8765


class LabEmulator(EmulatorProcess):
    """``lab.emulator``: all of EmulatorProcess's methods, which reach into the lab from wherever they are called."""

    def __init__(self, namespace: Namespace, group: Group, state: Path) -> None:
        self.namespace = namespace
        self.group = group
        self.ca_dir = state / "ca"
        self._log_file = state / "emulator.log"
        self._ready_file = state / "emulator.json"
        self.ready = json.loads(self._ready_file.read_text()) if self._ready_file.exists() else {}

    def start(self) -> LabEmulator:
        """Start it, with the CA that it had before, if any."""
        self._ready_file.unlink(missing_ok=True)
        argv = [*COMMAND, "--port", str(PORT), "--ca-dir", str(self.ca_dir), "--ready-file", str(self._ready_file)]
        for place in (*EMULATOR, OTHER):
            argv += ["--tls-listen", f"{place.v4}:443", "--tls-listen", f"[{place.v6}]:443"]
        spawn(["nsenter", f"--net={self.namespace.path}", *argv], self.group, self._log_file)
        wait_for("the emulator to be ready", self._is_ready, timeout=60)
        self.ready = json.loads(self._ready_file.read_text())
        return self

    def _is_ready(self) -> bool:
        if not self._ready_file.exists() and not self.running():
            raise LabError(f"the emulator ended at its start: {self.log[-3000:]}")
        return self._ready_file.exists()

    def stop(self) -> None:
        """End it; connections are then refused, as by a platform that is down."""
        self.group.kill()

    def running(self) -> bool:
        return bool(self.group.pids())

    @property
    def spare(self) -> list[Address]:
        """Addresses at which it answers too, and which no name has at the start."""
        taken = {address for addresses in names_at_start().values() for address in addresses}
        return [place for place in EMULATOR if place.v4 not in taken]

    def env(self, tls: bool = False) -> dict[str, str]:
        """The variables that the collection needs here: no URLs, since IBM's own names lead to the emulator."""
        return {"IQP_API_TOKEN": self.api_key, "QISKIT_IBM_INSTANCE": self.instance}

    def control(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        connection.sock = self.namespace.connect("127.0.0.1", PORT, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, f"/_emulator/{path}", data, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            text = reply.read().decode()
        finally:
            connection.close()
        if reply.status >= 300:
            raise EmulatorError(f"{method} {path}: {text}")
        return json.loads(text)
