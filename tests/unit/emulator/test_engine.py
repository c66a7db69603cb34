# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where jobs run, without Qiskit: the built-in simulator, the encodings, which worker is taken."""

from __future__ import annotations

import ast
import base64
import math
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data, engine, programs, results, worker
from tests.emulator.statevector import Unsupported, parse, probabilities, sample
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("qubit q; bit c; x q; c = measure q;", [0, 1]),
        ("qubit q; bit c; h q; z q; h q; c = measure q;", [0, 1]),
        ("qubit q; bit c; sx q; sx q; c = measure q;", [0, 1]),
        ("qubit q; bit c; h q; s q; s q; h q; c = measure q;", [0, 1]),
        ("qubit q; bit c; h q; t q; tdg q; s q; sdg q; id q; h q; c = measure q;", [1, 0]),
        ("qubit q; bit c; y q; c = measure q;", [0, 1]),
        ("qubit q; bit c; ry(pi/3) q; c = measure q;", [0.75, 0.25]),
        ("qubit q; bit c; rx(-2*pi/3) q; c = measure q;", [0.25, 0.75]),
        ("qubit q; bit c; h q; rz(pi) q; h q; c = measure q;", [0, 1]),
        ("qubit q; bit c; h q; p(tau/2) q; h q; c = measure q;", [0, 1]),
        ("qubit[2] q; bit[2] c; x q[0]; cx q[0], q[1]; c = measure q;", [0, 0, 0, 1]),
        ("qubit[2] q; bit[2] c; x q[1]; cx q[0], q[1]; c = measure q;", [0, 0, 1, 0]),
        ("qubit[2] q; bit[2] c; x q[0]; swap q[0], q[1]; c = measure q;", [0, 0, 1, 0]),
        ("qubit[2] q; bit[2] c; h q; cz q[0], q[1]; h q[1]; c = measure q;", [0.5, 0, 0, 0.5]),
        ("qubit[2] q; bit[2] c; h q; rzz(pi) q[0], q[1]; h q; c = measure q;", [0, 0, 0, 1]),
        ("bit[2] c; x $7; c[0] = measure $3; c[1] = measure $7;", [0, 0, 1, 0]),
        ("/* two\nlines */ qreg q[1]; // end\ncreg c[1]; x q[0]; barrier q; measure q[0] -> c[0];", [0, 1]),
    ],
)
def test_circuits(body: str, expected: list[float]) -> None:
    assert probabilities(parse(HEAD + body))[1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("qubit q; bit c; c = measure q; x q;", "at the end"),
        ("qubit q; bit c; reset q; c = measure q;", "'reset q'"),
        ("qubit q; x q;", "measures nothing"),
        ("qubit q; bit c; rx(theta) q; c = measure q;", "angle 'theta'"),
        ("qubit q; bit c; rx(__import__('os')) q; c = measure q;", "angle"),
        ("qubit q; bit c; rx(1/0) q; c = measure q;", "angle"),
        ("qubit q; bit c; rx q; c = measure q;", "takes 1 angles"),
        ("qubit q; bit c; cx q; c = measure q;", "1 qubits"),
        ("qubit[2] q; bit c; cx q[0], q[0]; c = measure q[0];", "different qubits"),
        ("qubit[2] q; bit c; x q[2]; c = measure q[0];", "unknown qubit"),
        ("qubit[2] q; qubit[3] r; bit c; cx q, r; c = measure q[0];", "different length"),
        ("qubit[2] q; bit c; c = measure q;", "cannot measure"),
        ("qubit q; c = measure q;", "unknown bits"),
        ("qubit[11] q; bit[11] c; h q; c = measure q;", "up to 10 qubits"),
    ],
)
def test_what_it_does_not_know_it_refuses(body: str, text: str) -> None:
    with pytest.raises(Unsupported, match=text):
        probabilities(parse(HEAD + body))


def test_samples_follow_the_probabilities_and_the_seed() -> None:
    circuit = parse(data.BELL)
    values = sample(circuit, 4000, 7)["meas"]
    assert values == sample(circuit, 4000, 7)["meas"] != sample(circuit, 4000, 8)["meas"]
    assert set(values) == {0, 3} and abs(values.count(3) - 2000) < 5 * math.sqrt(1000)


