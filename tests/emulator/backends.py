# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IBM's real backend snapshots, read as they are from the qiskit-ibm-runtime package, without importing it.

Importing the package would import all of qiskit (seconds, 190 MB) and is not needed: its folder
``fake_provider/backends/NAME`` holds ``conf_NAME.json`` and ``props_NAME.json``, the bodies of IBM's own answers.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, Sequence

from tests.emulator.data import BACKENDS, BackendSeed

_TWO_QUBIT_GATES = ("cz", "ecr", "cx")


class NoSnapshots(RuntimeError):
    """IBM's package with the snapshots is not installed; the text has the command."""


def _folder() -> Path:
    spec = importlib.util.find_spec("qiskit_ibm_runtime")
    if spec is None or spec.origin is None:
        raise NoSnapshots(
            "IBM's backend snapshots are not installed. Run: "
            "python -m pip install --no-deps -r tests/emulator/requirements-data.txt"
        )
    return Path(spec.origin).parent / "fake_provider" / "backends"


class Backend:
    """One backend: its seed and its snapshot. The files are read when first asked for."""

    def __init__(self, seed: BackendSeed, folder: Path) -> None:
        self.seed = seed
        self._folder = folder / seed.snapshot
        if not self._folder.is_dir():
            raise NoSnapshots(f"the installed qiskit-ibm-runtime has no snapshot {seed.snapshot!r} in {folder}")

    @cached_property
    def configuration(self) -> bytes:
        return (self._folder / f"conf_{self.seed.snapshot}.json").read_bytes()

    @cached_property
    def properties(self) -> bytes:
        return (self._folder / f"props_{self.seed.snapshot}.json").read_bytes()

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The configuration, parsed."""
        facts: dict[str, Any] = json.loads(self.configuration)
        return facts

    @property
    def name(self) -> str:
        return str(self.facts["backend_name"])

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """performance_metrics of the backends list, computed from the snapshot's properties."""
        properties = json.loads(self.properties)
        errors = []
        for gate in properties["gates"]:
            value = next((p["value"] for p in gate["parameters"] if p["name"] == "gate_error"), 1)
            if gate["gate"] in _TWO_QUBIT_GATES and value < 1:  # 1 marks a pair that is out of order
                errors.append((value, gate["name"], gate["qubits"]))
        readout = [p["value"] for qubit in properties["qubits"] for p in qubit if p["name"] == "readout_error"]
        best, name, qubits = min(errors)
        return {
            "two_q_error_best": {"value": best, "gate": name, "qubits": qubits, "unit": ""},
            "two_q_error_median": {"value": median(error[0] for error in errors), "unit": ""},
            "readout_error_median": {"value": median(readout), "unit": ""},
        }

    def device(self, changes: dict[str, Any], wait_time: bool) -> dict[str, Any]:
        """The row of GET /v1/backends; ``changes`` are the test's settings for this backend."""
        queue = int(changes.get("queue_length", self.seed.queue))
        status = str(changes.get("status", self.seed.status))
        reason = str(changes.get("reason", self.seed.reason if "status" not in changes else ""))
        row: dict[str, Any] = {
            "name": self.name,
            "status": {"name": status, **({"reason": reason} if reason else {})},
            "queue_length": queue,
            "qubits": self.facts["n_qubits"],
            "is_simulator": False,
            "processor_type": {k: str(v) for k, v in self.facts["processor_type"].items()},
            "performance_metrics": self.metrics,
        }
        if isinstance(self.facts.get("clops_h"), int):  # snapshots of older processors say 'None'
            row["clops"] = {"type": "hardware", "value": self.facts["clops_h"]}
        if wait_time:
            row["wait_time_seconds"] = {"average": 90 * queue, "p50": 60 * queue, "p95": 240 * queue}
        return row

    def status(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The body of GET /v1/backends/{id}/status."""
        device = self.device(changes, wait_time=False)
        name = device["status"]["name"]
        return {
            "state": name == "online",
            "status": {"online": "active", "paused": "internal", "offline": "maintenance"}[name],
            "message": device["status"].get("reason", ""),
            "length_queue": device["queue_length"],
            "backend_version": self.facts["backend_version"],
        }


def load(more: Sequence[str] = ()) -> list[Backend]:
    """The backends of :data:`tests.emulator.data.BACKENDS` and ``more`` snapshots. Raises :class:`NoSnapshots`."""
    folder = _folder()
    added = [BackendSeed(name, "us-east", "online", 0) for name in more]
    return [Backend(seed, folder) for seed in (*BACKENDS, *added)]
