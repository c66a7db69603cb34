# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where jobs run: a worker process with Aer and IBM's own packages, or the built-in simulator for small circuits.

The emulator itself needs neither. The worker's Python is named by ``--worker-python`` or EMULATOR_WORKER_PYTHON
(``none`` for no worker), else it is one that the Makefile made. It starts with the first job.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

from tests.emulator import programs, results, statevector

_ROOT = Path(__file__).resolve().parents[2]
#: The environments of tests/tools/venv.py that have what the worker needs.
_VENVS = ("venv-worker", "venv-clients")
_LENGTH = struct.Struct(">Q")

MISSING = (
    "The emulator cannot run this job: it needs Qiskit Aer. Run 'make venv-worker', or 'python -m pip install -r "
    "tests/emulator/requirements-worker.txt' in a virtual environment whose Python --worker-python names."
)
NO_REGISTER = "The circuit measures into no register: declare bit[1] c; and not bit c;"
NO_OPENQASM = "The circuit is no OpenQASM 3 that can be read"
VALIDATION = 1002  # IBM's registry: error in the validation process of the job
NOT_NATIVE = 1517
BACKEND_ERROR = 1010


def worker_python(named: str | None = None) -> Path | None:
    """The worker's interpreter; None where there is none."""
    named = named or os.environ.get("EMULATOR_WORKER_PYTHON") or ""
    if named:
        return None if named == "none" else Path(shutil.which(named) or named).absolute()
    for name in _VENVS:
        python = _ROOT / ".build" / name / "bin" / "python"
        if python.exists():
            return python
    return None


def failure(reason: str, code: int, solution: str = "", text: str = "") -> dict[str, Any]:
    """An outcome that ends a job as Failed."""
    return {"error": reason, "code": code, "solution": solution, "text": text}


def not_native(instruction: str, qubits: tuple[int, ...], backend: dict[str, Any]) -> dict[str, Any]:
    """The outcome for a circuit that was not transpiled for its backend."""
    return failure(
        f"The instruction {instruction} on qubits {qubits} is not supported by the target system.",
        NOT_NATIVE,
        f"Transpile the circuit for {backend['name']}: gates {', '.join(backend['basis_gates'])}, on qubits that are "
        "connected.",
    )


def seed_of(params: dict[str, Any]) -> int:
    """The same params give the same outcomes."""
    return zlib.crc32(json.dumps(params, sort_keys=True).encode()) & 0x7FFFFFFF


def run_builtin(task: dict[str, Any]) -> dict[str, Any]:
    """Run a job with the built-in simulator: sampler, OpenQASM 3 text, no parameters."""
    if task["program"] != "sampler":
        return failure(MISSING, BACKEND_ERROR)
    params, backend = task["params"], task["backend"]
    default, _precision = programs.defaults(params)
    pubs: list[results.Pub] = []
    for pub in params["pubs"]:
        parts = pub if isinstance(pub, list) else [pub]
        if not isinstance(parts[0], str) or (len(parts) > 1 and parts[1]):
            return failure(MISSING, BACKEND_ERROR)
        try:
            circuit = statevector.parse(parts[0])
            if not circuit.registers:
                return failure(NO_REGISTER, VALIDATION)
            if task["native"]:
                for name, _angles, qubits in circuit.gates:
                    if not native(name, qubits, backend):
                        return not_native(name, qubits, backend)
            shots = default if len(parts) < 3 or parts[2] is None else parts[2]
            if isinstance(shots, bool) or not isinstance(shots, int) or shots < 1:
                return failure(f"The shots of a pub must be a whole number from 1, not {shots!r}.", VALIDATION)
            values = statevector.sample(circuit, shots, task["seed"] + len(pubs))
        except statevector.Undefined as error:
            return failure(f"{NO_OPENQASM}: {error}.", VALIDATION)
        except statevector.Unsupported as error:
            return failure(f"{MISSING} The built-in simulator: {error}.", VALIDATION)
        fields = {name: results.Bits.of_values(circuit.registers[name], values[name]) for name in circuit.registers}
        pubs.append(results.Pub((), fields, shots, {"circuit_metadata": {}}))
    qiskit = bool(params.get("support_qiskit", False))
    return {"result": json.dumps(results.sampler_result(pubs, qiskit, task["now"], task["now"]))}


def native(name: str, qubits: tuple[int, ...], backend: dict[str, Any]) -> bool:
    """Whether the backend has this instruction on these qubits."""
    known = {*backend["basis_gates"], *backend["supported_instructions"], "measure", "barrier", "delay", "reset"}
    if name not in known or any(qubit >= backend["n_qubits"] for qubit in qubits):
        return False
    if len(qubits) != 2 or name not in backend["basis_gates"]:
        return True
    return list(qubits) in backend["coupling_map"] or list(reversed(qubits)) in backend["coupling_map"]


class Worker:
    """The process. One job at a time; its messages are JSON after eight bytes of length."""

    def __init__(self, python: Path) -> None:
        self.python = python
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self.missing = ""
        self.versions: dict[str, str] = {}

    async def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """The outcome of a job. A worker that dies is an outcome too, and the next job gets a new one."""
        async with self._turn:
            try:
                if self._process is None:
                    await self._start()
                if self.missing:
                    return failure(f"{MISSING} {self.python} has no {self.missing}.", BACKEND_ERROR)
                return await self._exchange(task)
            except (OSError, asyncio.IncompleteReadError) as error:
                await self.stop()
                return failure(f"{MISSING} The worker {self.python} ended: {error!r}.", BACKEND_ERROR)

    async def _start(self) -> None:
        quiet = {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = await asyncio.create_subprocess_exec(
            str(self.python),
            "-m",
            "tests.emulator.worker",
            cwd=_ROOT,
            env={**os.environ, **quiet},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        hello = await self._read()
        self.missing, self.versions = hello.get("missing", ""), hello.get("versions", {})

    async def _exchange(self, task: dict[str, Any]) -> dict[str, Any]:
        assert self._process and self._process.stdin
        message = json.dumps(task).encode()
        self._process.stdin.write(_LENGTH.pack(len(message)) + message)
        await self._process.stdin.drain()
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        assert self._process and self._process.stdout
        (size,) = _LENGTH.unpack(await self._process.stdout.readexactly(_LENGTH.size))
        message: dict[str, Any] = json.loads(await self._process.stdout.readexactly(size))
        return message

    async def stop(self) -> None:
        """End the process, whatever it does."""
        process, self._process, self.missing = self._process, None, ""
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Engine:
    """Runs jobs, by the worker where there is one."""

    def __init__(self, python: Path | None) -> None:
        self.worker = Worker(python) if python else None

    async def run(self, task: dict[str, Any], builtin: bool) -> dict[str, Any]:
        if self.worker and not builtin:
            outcome = await self.worker.run(task)
            if not self.worker.missing:
                return outcome
        try:
            return await asyncio.to_thread(run_builtin, task)
        except Exception as error:  # whatever it may be, it ends this job and nothing else
            return failure(f"{type(error).__name__}: {error}", BACKEND_ERROR, "Check the circuit.")

    @property
    def qiskit_version(self) -> str:
        """Of the worker, once it runs; else empty."""
        return self.worker.versions.get("qiskit", "") if self.worker else ""

    async def stop(self) -> None:
        if self.worker:
            await self.worker.stop()