def unpacked(encoded: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """An array as the client gets it: the header of its .npy file, and its bytes."""
    file = zlib.decompress(base64.b64decode(encoded["__value__"]))
    assert file[:8] == b"\x93NUMPY\x01\x00"
    (length,) = struct.unpack("<H", file[8:10])
    assert (10 + length) % 64 == 0 and file[9 + length : 10 + length] == b"\n"
    return ast.literal_eval(file[10 : 10 + length].decode()), file[10 + length :]


def test_arrays_are_npy_files() -> None:
    bits = results.Bits.of_values(9, [1, 256, 511, 0])
    assert bits.samples() == ["0x1", "0x100", "0x1ff", "0x0"]
    header, content = unpacked(bits.packed.encoded())
    assert header == {"descr": "|u1", "fortran_order": False, "shape": (4, 2)}
    assert content == bytes([0, 1, 1, 0, 1, 255, 0, 0])
    header, content = unpacked(results.Array.of_floats([0.5], ()).encoded())
    assert (header["shape"], header["descr"], content) == ((), "<f8", struct.pack("<d", 0.5))
    assert unpacked(results.Array.of_floats([1.0, 2.0], (2,)).encoded())[0]["shape"] == (2,)


def test_plain_results_are_nested_as_the_pub_is() -> None:
    values = results.Array.of_floats([1.0, 2.0, 3.0, 4.0], (2, 2))
    body = results.estimator_result([results.Pub((2, 2), {"evs": values}, 10)], support_qiskit=False)
    assert body["results"][0]["data"]["evs"] == [[1.0, 2.0], [3.0, 4.0]]
    bits = results.Bits.of_values(1, [0, 1, 1, 0], shape=(2,))
    body = results.sampler_result([results.Pub((2,), {"c": bits}, 2)], False, 0.0, 1.0)
    assert body["results"][0]["data"]["c"]["samples"] == [["0x0", "0x1"], ["0x1", "0x0"]]
    assert body["metadata"]["execution"]["execution_spans"][0][2] == {"0": [[2, 2], 0, 2, 0, 2]}


@pytest.mark.parametrize(
    ("program", "params", "shots"),
    [
        ("sampler", {"pubs": ["a", ["b", None, 10]]}, 4106),
        ("sampler", {"pubs": ["a"], "shots": 5}, 5),
        ("sampler", {"pubs": ["a"], "options": {"default_shots": 7}}, 7),
        ("estimator", {"pubs": [["a", "Z", None, 0.1]]}, 100),
        ("estimator", {"pubs": [["a", "Z"]], "options": {"default_shots": 400}}, 400),
        ("executor", {"quantum_program": {"shots": 3, "items": [{"shape": [2, 5]}, {}]}}, 33),
        ("executor", {"quantum_program": {}}, 4096),
    ],
)
def test_shots_are_counted(program: str, params: dict[str, Any], shots: int) -> None:
    assert programs.shots(program, params) == pytest.approx(shots, abs=1)


def qpy(version: int, magic: bytes = b"QISKIT") -> dict[str, str]:
    content = zlib.compress(magic + bytes([version]) + bytes(100))
    return {"__type__": "QuantumCircuit", "__value__": base64.b64encode(content).decode()}


@pytest.mark.parametrize(
    ("circuit", "text"),
    [
        (data.BELL, ""),
        (qpy(13), ""),
        (qpy(17), ""),
        (qpy(18), "QPY of version 18; the service reads versions up to 17"),
        (qpy(17, b"NOTQPY"), "no QPY"),
        ({"__type__": "QuantumCircuit", "__value__": "AAAA"}, "no QPY"),
        ({"__type__": "QuantumCircuit", "__value__": "no base64"}, "no QPY"),
        ({"__type__": "QuantumCircuit"}, "no QPY"),
        ({"__type__": "QuantumCircuit", "__value__": None}, "no QPY"),
    ],
)
def test_the_service_reads_qpy_up_to_a_version(circuit: Any, text: str) -> None:
    if not text:
        worker._check_qpy(circuit)
        return
    with pytest.raises(worker.Rejected, match=text) as error:
        worker._check_qpy(circuit)
    assert error.value.outcome["code"] == engine.VALIDATION


def test_the_workers_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "_ROOT", tmp_path)
    monkeypatch.delenv("EMULATOR_WORKER_PYTHON", raising=False)
    assert engine.worker_python() is None
    for name in ("venv-clients", "venv-worker"):
        python = tmp_path / ".build" / name / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        assert engine.worker_python() == python
    monkeypatch.setenv("EMULATOR_WORKER_PYTHON", "/elsewhere/python")
    assert engine.worker_python() == Path("/elsewhere/python")
    assert engine.worker_python("none") is None


