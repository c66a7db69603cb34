# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the emulator from a test: :class:`EmulatorProcess`. Standard library only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
#: Never through a proxy: tests set dead ones on purpose.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class EmulatorError(RuntimeError):
    """The emulator did not start, or refused a control request; the text says why."""


class EmulatorProcess:
    """An emulator in a process of its own, on ports of its own. A context manager.

    ``tls`` adds an HTTPS listener; ``ca_dir`` keeps its CA there (else in a temporary folder); ``record`` names a file
    for all exchanges; ``python`` is the interpreter; ``args`` are further arguments of ``python -m tests.emulator``.
    """

    def __init__(
        self,
        tls: bool = False,
        ca_dir: str | os.PathLike[str] | None = None,
        record: str | os.PathLike[str] | None = None,
        python: str = sys.executable,
        args: list[str] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="emulator-")
        folder = Path(self._folder.name)
        self._ready_file = folder / "ready.json"
        self._log_file = folder / "log"
        self._command = [python, "-m", "tests.emulator", "--port", "0", "--ready-file", str(self._ready_file)]
        if tls:
            self._command += ["--tls-port", "0", "--ca-dir", str(ca_dir or folder / "ca")]
        if record:
            self._command += ["--record", str(record)]
        # Its input is a pipe that ends with this process, however this process ends: nothing is left behind.
        self._command += ["--while-stdin", *(args or [])]
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}

    # Life

    def start(self) -> EmulatorProcess:
        """Start it and wait until it answers. Raises :class:`EmulatorError` with its output."""
        with open(self._log_file, "wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._ready_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = self.log
                self.stop()
                raise EmulatorError(f"the emulator did not start:\n{text}")
            time.sleep(0.01)
        self.ready = json.loads(self._ready_file.read_text())
        return self

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process is not None and process.stdin:
            process.stdin.close()
        self._folder.cleanup()

    def __enter__(self) -> EmulatorProcess:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # What it is

    @property
    def url(self) -> str:
        """Plain HTTP; IAM's URL. The Runtime API is at :attr:`runtime_url`."""
        return str(self.ready["url"])

    @property
    def runtime_url(self) -> str:
        return f"{self.url}/api"

    @property
    def tls_url(self) -> str:
        if not self.ready["tls_url"]:
            raise EmulatorError("the emulator was started without tls=True")
        return str(self.ready["tls_url"])

    @property
    def ca_file(self) -> str:
        if not self.ready["ca_file"]:
            raise EmulatorError("the emulator was started without tls=True")
        return str(self.ready["ca_file"])

    @property
    def api_key(self) -> str:
        return str(self.ready["api_key"])

    @property
    def instance(self) -> str:
        return str(self.ready["instance"])

    @property
    def pid(self) -> int:
        return int(self.ready["pid"])

    @property
    def log(self) -> str:
        """What it printed, for a failing test's report."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def env(self, tls: bool = False) -> dict[str, str]:
        """The environment variables that point the collection here."""
        url = self.tls_url if tls else self.url
        return {
            "IQP_API_TOKEN": self.api_key,
            "QISKIT_IBM_INSTANCE": self.instance,
            "IAM_URL": url,
            "IBM_QUANTUM_RUNTIME_URL": f"{url}/api",
        }

    # Control

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the control API; ``path`` such as ``journal``. Raises :class:`EmulatorError` when it is refused."""
        request = urllib.request.Request(
            f"{self.url}/_emulator/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        try:
            with _OPENER.open(request, timeout=30) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            raise EmulatorError(f"{method} {path}: {error.read().decode()}") from None

    def journal(self, **equal: Any) -> list[dict[str, Any]]:
        """The rows so far, those whose fields are as given: ``journal(service="iam_token", status=200)``."""
        rows: list[dict[str, Any]] = self.control("GET", "journal")["rows"]
        return [row for row in rows if all(row.get(name) == value for name, value in equal.items())]

    def executions(self, **equal: Any) -> list[dict[str, Any]]:
        """What ran, a row each time a job did: time, job_id, execution (1 the first time), backend, program, tags."""
        rows: list[dict[str, Any]] = self.control("GET", "journal")["executions"]
        return [row for row in rows if all(row.get(name) == value for name, value in equal.items())]

    def exchanges(self) -> list[dict[str, Any]]:
        """The rows of token exchanges, good or bad."""
        return self.journal(service="iam_token", method="POST")

    def clear_journal(self) -> None:
        self.control("DELETE", "journal")

    def fault(
        self,
        preset: str = "",
        method: str = "",
        path: str = "",
        host: str = "",
        times: int | None = 1,
        after: int = 0,
        **fault: Any,
    ) -> dict[str, Any]:
        """Inject a fault: ``fault(path="usage", status=503, times=2)``, ``fault("lost_answer", method="PUT")``."""
        match = {"method": method, "path": path, "host": host}
        what = {**({"preset": preset} if preset else {}), **fault}
        row: dict[str, Any] = self.control(
            "POST",
            "faults",
            {"match": {k: v for k, v in match.items() if v}, "times": times, "after": after, "fault": what},
        )
        return row

    def faults(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.control("GET", "faults")["faults"]
        return rows

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def tokens(self) -> dict[str, list[str]]:
        """In clear: ``tokens`` issued, ``api_keys`` known, ``cr_tokens``."""
        found: dict[str, list[str]] = self.control("GET", "tokens")
        return found

    def secrets(self) -> list[str]:
        """All of :meth:`tokens` in one list, for leak tests."""
        return [value for values in self.tokens().values() for value in values]

    def revoke_tokens(self) -> int:
        """Refuse every token issued so far with 401. Returns how many there are."""
        return int(self.control("DELETE", "tokens")["revoked"])

    def clock(self, **seconds: float) -> dict[str, float]:
        """``clock(advance=3600)`` lets time pass, ``clock(skew=-120)`` makes IBM's clock wrong."""
        now: dict[str, float] = self.control("POST", "clock", seconds)
        return now

    def settings(self, **changes: Any) -> dict[str, Any]:
        now: dict[str, Any] = self.control("POST", "settings", changes)
        return now

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs of all instances, with their ``executions``."""
        rows: list[dict[str, Any]] = self.control("GET", "jobs")["jobs"]
        return rows

    def change_jobs(self, **changes: Any) -> list[dict[str, Any]]:
        """``change_jobs(hold=True)``, ``change_jobs(id=..., queue_seconds=0)``: of jobs that wait or run."""
        rows: list[dict[str, Any]] = self.control("POST", "jobs", changes)["jobs"]
        return rows

    def fail_jobs(self, **failure: Any) -> None:
        """``fail_jobs(reason=..., code=1517, solution=..., times=1)``: the next jobs that run fail."""
        self.control("POST", "failures", failure)

    def reset(self) -> None:
        """Everything as at the start: faults, journal, clock, settings, keys, instances. Tokens stay good."""
        self.control("POST", "reset")