ESTIMATOR = {"pubs": [[data.BELL, "ZZ"]], "version": 2}


def test_a_python_without_aer_is_named_and_small_circuits_still_run(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # no site-packages: nothing is installed
    bare.chmod(0o755)
    with EmulatorProcess(args=["--worker-python", str(bare)]) as emulator, Client(emulator) as client:
        user = client.login()
        assert user.ended(user.submit()["id"])["state"]["status"] == "Completed"
        state = user.ended(user.submit(program_id="estimator", params=ESTIMATOR)["id"])["state"]
        assert state["status"] == "Failed" and "make venv-worker" in state["reason"]


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/true"])
def test_a_worker_that_does_not_start(python: str) -> None:
    with EmulatorProcess(args=["--worker-python", python]) as emulator, Client(emulator) as client:
        user = client.login()
        state = user.ended(user.submit()["id"])["state"]
        assert state["status"] == "Failed" and python in state["reason"]
        emulator.settings(engine="builtin")
        assert user.ended(user.submit()["id"])["state"]["status"] == "Completed"


#: A worker that dies with its first job and answers the next, started anew.
FAKE = """#!{python}
import json, os, struct, sys
def send(message):
    body = json.dumps(message).encode()
    sys.stdout.buffer.write(struct.pack(">Q", len(body)) + body)
    sys.stdout.buffer.flush()
send({{"versions": {{"qiskit": "9.8.7"}}}})
(size,) = struct.unpack(">Q", sys.stdin.buffer.read(8))
task = json.loads(sys.stdin.buffer.read(size))
if not os.path.exists({marker!r}):
    open({marker!r}, "w").close()
    sys.exit(1)
send({{"result": json.dumps(sorted(task))}})
sys.stdin.buffer.read()
"""


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.005)
    raise AssertionError("it does not happen")


def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text(FAKE.format(python=sys.executable, marker=str(tmp_path / "died")))
    fake.chmod(0o755)
    with EmulatorProcess(args=["--worker-python", str(fake)]) as emulator, Client(emulator) as client:
        user = client.login()
        first, second = (user.ended(user.submit()["id"]) for _turn in range(2))
        assert first["state"]["status"] == "Failed" and str(fake) in first["state"]["reason"]
        assert second["state"]["status"] == "Completed"
        told = user.get(f"/api/v1/jobs/{second['id']}/results").json()
        assert told == ["backend", "native", "now", "params", "program", "seed"]
        assert user.get(f"/api/v1/jobs/{second['id']}/metrics").json()["qiskit_version"] == "9.8.7"
        assert len(emulator.executions()) == 2


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_reset_ends_what_runs(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    pid = tmp_path / "pid"
    slow.write_text(f"#!/bin/sh\necho $$ > {pid}.new && mv {pid}.new {pid}\nexec sleep 600\n")
    slow.chmod(0o755)
    with EmulatorProcess(args=["--worker-python", str(slow)]) as emulator, Client(emulator) as client:
        user = client.login()
        made = user.submit()["id"]
        assert user.job(made)["state"]["status"] == "Running"
        wait_until(pid.exists)
        emulator.reset()
        wait_until(lambda: not Path("/proc", pid.read_text().strip()).exists())
        emulator.settings(engine="builtin")
        assert user.ended(user.submit()["id"])["state"]["status"] == "Completed"


def test_one_more_backend() -> None:
    with EmulatorProcess(args=["--backend", "manila", "--worker-python", "none"]) as emulator, Client(
        emulator
    ) as client:
        user = client.login()
        devices = {row["name"]: row for row in user.get("/api/v1/backends").json()["devices"]}
        assert devices["ibmq_manila"]["qubits"] == 5 and "clops" not in devices["ibmq_manila"]
